//! What comes out of a build.

use std::{collections::BTreeMap, sync::Arc};

use nacre_layer::Layer;
use nacre_oci::{Descriptor, Digest, Options, Platform, RawManifest, Result, Select, Silent, copy};
use nacre_store::{CacheRecord, Session};

use crate::{Overlay, StepId};

/// A built image. Its layers are in the store, held by the build cache, and no prune takes them while this lives. Its documents
/// are in memory, so that a build whose result goes elsewhere leaves nothing behind.
pub struct Built {
    /// One per platform, in the order of the frontend.
    pub images: Vec<BuiltImage>,
    /// The index, or of a single image its manifest.
    pub root: RawManifest,
    /// What has all of it.
    pub content: Overlay,
    /// What was done, in the order in which it was finished.
    pub steps: Vec<Step>,
    /// The time that it shows, Unix seconds, if the user or the file gave one (`SOURCE_DATE_EPOCH`).
    pub epoch: Option<i64>,
    /// What the build took in from outside.
    pub materials: Vec<Material>,
    /// Writes to the store what is protected with the image.
    pub session: Arc<Session>,
}

impl Built {
    /// Puts the documents into the store, where the image can have a name from then on. Without one they are protected, as all
    /// of it, while this lives.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn store(&self) -> Result<()> {
        let options = Options { select: Select::All, parallel: 1, progress: &Silent };
        copy(&self.content, &*self.session, &self.root.descriptor, &[], &options).map(drop)
    }
}

/// The image of one platform.
#[derive(Clone, Debug)]
pub struct BuiltImage {
    /// What it runs on.
    pub platform: Platform,
    /// Its manifest.
    pub manifest: RawManifest,
    /// Its config.
    pub config: Descriptor,
    /// Its layers as its manifest has them, base first.
    pub layers: Vec<Layer>,
}

/// One operation that was carried out or found in the cache.
#[derive(Clone, Debug)]
pub struct Step {
    /// As in the build's events.
    pub id: StepId,
    /// Its label.
    pub name: String,
    /// Whether its result was in the cache.
    pub cached: bool,
    /// Its record in the cache; sources such as images have none.
    pub record: Option<CacheRecord>,
}

/// Something from outside that a build depends on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Material {
    /// A package URL, a URL or a git remote with its reference.
    pub uri: String,
    /// Algorithm to hexadecimal digest: `sha256` or `gitCommit`.
    pub digest: BTreeMap<String, String>,
}

impl Material {
    /// Something that has a digest of its own.
    pub fn new(uri: impl Into<String>, digest: &Digest) -> Self {
        let digest = BTreeMap::from([(digest.algorithm().name().to_owned(), digest.hex().to_owned())]);
        Self { uri: uri.into(), digest }
    }
}
