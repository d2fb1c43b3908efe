//! The plugin host: load, grant, limit and call WebAssembly components
