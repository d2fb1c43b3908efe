//! The registry client: a Source and a Sink over HTTP
