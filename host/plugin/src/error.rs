//! What can go wrong with a plugin: always one line.
//!
//! Texts that come from a plugin are capped but not escaped; the command line escapes everything
//! it prints.

use std::path::PathBuf;
use std::time::Duration;

use crate::capability::{Denied, Excess};
use crate::types::GuestError;

/// Why a plugin could not be found or gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No plugin provides this key of `nacre search --filter`.
    #[error("unknown search filter '{key}': known are {known}")]
    UnknownFilter {
        /// The key that was asked for.
        key: String,
        /// What exists, sorted.
        known: String,
    },
    /// No plugin provides this name of `nacre image prune --policy`.
    #[error("unknown prune policy '{name}': known are {known}")]
    UnknownPolicy {
        /// The name that was asked for.
        name: String,
        /// What exists, sorted.
        known: String,
    },
    /// There is no plugin of this name.
    #[error("unknown plugin '{name}': known are {known}")]
    UnknownPlugin {
        /// The name that was asked for.
        name: String,
        /// What exists, sorted.
        known: String,
    },
    /// No plugin provides this format.
    #[error("unknown {kind} format '{name}': known are {known}")]
    UnknownFormat {
        /// `import` or `export`.
        kind: &'static str,
        /// The name that was asked for.
        name: String,
        /// What exists, sorted.
        known: String,
    },
    /// No plugin provides this frontend of `nacre build`.
    #[error("unknown build frontend '{name}': known are {known}")]
    UnknownFrontend {
        /// The name that was asked for.
        name: String,
        /// What exists, sorted.
        known: String,
    },
    /// Several plugins have this name behind their publisher's.
    #[error("'{name}' may be {known}: give the whole name")]
    AmbiguousPlugin {
        /// The name that was asked for.
        name: String,
        /// The whole names, sorted.
        known: String,
    },
    /// The policy or format does not take this option.
    #[error("unknown option '{key}' of {of}: known are {known}")]
    UnknownOption {
        /// The option that was given.
        key: String,
        /// What it was given to, such as `prune policy 'lru'`.
        of: String,
        /// What exists, sorted.
        known: String,
    },
    /// Nacre could not read or write data for a plugin, or the user wanted an end.
    #[error("{source}")]
    Data {
        /// The plugin that ran.
        plugin: String,
        /// What went wrong.
        source: nacre_oci::Error,
    },
    /// Something is wrong with one plugin.
    #[error("plugin {plugin}: {fault}")]
    Plugin {
        /// The plugin's name, or its folder's if the name could not be read.
        plugin: String,
        /// What is wrong.
        fault: Fault,
    },
}

/// What is wrong with one plugin.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A file of the plugin cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// Its `plugin.toml` is wrong.
    #[error("plugin.toml: {0}")]
    Manifest(String),
    /// It is made for other interfaces than this nacre's.
    #[error(
        "is made for plugin API {wants}, this nacre has {}: use a version of the plugin made for {}, or another nacre",
        crate::API,
        crate::API
    )]
    Version {
        /// The version that it is made for.
        wants: String,
    },
    /// `plugin.wasm` is no component.
    #[error("plugin.wasm {0}")]
    NotAComponent(String),
    /// The component imports what its manifest has no capability for.
    #[error("imports {imports}, which no capability in its plugin.toml allows: nothing of it was run")]
    Import {
        /// The imports that are too much.
        imports: String,
    },
    /// The component lacks an export that its manifest promises.
    #[error("plugin.toml says that it provides {provides}, but plugin.wasm does not export {export}")]
    Export {
        /// The kind of plugin.
        provides: &'static str,
        /// The interface that is missing.
        export: String,
    },
    /// It asks for capabilities, and nobody granted any: it only lies in a plugins folder.
    #[error("asks for {asks}: install it with nacre plugin install {}", folder.display())]
    NotInstalled {
        /// What it asks for.
        asks: String,
        /// Where it lies.
        folder: PathBuf,
    },
    /// It asks for more than the user granted.
    #[error("asks for {0}, which was not granted: install it again with nacre plugin install")]
    NotGranted(Excess),
    /// It asks for more than the organisation allows.
    #[error("asks for {0}, which the [ceiling] of the configuration does not allow")]
    Ceiling(Excess),
    /// Its signature is missing or wrong, and one is required.
    #[error("{0}, and the configuration requires a signature")]
    Signature(String),
    /// Its component is another than the one that was installed.
    #[error("plugin.wasm is not what was installed: see nacre plugin verify")]
    Changed,
    /// It has a name of nacre's own.
    #[error("has a name that begins with nacre/, as only the bundled ones may: rename it in its plugin.toml")]
    Reserved,
    /// It is in a registry, but no plugin.
    #[error("{0}")]
    Artifact(String),
    /// Its manifest is missing.
    #[error("plugin.toml is missing, and plugin.wasm holds none: build it with nacre plugin build")]
    NoManifest,
    /// The lock file is damaged, or does not hold what was asked for.
    #[error("{0}")]
    Lock(String),
    /// A file cannot be written.
    #[error("cannot write {}: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// Its manifest does not promise what was asked for.
    #[error("does not provide {0}")]
    NotProvided(String),
    /// The component cannot be compiled.
    #[error("cannot be compiled: {0}")]
    Compile(String),
    /// What it passes or returns is not of its interface's types.
    #[error("broke the rules of its interface: {0}; nothing of its answer was used; report it to its author")]
    Rules(String),
    /// The component cannot be linked or called.
    #[error("cannot be called: {0}")]
    Call(String),
    /// The folder of compiled plugins is not safe to load from.
    #[error("the cache of compiled plugins is not safe to use: {0}")]
    Cache(String),
    /// It needs more memory than its limit.
    #[error("needs more than {}: raise [limits] memory in its plugin.toml or report it to its author", crate::limits::show_memory(*.0))]
    Memory(u64),
    /// It takes longer than its limit.
    #[error("took longer than {}: raise [limits] time in its plugin.toml or report it to its author", crate::limits::show_time(*.0))]
    Time(Duration),
    /// It calls itself too deeply.
    #[error("ran out of stack: it calls itself without end; report it to its author")]
    Stack,
    /// It holds too many handles, tables or instances.
    #[error("uses too many {0}; report it to its author")]
    Resources(String),
    /// It crashed.
    #[error("crashed: {0}; report it to its author")]
    Crash(String),
    /// It returned more than it may.
    #[error("returned {0}; nothing of its answer was used; report it to its author")]
    Answer(String),
    /// What it returned would take what it was not granted.
    #[error("{0}")]
    Denied(Denied),
    /// It reported an error itself.
    #[error("{0}")]
    Guest(GuestError),
}

impl Fault {
    /// The error that says which plugin this is about.
    pub fn of(self, plugin: &str) -> Error {
        Error::Plugin { plugin: plugin.to_owned(), fault: self }
    }
}

/// The first line of a text, of at most 400 characters.
pub(crate) fn one_line(text: &str) -> String {
    text.trim().lines().next().unwrap_or_default().chars().take(400).collect()
}

/// Joins names for a message; `none` if there are none.
pub(crate) fn join(names: impl Iterator<Item = impl AsRef<str>>) -> String {
    let mut names: Vec<String> = names.map(|name| name.as_ref().to_owned()).collect();
    names.sort();
    names.dedup();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
