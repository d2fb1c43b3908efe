//! Results of operations: root filesystems as lists of layers.

use std::sync::Arc;

use nacre_layer::Layer;
use nacre_oci::{Algorithm, Digest, Hasher, Platform, Source};

/// One layer of a root filesystem.
#[derive(Clone)]
pub struct Stacked {
    /// Its diff id, and how it is stored.
    pub layer: Layer,
    /// Where it comes from.
    pub origin: Origin,
    /// When it was made, Unix seconds, unless it is an image's.
    pub created: Option<i64>,
    /// The label of the operation that made it; empty for an image's.
    pub description: Arc<str>,
}

/// Where a layer comes from.
#[derive(Clone)]
pub enum Origin {
    /// An image's layer, which may have to be fetched from there.
    Image(Arc<dyn Source>),
    /// A build's own layer, in the store.
    Built,
    /// Another build's layer, which may have to be fetched from there.
    Imported(Arc<dyn Source>),
}

impl Origin {
    /// Where to fetch the layer from if the store does not have it.
    pub(crate) fn source(&self) -> Option<&Arc<dyn Source>> {
        match self {
            Self::Image(source) | Self::Imported(source) => Some(source),
            Self::Built => None,
        }
    }

    /// Whether a build made the layer; those of images are never rewritten.
    pub(crate) fn is_new(&self) -> bool {
        !matches!(self, Self::Image(_))
    }
}

/// A root filesystem: its layers, base first. Their blobs may be absent still.
#[derive(Clone, Default)]
pub struct Snapshot {
    layers: Arc<[Stacked]>,
    platform: Option<Platform>,
}

impl Snapshot {
    /// A root filesystem of these layers, for programs of `platform` if that is known.
    pub(crate) fn new(layers: impl Into<Arc<[Stacked]>>, platform: Option<Platform>) -> Self {
        Self { layers: layers.into(), platform }
    }

    /// Its layers, base first.
    pub fn layers(&self) -> &[Stacked] {
        &self.layers
    }

    /// What its programs run on: the platform of the image that it stands on.
    pub fn platform(&self) -> Option<&Platform> {
        self.platform.as_ref()
    }

    /// This with more layers on top.
    pub(crate) fn with(&self, more: impl IntoIterator<Item = Stacked>) -> Self {
        let layers: Vec<Stacked> = self.layers.iter().cloned().chain(more).collect();
        Self::new(layers, self.platform.clone())
    }

    /// What it is, whatever made it: the digest over its diff ids.
    pub(crate) fn chain(&self) -> Digest {
        let mut hash = Hasher::new(Algorithm::Sha256);
        for stacked in self.layers.iter() {
            hash.update(stacked.layer.diff_id.to_string().as_bytes());
            hash.update(b"\n");
        }
        hash.digest()
    }
}
