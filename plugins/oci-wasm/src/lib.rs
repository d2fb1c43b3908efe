//! A WebAssembly component or core module, wrapped as an image: one file, which is its entrypoint.

use nacre_sdk::bytes::Source;
use nacre_sdk::entries::entry;
use nacre_sdk::files::{Content, Entry, Kind};
use nacre_sdk::images::Builder;
use nacre_sdk::import::{Confidence, Head};
use nacre_sdk::{Error, Options, Platform, invalid};

/// What both begin with; version and layer follow.
const MAGIC: &[u8] = b"\0asm";

/// What a binary is.
#[derive(Debug, PartialEq)]
enum Binary {
    /// A core module.
    Module,
    /// A component: a layer above.
    Component,
}

/// Both begin with the same four bytes.
pub fn probe(_format: &str, head: &Head) -> Confidence {
    match head.plain.starts_with(MAGIC) {
        true => Confidence::Certain,
        false => Confidence::No,
    }
}

/// One layer with the file, which nothing changes. The platform says which WASI it is made for, as
/// runtimes expect it: `wasip1/wasm` for modules, `wasip2/wasm` for components.
pub fn convert(_format: &str, sources: Vec<Source>, image: &Builder, opts: &Options) -> Result<(), Error> {
    let [source] = &sources[..] else {
        return Err(invalid("several-files", "an image of WebAssembly is made of one file: leave out --add"));
    };
    let source = source.decompress(None)?;
    let binary = binary(&source.read_at(0, 8)?)?;
    let name = name(opts.one("name")?.unwrap_or("app.wasm"))?;
    let file = Entry { size: source.size()?, ..entry(name, Kind::File, 0o755) };
    image.layer("")?.add(&file, &Content::Source(&source))?;
    image.set_platform(&platform(&binary))?;
    image.set_config(&format!("{{\"Entrypoint\":[\"/{name}\"]}}"))
}

/// What the preamble tells (component model, `Binary.md`: version, then layer, two bytes each).
fn binary(head: &[u8]) -> Result<Binary, Error> {
    match head.strip_prefix(MAGIC) {
        Some([1, 0, 0, 0]) => Ok(Binary::Module),
        Some([0x0d, 0, 1, 0]) => Ok(Binary::Component),
        Some(&[a, b, c, d]) => {
            Err(Error::Unsupported(format!("WebAssembly of version {a:02x}{b:02x}{c:02x}{d:02x}: want a module or a component")))
        }
        _ => Err(invalid("no-wasm", "it does not begin like WebAssembly")),
    }
}

fn platform(binary: &Binary) -> Platform {
    let os = match binary {
        Binary::Module => "wasip1",
        Binary::Component => "wasip2",
    };
    Platform { os: os.to_owned(), arch: "wasm".to_owned(), variant: None }
}

/// A file's name at the root, which JSON and every shell take as it is.
fn name(name: &str) -> Result<&str, Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte);
    match !name.starts_with('.') && (1..=200).contains(&name.len()) && name.bytes().all(plain) {
        true => Ok(name),
        false => {
            let shown = name.escape_default();
            Err(invalid("bad-value", format!("invalid option 'name={shown}': want letters, digits, '.', '_', '-' and '+'")))
        }
    }
}

nacre_sdk::import_format!(probe, convert);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn modules_and_components_are_told_apart() {
        assert_eq!(binary(b"\0asm\x01\0\0\0").unwrap(), Binary::Module);
        assert_eq!(binary(b"\0asm\x0d\0\x01\0").unwrap(), Binary::Component);
        for bytes in [&b"\0asm\x02\0\0\0"[..], b"\0asm\x0d\0\x02\0", b"\0asm\x01\0\0", b"\0as", b"", b"\x7fELF\x01\0\0\0"] {
            assert!(binary(bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(platform(&Binary::Component).os, "wasip2");
    }

    #[test]
    fn the_name_is_one_plain_word() {
        assert_eq!(name("my-app_1.0+x.wasm").unwrap(), "my-app_1.0+x.wasm");
        for bad in ["", ".", "..", "a/b", "../a", "a\"", "a b", "a\n", "ü", &"a".repeat(201)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }
}
