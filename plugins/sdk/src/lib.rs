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

mod error;
mod options;
pub mod prune;
pub mod search;
pub mod size;
pub mod time;

pub use bindings::nacre::plugin::host::{Level, log, settings};
pub use bindings::nacre::plugin::types::{Diagnostic, Error, Kv, Platform, Summary};
pub use error::invalid;
pub use options::Options;

#[allow(missing_docs, reason = "the comments are in wit/")]
pub(crate) mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "base" });
}
