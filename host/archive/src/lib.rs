//! docker-archive, OCI archive and OCI layout as Source and Sink
