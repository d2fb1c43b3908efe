//! What the user wants to be built.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, sync::Arc};

use nacre_layer::Compression;
use nacre_oci::{Digest, Source};
use nacre_plugin::{BuildImage, BuildSession};
use nacre_store::CacheRecord;
use url::Url;

/// Calls the frontend: usually `plugin.build(name, &request, session)`. Again if a cache turns out to be damaged.
pub type Frontend = Box<dyn Fn(Box<dyn BuildSession>) -> Result<Vec<BuildImage>, nacre_plugin::Error> + Send>;

/// Whether something may be fetched from a place, at first and after each redirect.
pub type Reach = Arc<dyn Fn(&Url) -> nacre_oci::Result<()> + Send + Sync>;

/// The name of the build's own folder among the contexts.
pub const MAIN_CONTEXT: &str = "context";
/// The name of the folder that the build's file lies in, among the contexts. Frontends can read it; graphs cannot use it.
pub const FILE_CONTEXT: &str = "dockerfile";

/// One build.
pub struct Request {
    /// Makes the graph.
    pub frontend: Frontend,
    /// The frontend's plugin, for messages.
    pub plugin: String,
    /// Where its graphs may fetch from, if that is not everywhere.
    pub reach: Option<Reach>,
    /// [`MAIN_CONTEXT`], [`FILE_CONTEXT`] and the user's named ones.
    pub contexts: BTreeMap<String, Context>,
    /// What programs are lent.
    pub lent: Lent,
    /// Ask the registry for images although the store has them.
    pub pull: bool,
    /// Records of other builds' caches, in the order in which they are asked.
    pub imports: Vec<Imported>,
    /// What the image shall look like.
    pub output: Output,
}

/// A named input of the user's.
#[derive(Clone, Debug)]
pub enum Context {
    /// A local folder.
    Folder(PathBuf),
    /// An image of the store or of a registry, such as `nginx:1.27`.
    Image(String),
    /// An image of a local OCI layout.
    Layout {
        /// The layout's folder.
        folder: PathBuf,
        /// A tag or digest; none if it has only one image.
        name: Option<String>,
    },
}

/// What programs of the build can use, and what reaches no layer and no key of the cache.
#[derive(Clone, Debug, Default)]
pub struct Lent {
    /// `--secret`, by id.
    pub secrets: BTreeMap<String, Secret>,
    /// `--ssh`: the sockets of agents, by id.
    pub ssh: BTreeMap<String, PathBuf>,
    /// `--add-host`, in the order given.
    pub hosts: Vec<(String, IpAddr)>,
    /// The size of programs' `/dev/shm` in bytes; 64 MiB if none is given.
    pub shm_size: Option<u64>,
    /// Limits of programs (`--ulimit`).
    pub limits: Vec<nacre_runtime::Limit>,
    /// Whether programs may use the host's network (`--allow network.host`).
    pub host_network: bool,
}

/// A secret's value.
#[derive(Clone)]
pub enum Secret {
    /// A file that holds it, read when a program needs it.
    File(PathBuf),
    /// The value itself, out of an environment variable.
    Value(Arc<[u8]>),
}

/// Secrets are never shown.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Another build's cache.
#[derive(Clone)]
pub struct Imported {
    /// Its records.
    pub records: Arc<BTreeMap<Digest, CacheRecord>>,
    /// Where their layers are.
    pub from: Arc<dyn Source>,
}

/// What the image shall look like.
#[derive(Clone, Debug)]
pub struct Output {
    /// The time that the image and its new history show, Unix seconds (`SOURCE_DATE_EPOCH`). Without it, when each
    /// layer was made.
    pub epoch: Option<i64>,
    /// Lower all later times in new layers to the epoch.
    pub rewrite_timestamp: bool,
    /// How new layers are stored.
    pub compression: Compression,
    /// Of each manifest.
    pub annotations: BTreeMap<String, String>,
    /// Of the index, if there is one.
    pub index_annotations: BTreeMap<String, String>,
    /// Of the manifests' descriptors in the index.
    pub descriptor_annotations: BTreeMap<String, String>,
    /// Make an index even for one platform.
    pub index: bool,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            epoch: None,
            rewrite_timestamp: false,
            compression: Compression::None,
            annotations: BTreeMap::new(),
            index_annotations: BTreeMap::new(),
            descriptor_annotations: BTreeMap::new(),
            index: false,
        }
    }
}
