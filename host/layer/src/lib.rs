//! Layers: tar to files and back, whiteouts, compression, path safety.
