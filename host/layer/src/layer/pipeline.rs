//! From a tar's plain bytes to a stored layer and both its digests.

use std::{
    io::{self, Write},
    sync::Arc,
};

use nacre_oci::{Descriptor, Hasher, Staged};

use crate::{
    codec::CHUNK,
    layer::{
        Compression, Ended, Layer,
        pipe::{Chunk, Worker, gone, hashing, storing},
    },
};

/// Hashes, compresses and stores what is written to it, each on a thread of its own.
pub(crate) struct Pipeline {
    buffer: Vec<u8>,
    /// Not when nothing is compressed: then both digests are one.
    plain: Option<Worker<Hasher>>,
    store: Worker<Box<dyn Staged>>,
    compression: Compression,
}

impl Pipeline {
    pub(crate) fn new(staged: Box<dyn Staged>, compression: Compression) -> Self {
        let plain = (compression != Compression::None).then(hashing);
        Self { buffer: Vec::new(), plain, store: storing(staged, compression.codec()), compression }
    }

    /// Takes a whole piece. False if a thread has failed.
    pub(crate) fn send(&self, chunk: &Chunk) -> bool {
        self.plain.as_ref().is_none_or(|plain| plain.send(chunk)) && self.store.send(chunk)
    }

    fn send_buffer(&mut self) -> io::Result<()> {
        let chunk = Arc::new(std::mem::take(&mut self.buffer));
        if self.send(&chunk) { Ok(()) } else { Err(gone()) }
    }

    /// Ends the layer; it is stored, but not committed.
    pub(crate) fn finish(mut self) -> io::Result<Ended> {
        if !self.buffer.is_empty() {
            // If that fails, the threads say why.
            _ = self.send_buffer();
        }
        let staged = self.store.finish()?;
        let (digest, size) = staged.written();
        let diff_id = match self.plain {
            Some(plain) => plain.finish()?.digest(),
            None => digest.clone(),
        };
        let descriptor = Descriptor::new(self.compression.media_type(), digest, size);
        Ok(Ended { layer: Layer { descriptor, diff_id }, staged })
    }

    /// Why a thread failed, if `error` says only that one did.
    pub(crate) fn explain(self, error: io::Error) -> io::Error {
        if error.kind() == io::ErrorKind::BrokenPipe { self.finish().err().unwrap_or(error) } else { error }
    }
}

impl Write for Pipeline {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.capacity() == 0 {
            self.buffer.reserve_exact(CHUNK);
        }
        let count = bytes.len().min(CHUNK - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        if self.buffer.len() == CHUNK {
            self.send_buffer()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
