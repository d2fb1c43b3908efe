//! oci-wasm.
