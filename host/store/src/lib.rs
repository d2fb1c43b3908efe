//! The crash-safe content store: blobs, metadata, leases, reachability, prune.
//!
//! ```text
//! ROOT/                   mode 0700
//!   oci-layout            blobs/ is a valid OCI layout's
//!   blobs/ALGORITHM/HEX   mode 0444; what stands here was flushed before it was given its name
//!   ingest/ALG-HEX        partial downloads, locked while somebody writes them, resumable
//!   ingest/leases/        one locked file per running command, listing the digests that it protects
//!   ingest/uploads/       what is being pushed to `nacre serve`
//!   lock                  taken by writers (exclusive) and by those who lease (shared)
//!   meta.db               SQLite: images, references, edges, origins
//! ```
//!
//! Writing goes lease, staging, flush, rename, directory flush, one metadata transaction; deleting goes the other way
//! round. So a kill at any point leaves, at worst, content that the next prune collects.

mod blobs;
mod df;
mod find;
mod ingest;
mod layout;
mod lease;
mod mark;
mod meta;
mod prune;
mod remove;
mod repository;
mod session;
mod sizes;
mod tree;
mod upload;

use std::{path::Path, sync::Arc};

use nacre_oci::Result;

pub use df::Df;
pub use find::{By, Found};
pub use lease::Lease;
pub use meta::images::{Acquired, Image};
pub use prune::{Action, Applied, Decision, Item, Kept, PLAN_VERSION, Plan, Skipped};
pub use remove::{Removal, Removed, removal};
pub use repository::Held;
pub use session::Session;
pub use sizes::Sizes;
pub use upload::Upload;

use layout::Layout;
use meta::Meta;

/// A store. Cheap to clone; all clones share one connection to the metadata. Any number of processes may use one root.
#[derive(Clone)]
pub struct Store {
    layout: Layout,
    meta: Arc<Meta>,
}

impl Store {
    /// Opens the store at `root`, and makes it if there is none.
    ///
    /// # Errors
    /// If the folder holds something else, or its metadata is damaged, missing, or of a newer nacre; the text says
    /// which file and what to do.
    pub fn open(root: &Path) -> Result<Self> {
        let layout = Layout::open(root)?;
        let meta = Arc::new(Meta::open(&layout)?);
        Ok(Self { layout, meta })
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        self.layout.root()
    }
}

/// Unix seconds now.
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
