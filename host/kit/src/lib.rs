//! The plugin author's kit: from nothing to a tested plugin.
//!
//! [`new::create`] writes a project, [`build::build`] makes its component, [`test::test`] checks it against its golden
//! cases, [`bench::bench`] measures it, and [`call::Subject`] replays one recorded call. A project is a folder with a
//! `plugin.toml` and the source in one of four languages; everything that it needs from nacre lies in the project, so
//! it builds without nacre's repository.

pub mod bench;
pub mod build;
pub mod call;
pub mod case;
mod error;
pub mod lang;
pub mod new;
pub mod test;
pub mod world;

pub use error::Error;
pub use lang::Lang;
pub use world::World;

/// What the build script embeds: `WIT`, `SDK` and `TEMPLATES`, each a list of paths and texts, and the manifest of the
/// SDK's workspace.
mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}
