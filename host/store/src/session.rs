//! The store as [`Source`] and [`Sink`].

use std::{
    io::{self, Read, Write},
    sync::Arc,
};

use nacre_oci::{Content, Descriptor, Digest, Error, Put, RawManifest, Reference, Result, Sink, Source, Staged, Staging};

use crate::{
    Acquired, Lease, Store, Upload, ingest,
    meta::edges,
    planted::{Bug, planted},
};

impl Source for Store {
    fn resolve(&self, name: &str) -> Result<Descriptor> {
        Ok(self.find(name)?.image.descriptor)
    }

    fn open_unverified(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>> {
        self.open_at(descriptor, offset)
    }

    fn origins(&self, descriptor: &Descriptor) -> Vec<Reference> {
        // Not knowing only costs an upload, so a failure here is no reason to stop.
        let names = self.meta.read(|db| Ok(edges::origins(db, &descriptor.digest)?)).unwrap_or_default();
        names.iter().filter_map(|name| name.parse().ok()).collect()
    }
}

/// Nothing that is put this way is protected before it has a name: use [`Store::session`] where a prune may run.
impl Sink for Store {
    fn contains(&self, descriptor: &Descriptor) -> Result<bool> {
        self.layout.has(descriptor)
    }

    fn put(&self, descriptor: &Descriptor, content: &Content<'_>) -> Result<Put> {
        self.session(Acquired::Copied)?.put(descriptor, content)
    }

    fn tag(&self, name: &str, target: &RawManifest) -> Result<()> {
        self.add_tagged(&name.parse()?, target, Acquired::Copied).map(drop)
    }
}

/// A sink into the store whose content, new or found there, no prune touches while the session lives.
pub struct Session {
    store: Store,
    lease: Arc<Lease>,
    acquired: Acquired,
}

impl Store {
    /// Begins to write images that were `acquired` in this way.
    ///
    /// # Errors
    /// If a lease cannot be made.
    pub fn session(&self, acquired: Acquired) -> Result<Session> {
        Ok(Session { store: self.clone(), lease: Arc::new(self.lease()?), acquired })
    }
}

impl Session {
    /// The store that it writes to.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What protects the session's content.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }
}

impl Sink for Session {
    fn contains(&self, descriptor: &Descriptor) -> Result<bool> {
        // Protected first, so that what is found does not go away afterwards.
        if !planted(Bug::FoundNotLeased) {
            self.lease.protect([&descriptor.digest])?;
        }
        self.store.layout.has(descriptor)
    }

    fn put(&self, descriptor: &Descriptor, content: &Content<'_>) -> Result<Put> {
        self.lease.protect([&descriptor.digest])?;
        ingest::put(&self.store.layout, descriptor, content)
    }

    fn tag(&self, name: &str, target: &RawManifest) -> Result<()> {
        self.store.add_tagged(&name.parse()?, target, self.acquired).map(drop)
    }
}

impl Staging for Session {
    fn stage(&self) -> Result<Box<dyn Staged>> {
        Ok(Box::new(Arriving { upload: self.store.upload()?, lease: Arc::clone(&self.lease) }))
    }
}

/// An upload of this process itself.
struct Arriving {
    upload: Upload,
    lease: Arc<Lease>,
}

impl Write for Arriving {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.upload.append(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Staged for Arriving {
    fn written(&self) -> (Digest, u64) {
        (self.upload.digest(), self.upload.offset())
    }

    fn commit(self: Box<Self>, descriptor: &Descriptor) -> Result<()> {
        if self.upload.offset() != descriptor.size && !planted(Bug::SizeUnchecked) {
            let (what, expected) = (format!("content of {}", descriptor.digest), format!("{} bytes", descriptor.size));
            return Err(Error::Mismatch { what, expected, actual: format!("{} bytes", self.upload.offset()) });
        }
        self.upload.finish(&descriptor.digest, &self.lease).map(drop)
    }
}
