//! The plugin host: finds plugins, checks them, and calls them within limits.
//!
//! A plugin is a WebAssembly component beside a `plugin.toml`; `wit/` holds the interfaces. This is
//! the only crate that names wasmtime. What happens to a plugin, in this order:
//!
//! 1. [`Plugins::discover`] reads the `plugin.toml` files, and nothing else.
//! 2. At the first call the component is read, and its imports and exports are checked against the
//!    manifest before any of it is compiled. A component that imports more than an inert WASI and
//!    nacre's own `host` interface is refused.
//! 3. It is compiled once and kept in the cache folder, which only nacre writes.
//! 4. Each call gets a fresh instance, a bound on memory, handles and time, and a check of what it
//!    returns. The plugin holds no file, socket, clock or credential.
//!
//! Whatever goes wrong is one line that names the plugin: see [`Error`].

mod address;
pub mod admission;
mod cache;
mod call;
pub mod capability;
mod ceiling;
mod check;
mod command;
mod data;
mod deadline;
mod discover;
mod engine;
mod error;
mod export;
pub mod frontend;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod glob;
pub mod graph;
pub mod import;
mod inspect;
pub mod lifecycle;
mod limits;
mod log;
mod manifest;
mod plugin;
mod policy;
pub mod prune;
pub mod reach;
mod record;
pub mod search;
mod stamp;
mod state;
mod terminal;
mod types;
mod wasi;

pub use admission::{Decision, Operation, Request};
pub use capability::Capabilities;
pub use ceiling::Ceiling;
pub use data::{Built, Codec, ImageBuilder, ImageView, Output};
pub use discover::{Broken, Bundled, Plugins, Settings, fingerprint};
pub use error::{Error, Fault};
pub use frontend::{BuildImage, BuildRequest, BuildSession, BuiltFiles, Resolved};
pub use import::{Confidence, Head};
pub use inspect::Inspection;
pub use limits::Limits;
pub use log::{Level, Log, LogEntry, Stats};
pub use manifest::{About, Argument, Command, Manifest, Provides};
pub use plugin::{Origin, Plugin};
pub use policy::Policy;
pub use prune::{Action, Verdict};
pub use reach::{Answer, Opener, Reach};
pub use search::{Hit, Pick};
pub use terminal::{Cell, Terminal};
pub use types::{Diagnostic, GuestError, Kv, Platform, Span, Summary};

/// The version of the interfaces in `wit/` that this nacre speaks, as `plugin.toml` names it.
pub const API: &str = "0.1";
