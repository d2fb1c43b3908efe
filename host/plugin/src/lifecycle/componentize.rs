//! Core modules with embedded component types become components.
//!
//! That is what tool chains without a component linker write: `wit-bindgen` puts the world's types into a custom
//! section, and the encoder wraps the module accordingly. WASI's first preview is adapted to the second.

use std::borrow::Cow;

use wasi_preview1_component_adapter_provider::{WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER};
use wasmparser::Parser;
use wit_component::ComponentEncoder;

use crate::error::{Fault, one_line};
use crate::lifecycle::embed;

/// The component as it is, or the one that a core module becomes. An embedded `plugin.toml` stays.
///
/// # Errors
/// The module has no component types, or they do not fit what it imports and exports.
pub fn component(wasm: &[u8]) -> Result<Cow<'_, [u8]>, Fault> {
    if !Parser::is_core_wasm(wasm) {
        return Ok(Cow::Borrowed(wasm));
    }
    let encoder = ComponentEncoder::default().validate(true).module(wasm).map_err(refused)?;
    let mut adapted = encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER).map_err(refused)?;
    let component = adapted.encode().map_err(refused)?;
    match embed::read(wasm)? {
        Some(manifest) => embed::write(&component, &manifest).map(Cow::Owned),
        None => Ok(Cow::Owned(component)),
    }
}

/// The encoder's reason, whose last cause says most.
fn refused(error: impl std::fmt::Display) -> Fault {
    let why = one_line(&format!("{error:#}"));
    Fault::NotAComponent(format!("is a core module that does not become a component ({why}): build it for the target wasm32-wasip2"))
}
