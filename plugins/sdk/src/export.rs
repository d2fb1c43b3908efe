//! Export formats: the world `export-format`.

#[doc(hidden)]
#[allow(missing_docs, reason = "the comments are in wit/")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "export-format",
        with: {
            "nacre:plugin/types@0.1.0": crate::bindings::nacre::plugin::types,
            "nacre:plugin/host@0.1.0": crate::bindings::nacre::plugin::host,
            "nacre:plugin/bytes@0.1.0": crate::bindings::nacre::plugin::bytes,
            "nacre:plugin/files@0.1.0": crate::bindings::nacre::plugin::files,
            "nacre:plugin/images@0.1.0": crate::bindings::nacre::plugin::images,
        },
        pub_export_macro: true,
    });
}

use crate::bytes::Codec;
use crate::{Error, Options, invalid};

/// The compression that the option `compress` asks for: `none` (as without it), `gzip`, `zstd`, `xz`
/// or `bzip2`.
///
/// # Errors
/// It names another one, or is given twice.
pub fn compression(opts: &Options) -> Result<Option<Codec>, Error> {
    match opts.one("compress")? {
        None | Some("none") => Ok(None),
        Some("gzip") => Ok(Some(Codec::Gzip)),
        Some("zstd") => Ok(Some(Codec::Zstd)),
        Some("xz") => Ok(Some(Codec::Xz)),
        Some("bzip2") => Ok(Some(Codec::Bzip2)),
        Some(other) => Err(invalid("bad-value", format!("invalid option 'compress={other}': want none, gzip, zstd, xz or bzip2"))),
    }
}

/// Exports a `fn write(format: &str, image: &Image, out: &Sink, opts: &Options) -> Result<(), Error>` as this
/// component's export formats.
#[macro_export]
macro_rules! export_format {
    ($write:path) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Plugin;
            impl $crate::export::bindings::exports::nacre::plugin::exporter::Guest for Plugin {
                fn write(
                    format: String,
                    image: &$crate::images::Image,
                    out: &$crate::bytes::Sink,
                    opts: Vec<$crate::Kv>,
                ) -> Result<(), $crate::Error> {
                    $write(&format, image, out, &opts.into())
                }
            }
    $crate::export::bindings::export!(Plugin with_types_in $crate::export::bindings);
        };
    };
}
