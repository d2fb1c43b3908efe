//! Search filters: the world `search-filter`.

use crate::Error;

#[doc(hidden)]
#[allow(missing_docs, reason = "the comments are in wit/")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "search-filter",
        with: {
            "nacre:plugin/types@0.1.0": crate::bindings::nacre::plugin::types,
            "nacre:plugin/host@0.1.0": crate::bindings::nacre::plugin::host,
        },
        pub_export_macro: true,
    });
}

pub use bindings::exports::nacre::plugin::search::{Hit, Pick};

/// Picks the hits that are `wanted`, in the order they came in.
pub fn pick(hits: &[Hit], wanted: impl Fn(&Hit) -> bool) -> Vec<Pick> {
    let indices = (0..).zip(hits).filter(|(_, hit)| wanted(hit)).map(|(index, _)| index);
    indices.map(|index| Pick { index, score: None, note: None }).collect()
}

/// The error for a filter's bad value, in Docker's words.
pub fn invalid_filter(key: &str, value: &str) -> Error {
    crate::options::invalid_filter(key, value)
}

/// Exports a `fn(term: &str, opts: &Options, hits: &[Hit]) -> Result<Vec<Pick>, Error>` as this
/// component's search filter.
#[macro_export]
macro_rules! search_filter {
    ($filter:path) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Plugin;
            impl $crate::search::bindings::exports::nacre::plugin::search::Guest for Plugin {
                fn filter(
                    term: String,
                    opts: Vec<$crate::Kv>,
                    hits: Vec<$crate::search::Hit>,
                ) -> Result<Vec<$crate::search::Pick>, $crate::Error> {
                    $filter(&term, &opts.into(), &hits)
                }
            }
    $crate::search::bindings::export!(Plugin with_types_in $crate::search::bindings);
        };
    };
}
