//! The store spoken as a registry over HTTP
