//! The two digests of a layer, in one pass over its bytes.

use std::{
    io::{self, Read},
    sync::{Mutex, PoisonError},
    thread,
};

use nacre_layer::Codec;
use nacre_oci::{Algorithm, Digest, Hasher, Progress, Result};

use crate::pump;

/// What a pass over a compressed layer tells.
#[derive(Clone, Debug)]
pub(crate) struct LayerDigests {
    /// The digest of the bytes as they are.
    pub(crate) blob: Digest,
    /// The digest of the uncompressed bytes.
    pub(crate) diff_id: Digest,
}

/// Reads a layer to its end.
pub(crate) fn digests(layer: impl Read + Send, codec: Codec, progress: &dyn Progress) -> io::Result<LayerDigests> {
    let mut hashing = Hashing { inner: layer, hasher: Hasher::new(Algorithm::Sha256) };
    let mut plain = Hashing { inner: codec.reader(&mut hashing)?, hasher: Hasher::new(Algorithm::Sha256) };
    pump(&mut plain, &mut io::sink(), progress)?;
    let diff_id = plain.hasher.digest();
    drop(plain);
    // A decoder may stop before the end of its input.
    pump(&mut hashing, &mut io::sink(), progress)?;
    Ok(LayerDigests { blob: hashing.hasher.digest(), diff_id })
}

struct Hashing<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

/// `work` on every item, on all processors; the results in the items' order, or the first failure.
pub(crate) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> Result<R> + Sync) -> Result<Vec<R>> {
    let queue = Mutex::new(items.iter().enumerate());
    let results = Mutex::new(Vec::with_capacity(items.len()));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = || {
        while let Some((index, item)) = next() {
            let result = work(item);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from).min(items.len());
    thread::scope(|scope| {
        (1..workers).for_each(|_| _ = scope.spawn(run));
        run();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}
