//! A few new documents over the store: what is sent elsewhere and need not be kept.

use std::io::Read;

use nacre_oci::{Descriptor, Error, Memory, RawManifest, Reference, Result, Source};
use nacre_store::Store;

/// Documents in memory that speak of each other and of content of the store. Clones share them.
#[derive(Clone)]
pub struct Overlay {
    pub(crate) memory: Memory,
    pub(crate) store: Store,
}

impl Overlay {
    /// No documents yet.
    pub(crate) fn new(store: &Store) -> Self {
        Self { memory: Memory::new(), store: store.clone() }
    }

    /// Adds a document.
    pub(crate) fn put(&self, media_type: &str, bytes: Vec<u8>) -> RawManifest {
        RawManifest { descriptor: self.memory.add(media_type, bytes.as_slice()), bytes }
    }
}

impl Source for Overlay {
    fn resolve(&self, name: &str) -> Result<Descriptor> {
        self.memory.resolve(name)
    }

    fn open_unverified(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>> {
        match self.memory.open_unverified(descriptor, offset) {
            Err(Error::NotFound { .. }) => self.store.open_unverified(descriptor, offset),
            opened => opened,
        }
    }

    fn origins(&self, descriptor: &Descriptor) -> Vec<Reference> {
        self.store.origins(descriptor)
    }
}
