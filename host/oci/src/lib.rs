//! The data of OCI and Docker images, and how images move.
//!
//! Digests, references, platforms, descriptors, manifests and configs are plain data, checked when they are
//! parsed. Everything that holds images is a [`Source`], a [`Sink`] or both, and [`copy`] moves an image from
//! one to the other. This crate knows no files, no network, no terminal and no WebAssembly.

mod change;
mod config;
mod content;
mod copy;
mod descriptor;
mod digest;
mod document;
mod error;
mod json;
mod memory;
mod path;
mod platform;
mod progress;
mod reference;
mod staging;
mod validate;

pub use change::change;
pub use config::{History, ImageConfig, RootFs, RunConfig};
pub use content::{Content, Put, RawManifest, Sink, Source, Verifying, open, read_document, read_small};
pub use copy::{Copied, Options, Plan, Select, copy, pick_platform, plan, platform_of};
pub use descriptor::{Descriptor, media_type};
pub use digest::{Algorithm, Digest, Hasher};
pub use document::{Document, Index, Manifest};
pub use error::{Error, Result};
pub use json::parse_strict;
pub use memory::Memory;
pub use path::clean_path;
pub use platform::Platform;
pub use progress::{Outcome, Progress, Silent};
pub use reference::{DEFAULT_REGISTRY, DEFAULT_TAG, Reference};
pub use staging::{Staged, Staging};
pub use validate::{Validated, validate};

/// The most bytes a manifest or an index may have (4 MiB, the distribution specification's minimum that every
/// registry accepts, and what containerd and docker-registry cap at).
pub const MAX_MANIFEST: u64 = 4 << 20;
/// The most bytes an image config may have.
pub const MAX_CONFIG: u64 = 4 << 20;
