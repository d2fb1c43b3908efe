//! Layers that are held back until all of an image is made and admitted: what fails or is denied leaves nothing.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use nacre_oci::{Descriptor, Digest, Result, Staged, Staging};

type Finished = Vec<(Box<dyn Staged>, Descriptor)>;

/// Content that is staged elsewhere, and stored with [`Held::commit`].
pub(crate) struct Held {
    inner: Arc<dyn Staging>,
    finished: Arc<Mutex<Finished>>,
}

impl Held {
    pub(crate) fn new(inner: Arc<dyn Staging>) -> Self {
        Self { inner, finished: Arc::default() }
    }

    /// Stores everything that was finished.
    pub(crate) fn commit(&self) -> Result<()> {
        let finished = std::mem::take(&mut *self.finished.lock().unwrap_or_else(PoisonError::into_inner));
        finished.into_iter().try_for_each(|(staged, descriptor)| staged.commit(&descriptor))
    }
}

impl Staging for Held {
    fn stage(&self) -> Result<Box<dyn Staged>> {
        Ok(Box::new(Open { inner: self.inner.stage()?, finished: Arc::clone(&self.finished) }))
    }
}

/// Content that is being written.
struct Open {
    inner: Box<dyn Staged>,
    finished: Arc<Mutex<Finished>>,
}

impl Write for Open {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Staged for Open {
    fn written(&self) -> (Digest, u64) {
        self.inner.written()
    }

    fn commit(self: Box<Self>, descriptor: &Descriptor) -> Result<()> {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).push((self.inner, descriptor.clone()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nacre_oci::{Memory, media_type};

    use super::*;

    #[test]
    fn nothing_is_stored_before_the_commit() {
        let memory = Arc::new(Memory::new());
        let held = Held::new(Arc::clone(&memory) as Arc<dyn Staging>);
        let descriptor = Descriptor::of(media_type::OCI_LAYER, b"layer");
        let mut staged = held.stage().unwrap();
        staged.write_all(b"layer").unwrap();
        staged.commit(&descriptor).unwrap();
        assert!(memory.digests().is_empty());
        held.commit().unwrap();
        assert_eq!(memory.digests(), [descriptor.digest]);
    }

    #[test]
    fn wrong_bytes_are_noticed_in_the_end() {
        let held = Held::new(Arc::new(Memory::new()));
        held.stage().unwrap().commit(&Descriptor::of(media_type::OCI_LAYER, b"other")).unwrap();
        assert!(held.commit().is_err());
    }
}
