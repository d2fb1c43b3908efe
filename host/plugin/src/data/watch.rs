//! Everything that moves bytes for a plugin: counted, bounded, and ended when the user wants an end.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nacre_layer::Reader;
use nacre_oci::Progress;

use super::MAX_MOVED;
use super::pool::Pools;

/// Moving this many bytes excuses time in any call ...
const EXCUSED: u64 = 1 << 20;
/// ... and so does moving each byte that the plugin was given this many times: enough for what is read, unpacked, compared
/// and written. Whoever goes on reading the same again does it in its own time.
const TURNS: u64 = 64;

/// What moves fewer bytes at a time takes no time worth excusing.
const FEW: u64 = 64 << 10;

/// Counts the bytes of one call.
#[derive(Clone)]
pub(crate) struct Watch {
    progress: Arc<dyn Progress>,
    moved: Arc<AtomicU64>,
    excuse: Arc<AtomicU64>,
    /// What is kept for the plugin.
    pub(super) pools: Arc<Pools>,
}

impl Watch {
    pub(crate) fn new(progress: Arc<dyn Progress>) -> Watch {
        Watch { progress, moved: Arc::default(), excuse: Arc::new(AtomicU64::new(EXCUSED)), pools: Arc::default() }
    }

    /// Whether the user wants an end.
    pub(crate) fn cancelled(&self) -> bool {
        self.progress.cancelled()
    }

    /// Bytes that were moved so far.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Counts `bytes` that were moved.
    pub(crate) fn count(&self, bytes: u64) -> io::Result<()> {
        if self.cancelled() {
            return Err(nacre_oci::Error::Cancelled.into());
        }
        let add = |moved: u64| Some(moved.saturating_add(bytes));
        let before = self.moved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).unwrap_or_default();
        match before.saturating_add(bytes) <= MAX_MOVED {
            true => Ok(()),
            false => Err(io::Error::other(TooMuch)),
        }
    }

    /// The plugin is given data of `size` bytes, or of a size that nobody knows.
    pub(crate) fn given(&self, size: Option<u64>) {
        let more = size.map_or(u64::MAX, |size| size.saturating_mul(TURNS));
        let _ = self.excuse.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_add(more)));
    }

    /// How many of `bytes` that were moved still excuse the time that it took.
    pub(crate) fn excused(&self, bytes: u64) -> u64 {
        if bytes < FEW {
            return 0;
        }
        let take = |left: u64| Some(left.saturating_sub(bytes));
        self.excuse.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).unwrap_or_default().min(bytes)
    }

    /// A reader or writer that counts.
    pub(crate) fn over<T>(&self, inner: T) -> Watched<T> {
        Watched { inner, watch: self.clone() }
    }
}

/// The plugin has more moved than nacre does for one call.
#[derive(Debug)]
pub(super) struct TooMuch;

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {} GiB of data in one call", MAX_MOVED >> 30)
    }
}

impl std::error::Error for TooMuch {}

/// A reader or writer under watch.
pub(crate) struct Watched<T> {
    pub(super) inner: T,
    watch: Watch,
}

impl<T: Read> Read for Watched<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.watch.count(count as u64)?;
        Ok(count)
    }
}

impl<T: Write> Write for Watched<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.watch.count(bytes.len() as u64)?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Watched<Reader> {
    /// Leaves out bytes, which counts as moving them: a stream has to be read for it.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<()> {
        self.watch.count(count)?;
        self.inner.skip(count)
    }
}
