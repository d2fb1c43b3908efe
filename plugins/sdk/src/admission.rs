//! Admission rules: the world `admission`.

#[doc(hidden)]
#[allow(missing_docs, reason = "the comments are in wit/")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "admission",
        with: {
            "nacre:plugin/types@0.1.0": crate::bindings::nacre::plugin::types,
            "nacre:plugin/host@0.1.0": crate::bindings::nacre::plugin::host,
        },
        pub_export_macro: true,
    });
}

pub use bindings::exports::nacre::plugin::reviewer::{Decision, Operation, Request};

/// Exports a `fn review(request: &Request) -> Result<Decision, Error>` as this component's admission rule.
#[macro_export]
macro_rules! admission {
    ($review:path) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Plugin;
            impl $crate::admission::bindings::exports::nacre::plugin::reviewer::Guest for Plugin {
                fn review(request: $crate::admission::Request) -> Result<$crate::admission::Decision, $crate::Error> {
                    $review(&request)
                }
            }
    $crate::admission::bindings::export!(Plugin with_types_in $crate::admission::bindings);
        };
    };
}
