//! What a nacre plugin in Rust is written with.
//!
//! A plugin is a function and one line that exports it:
//!
//! ```
//! use nacre_sdk::search::{Hit, Pick, pick};
//! use nacre_sdk::{Error, Options};
//!
//! /// `short=N` shows the results whose names have at most N characters.
//! pub fn filter(_term: &str, opts: &Options, hits: &[Hit]) -> Result<Vec<Pick>, Error> {
//!     let max: usize = opts.parse("short", "a number")?.unwrap_or(20);
//!     Ok(pick(hits, |hit| hit.name.len() <= max))
//! }
//!
//! nacre_sdk::search_filter!(filter);
//! ```
//!
//! with `crate-type = ["cdylib"]`, built by `cargo build --release --target wasm32-wasip2`.
//! The exports exist only there: natively the crate is plain Rust and can be tested as such.

pub mod admission;
pub mod command;
pub mod entries;
mod error;
pub mod export;
pub mod files;
pub mod filesystem;
pub mod frontend;
pub mod graph;
pub mod import;
#[cfg(not(target_family = "wasm"))]
pub mod memory;
#[cfg(not(target_family = "wasm"))]
pub mod mutate;
mod options;
pub mod prune;
pub mod read;
pub mod search;
pub mod size;
pub mod time;

pub use bindings::nacre::plugin::host::{Level, log, settings};
pub use bindings::nacre::plugin::images;
pub use bindings::nacre::plugin::types::{Diagnostic, Error, Kv, Platform, Span, Summary};
pub use bindings::nacre::plugin::{build, bytes};
pub use bindings::nacre::plugin::{context, fetch, registry, store, store_write};
pub use error::invalid;
pub use options::Options;

#[allow(missing_docs, reason = "the comments are in wit/")]
pub(crate) mod bindings {
    // Everything that some world imports. A component imports of it what it uses.
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package nacre:sdk;
            world everything {
                import nacre:plugin/types@0.1.0;
                import nacre:plugin/host@0.1.0;
                import nacre:plugin/bytes@0.1.0;
                import nacre:plugin/files@0.1.0;
                import nacre:plugin/images@0.1.0;
                import nacre:plugin/store@0.1.0;
                import nacre:plugin/store-write@0.1.0;
                import nacre:plugin/registry@0.1.0;
                import nacre:plugin/fetch@0.1.0;
                import nacre:plugin/context@0.1.0;
                import nacre:plugin/terminal@0.1.0;
                import nacre:plugin/graph@0.1.0;
                import nacre:plugin/build@0.1.0;
            }",
        world: "nacre:sdk/everything",
        additional_derives: [PartialEq, Eq],
        additional_derives_ignore: ["content"],
        generate_all,
    });
}
