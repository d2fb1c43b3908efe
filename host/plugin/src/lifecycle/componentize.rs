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

/// The custom sections that hold component types, of which there may be several.
const TYPES: &str = "component-type";

/// The component as it is, or the one that a core module becomes. An embedded `plugin.toml` stays.
///
/// # Errors
/// The module has no component types, or they do not fit what it imports and exports.
pub fn component(wasm: &[u8]) -> Result<Cow<'_, [u8]>, Fault> {
    if !Parser::is_core_wasm(wasm) {
        return Ok(Cow::Borrowed(wasm));
    }
    if !embed::has(wasm, TYPES)? {
        return Err(refused("it has no component types"));
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use wit_component::{StringEncoding, embed_component_metadata};
    use wit_parser::Resolve;

    use super::*;
    use crate::check::Surface;

    const WIT: &str = "package nacre:plugin@0.1.0; interface prune { decide: func() -> u32; } world policy { export prune; }";
    const MODULE: &str = "(module (func (export \"nacre:plugin/prune@0.1.0#decide\") (result i32) i32.const 7))";

    fn module(text: &str) -> Vec<u8> {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("policy.wit", WIT).unwrap();
        let world = resolve.select_world(&[package], Some("policy")).unwrap();
        let mut wasm = wat::parse_str(text).unwrap();
        embed_component_metadata(&mut wasm, &resolve, world, StringEncoding::UTF8).unwrap();
        wasm
    }

    #[test]
    fn a_module_with_types_becomes_a_component_and_keeps_its_manifest() {
        let module = embed::write(&module(MODULE), "a = 1").unwrap();
        let component = component(&module).unwrap();
        assert_eq!(Surface::read(&component).unwrap().exports, ["nacre:plugin/prune@0.1.0"]);
        assert_eq!(embed::read(&component).unwrap().as_deref(), Some("a = 1"));
        assert!(matches!(super::component(&component).unwrap(), Cow::Borrowed(_)), "it is one already");
    }

    #[test]
    fn a_module_that_fits_nothing_is_refused_in_a_line() {
        for wasm in [wat::parse_str(MODULE).unwrap(), module("(module)"), [module(MODULE), vec![0xff; 9]].concat()] {
            let said = component(&wasm).unwrap_err().to_string();
            assert!(said.starts_with("plugin.wasm is ") && said.lines().count() == 1, "{said}");
        }
    }
}
