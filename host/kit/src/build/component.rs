//! Making a component of a core module, and putting the manifest inside.

use wasi_preview1_component_adapter_provider::{WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER};
use wit_component::ComponentEncoder;

use crate::Error;

/// The custom section with the text of `plugin.toml`.
const SECTION: &str = "plugin.toml";

/// Makes a component of a core module that carries its world's types, as wit-bindgen's guests do.
pub(super) fn componentize(module: &[u8]) -> Result<Vec<u8>, Error> {
    let encoder = ComponentEncoder::default().validate(true).module(module);
    let encoder = encoder.and_then(|encoder| encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER));
    let component = encoder.and_then(|mut encoder| encoder.encode());
    component.map_err(|error| Error::Project(format!("the module cannot be made a component: {error:#}")))
}

/// Adds a custom section with the manifest to a component.
pub(super) fn embed(component: &[u8], manifest: &str) -> Vec<u8> {
    let mut content = leb128(SECTION.len());
    content.extend_from_slice(SECTION.as_bytes());
    content.extend_from_slice(manifest.as_bytes());
    let mut wasm = component.to_vec();
    wasm.push(0);
    wasm.extend(leb128(content.len()));
    wasm.extend(content);
    wasm
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        bytes.push(if number == 0 { low } else { low | 0x80 });
        if number == 0 {
            return bytes;
        }
    }
}
