//! Import formats: the world `import-format`.

#[doc(hidden)]
#[allow(missing_docs, reason = "the comments are in wit/")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "import-format",
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

pub use crate::images::Builder;
pub use bindings::exports::nacre::plugin::importer::{Confidence, Head};

/// Exports a `fn probe(format: &str, head: &Head) -> Confidence` and a `fn convert(format: &str, sources: Vec<Source>,
/// image: &Builder, opts: &Options) -> Result<(), Error>` as this component's import formats.
#[macro_export]
macro_rules! import_format {
    ($probe:path, $convert:path) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Plugin;
            impl $crate::import::bindings::exports::nacre::plugin::importer::Guest for Plugin {
                fn probe(format: String, head: $crate::import::Head) -> $crate::import::Confidence {
                    $probe(&format, &head)
                }
                fn convert(
                    format: String,
                    sources: Vec<$crate::bytes::Source>,
                    image: &$crate::images::Builder,
                    opts: Vec<$crate::Kv>,
                ) -> Result<(), $crate::Error> {
                    $convert(&format, sources, image, &opts.into())
                }
            }
    $crate::import::bindings::export!(Plugin with_types_in $crate::import::bindings);
        };
    };
}
