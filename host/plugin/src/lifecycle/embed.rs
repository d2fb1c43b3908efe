//! `plugin.toml` inside the component: a custom section, so that one file is a whole plugin.
//!
//! Custom sections change nothing about what a component does (component model, `Binary.md`). Only the outermost
//! ones count: those of modules inside belong to whoever built them.

use std::borrow::Cow;
use std::ops::Range;

use wasm_encoder::{CustomSection, Encode, Section};
use wasmparser::BinaryReader;

use crate::error::{Fault, one_line};
use crate::manifest::MAX_BYTES;

/// The section's name.
pub const SECTION: &str = "nacre:plugin.toml";

/// Bytes of the preamble of a module or component.
const PREAMBLE: usize = 8;
/// A custom section's id.
const CUSTOM: u8 = 0;

/// The text of the embedded `plugin.toml`, if there is one. Also reads core modules.
///
/// # Errors
/// The file is no WebAssembly, or has several such sections, or a section that is no text or too long.
pub fn read(wasm: &[u8]) -> Result<Option<String>, Fault> {
    let found = sections(wasm, |name| name == SECTION)?;
    let [section] = &found[..] else {
        return if found.is_empty() { Ok(None) } else { Err(Fault::NotAComponent(format!("has several sections {SECTION}"))) };
    };
    let bytes = &wasm[section.data.clone()];
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Fault::Manifest(format!("the embedded one has more than {} KiB", MAX_BYTES >> 10)));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::Manifest("is not UTF-8".into()))?;
    Ok(Some(text.to_owned()))
}

/// The component with `manifest`, the text of a `plugin.toml`, in place of what was embedded before.
///
/// # Errors
/// The file is no WebAssembly.
pub fn write(wasm: &[u8], manifest: &str) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(wasm.len() + manifest.len() + SECTION.len() + 16);
    let mut copied = 0;
    for section in sections(wasm, |name| name == SECTION)? {
        out.extend_from_slice(&wasm[copied..section.whole.start]);
        copied = section.whole.end;
    }
    out.extend_from_slice(&wasm[copied..]);
    let section = CustomSection { name: Cow::Borrowed(SECTION), data: Cow::Borrowed(manifest.as_bytes()) };
    out.push(section.id());
    section.encode(&mut out);
    Ok(out)
}

/// Where one section lies in the file, and its content.
struct Found {
    whole: Range<usize>,
    data: Range<usize>,
}

/// Whether it has a custom section whose name begins so.
pub(crate) fn has(wasm: &[u8], prefix: &str) -> Result<bool, Fault> {
    Ok(!sections(wasm, |name| name.starts_with(prefix))?.is_empty())
}

/// The custom sections of that name. Whatever is inside of modules and components is skipped unread.
fn sections(wasm: &[u8], is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Found>, Fault> {
    if !wasm.starts_with(b"\0asm") || wasm.len() < PREAMBLE {
        return Err(Fault::NotAComponent("is no WebAssembly".into()));
    }
    let damaged = |error: wasmparser::BinaryReaderError| Fault::NotAComponent(format!("is damaged: {}", one_line(error.message())));
    let mut reader = BinaryReader::new(&wasm[PREAMBLE..], PREAMBLE);
    let mut found = Vec::new();
    while !reader.eof() {
        let start = reader.original_position();
        let id = reader.read_u8().map_err(damaged)?;
        let size = reader.read_var_u32().map_err(damaged)?;
        let body = reader.original_position();
        let bytes = reader.read_bytes(size as usize).map_err(damaged)?;
        if id == CUSTOM {
            let mut inner = BinaryReader::new(bytes, body);
            if is_wanted(inner.read_string().map_err(damaged)?) {
                found.push(Found { whole: start..body + bytes.len(), data: inner.original_position()..body + bytes.len() });
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_was_embedded_is_read_and_replaced() {
        for text in ["(component (core module))", "(module)"] {
            let plain = wat::parse_str(text).unwrap();
            assert_eq!(read(&plain).unwrap(), None);
            let first = write(&plain, "a = 1").unwrap();
            assert_eq!(read(&first).unwrap().as_deref(), Some("a = 1"));
            assert!(wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(&first).is_ok());
            let second = write(&first, "a = 2").unwrap();
            assert_eq!((read(&second).unwrap().as_deref(), second.len()), (Some("a = 2"), first.len()));
            assert_eq!(second[..plain.len()], plain);
        }
    }

    #[test]
    fn a_section_of_an_inner_module_is_not_ours() {
        let inner = wat::parse_str("(component (core module (@custom \"nacre:plugin.toml\" \"x\")))").unwrap();
        assert_eq!(read(&inner).unwrap(), None);
    }

    #[test]
    fn what_is_odd_is_refused() {
        let twice = wat::parse_str("(component (@custom \"nacre:plugin.toml\" \"x\") (@custom \"nacre:plugin.toml\" \"y\"))").unwrap();
        assert_eq!(read(&twice).unwrap_err().to_string(), "plugin.wasm has several sections nacre:plugin.toml");
        assert_eq!(read(b"#!/bin/sh").unwrap_err().to_string(), "plugin.wasm is no WebAssembly");
        let whole = write(&wat::parse_str("(component)").unwrap(), "a = 1").unwrap();
        assert!(read(&whole[..whole.len() - 1]).unwrap_err().to_string().starts_with("plugin.wasm is damaged: "));
        let long = write(&whole, &"#".repeat(70_000)).unwrap();
        assert_eq!(read(&long).unwrap_err().to_string(), "plugin.toml: the embedded one has more than 64 KiB");
    }
}
