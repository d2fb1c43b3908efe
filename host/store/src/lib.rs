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
//!   meta.db               SQLite: images, references, edges, origins, the build cache, containers
//!   containers/ID/        what a container has besides its row; its `lock` is held while it runs
//! ```
//!
//! Writing goes lease, staging, flush, rename, directory flush, one metadata transaction; deleting goes the other way
//! round. So a kill at any point leaves, at worst, content that the next prune collects.

mod blobs;
mod build_cache;
mod check;
mod container;
mod contents;
mod df;
mod disk;
mod find;
mod ingest;
mod layout;
mod lease;
mod life;
mod mark;
mod meta;
mod planted;
mod prune;
mod rebuild;
mod remove;
mod repair;
mod repository;
mod room;
mod session;
mod survey;
mod tree;
mod upload;
mod usage;

use std::{path::Path, sync::Arc};

use nacre_oci::Result;

pub use build_cache::{CachePrune, CacheRecord, CachedLayer, stale};
pub use check::Finding;
pub use container::{Container, NameTaken};
pub use df::Df;
pub use disk::{Change, Metadata, Witness};
pub use find::{By, Found};
pub use lease::Lease;
pub use life::Life;
pub use meta::images::{Acquired, Image};
pub use planted::BUGS;
pub use prune::{Action, Applied, Decision, Item, Kept, PLAN_VERSION, Plan, Skipped};
pub use remove::{Removal, Removed};
pub use repair::{Lacking, Repair};
pub use repository::Held;
pub use session::Session;
pub use survey::{Sizes, Survey};
pub use upload::Upload;
pub use usage::Users;

use disk::Disk;
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
        Self::open_on(root, Disk::default())
    }

    /// [`Store::open`], with a witness of all that this and its clones change: for proofs.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_watched(root: &Path, witness: Arc<dyn Witness>) -> Result<Self> {
        Self::open_on(root, Disk::watched(witness))
    }

    fn open_on(root: &Path, disk: Disk) -> Result<Self> {
        let layout = Layout::open(root, disk)?;
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
