//! Builds: a graph of operations in, layers and images out.
//!
//! A frontend, which is a plugin, turns the user's file into a [`Definition`](nacre_plugin::graph::Definition). It is
//! checked, what no image needs is left out, each operation is looked up in the cache, and what is not there is carried
//! out. The result of an operation is a [`Snapshot`]: a list of layers, which are only fetched when their content is
//! needed.

mod assemble;
mod build;
mod built;
mod cachex;
mod compress;
mod environment;
mod error;
pub mod files;
mod graph;
mod key;
mod mend;
mod overlay;
mod provenance;
mod request;
mod schedule;
mod session;
mod snapshot;
mod solve;
mod sources;
mod watch;

pub use build::{build, graph};
pub use built::{Built, BuiltImage, Material, Step};
pub use cachex::{Mode, export_cache, import_cache};
pub use compress::{Compressed, compress_image};
pub use environment::{Environment, Registries};
pub use error::{Error, Result};
pub use graph::{to_dot, to_json};
pub use overlay::Overlay;
pub use provenance::{Provenance, Slsa, attest};
pub use request::{Context, FILE_CONTEXT, Frontend, Imported, Lent, MAIN_CONTEXT, Output, Reach, Request, Secret};
pub use snapshot::{Origin, Snapshot, Stacked};
pub use watch::{Event, StepId, Stream, Watcher};
