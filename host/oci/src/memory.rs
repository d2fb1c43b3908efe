//! Images in memory: the double that tests use, and where small images are put together.

use std::{
    collections::BTreeMap,
    io::{self, Cursor, Read, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{Content, Descriptor, Digest, Error, Hasher, Put, RawManifest, Result, Sink, Source, Staged, Staging};

/// A source and sink without a disk. Clones share what is in it.
#[derive(Clone, Default)]
pub struct Memory {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    blobs: BTreeMap<Digest, Arc<[u8]>>,
    tags: BTreeMap<String, Descriptor>,
}

impl Memory {
    /// Nothing in it yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes and returns their descriptor.
    pub fn add(&self, media_type: &str, bytes: impl Into<Arc<[u8]>>) -> Descriptor {
        let bytes = bytes.into();
        let descriptor = Descriptor::of(media_type, &bytes);
        self.lock().blobs.insert(descriptor.digest.clone(), bytes);
        descriptor
    }

    /// Puts bytes under a digest that was computed elsewhere, if at all: whoever reads them checks. (So tests can show that
    /// damage is noticed.)
    pub fn add_unchecked(&self, digest: Digest, bytes: impl Into<Arc<[u8]>>) {
        self.lock().blobs.insert(digest, bytes.into());
    }

    /// Takes content away.
    pub fn remove(&self, digest: &Digest) {
        self.lock().blobs.remove(digest);
    }

    /// The digests that are there, sorted.
    pub fn digests(&self) -> Vec<Digest> {
        self.lock().blobs.keys().cloned().collect()
    }

    /// The names that are there with what they stand for, sorted.
    pub fn tags(&self) -> Vec<(String, Descriptor)> {
        self.lock().tags.clone().into_iter().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Memory {
    fn resolve(&self, name: &str) -> Result<Descriptor> {
        let inner = self.lock();
        inner.tags.get(name).cloned().ok_or_else(|| Error::not_found(format!("image '{name}'")))
    }

    fn open_unverified(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>> {
        let inner = self.lock();
        let bytes = inner.blobs.get(&descriptor.digest).ok_or_else(|| Error::not_found(descriptor.digest.to_string()))?;
        let mut reader = Cursor::new(Arc::clone(bytes));
        reader.set_position(offset);
        Ok(Box::new(reader))
    }
}

impl Sink for Memory {
    fn contains(&self, descriptor: &Descriptor) -> Result<bool> {
        Ok(self.lock().blobs.get(&descriptor.digest).is_some_and(|bytes| bytes.len() as u64 == descriptor.size))
    }

    fn put(&self, descriptor: &Descriptor, content: &Content<'_>) -> Result<Put> {
        let bytes = content.open()?.into_vec(u64::MAX)?;
        self.lock().blobs.insert(descriptor.digest.clone(), bytes.into());
        Ok(Put::Stored)
    }

    fn tag(&self, name: &str, target: &RawManifest) -> Result<()> {
        self.lock().tags.insert(name.to_owned(), target.descriptor.clone());
        Ok(())
    }
}

impl Staging for Memory {
    fn stage(&self) -> Result<Box<dyn Staged>> {
        Ok(Box::new(Growing { memory: self.clone(), bytes: Vec::new() }))
    }
}

/// Content that is being written to a memory.
struct Growing {
    memory: Memory,
    bytes: Vec<u8>,
}

impl Write for Growing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Staged for Growing {
    fn written(&self) -> (Digest, u64) {
        (Digest::of(&self.bytes), self.bytes.len() as u64)
    }

    fn commit(self: Box<Self>, descriptor: &Descriptor) -> Result<()> {
        let mut hasher = Hasher::new(descriptor.digest.algorithm());
        hasher.update(&self.bytes);
        hasher.check(descriptor)?;
        self.memory.lock().blobs.insert(descriptor.digest.clone(), self.bytes.into());
        Ok(())
    }
}
