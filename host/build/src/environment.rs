//! What a build stands on, whatever is built.

use std::{path::PathBuf, sync::Arc};

use nacre_layer::Spool;
use nacre_oci::Result;
use nacre_registry::Client;
use nacre_store::Store;

/// Makes the client of all registries, the first time that one is needed.
pub type Registries = Arc<dyn Fn() -> Result<Client> + Send + Sync>;

/// The places and tools of a build. Clones share what is opened.
#[derive(Clone)]
pub struct Environment {
    /// Where layers, images and cache records are.
    pub store: Store,
    /// Images that the store does not have.
    pub registries: Registries,
    /// What programs run with.
    pub runtime: nacre_runtime::Settings,
    /// A folder for what can be made anew at any time: indexes of layers, digests of files. Made when needed.
    pub cache: PathBuf,
    /// Where streams are kept for a while.
    pub spool: Spool,
    /// The time of the build, Unix seconds.
    pub now: i64,
    /// The variables that name proxies, such as `https_proxy`: git gets no others of the user's.
    pub proxies: Vec<(String, String)>,
    /// How many operations run at a time; at least 1.
    pub parallel: usize,
}
