//! Readers that count, and readers that stop when more comes out than is believable.

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use nacre_oci::Error;

/// What comes out may be this much ...
const FREE: u64 = 1 << 30;
/// ... plus this many times what went in. Real archives and layers stay far below; bombs go far beyond.
const RATIO: u64 = 200;

/// How many bytes may come out of `size` bytes.
pub(crate) fn believable(size: u64) -> u64 {
    FREE.saturating_add(size.saturating_mul(RATIO))
}

/// The error for more than [`believable`].
pub(crate) fn bomb(what: &str) -> Error {
    Error::TooLarge { what: what.into(), limit: format!("1 GiB plus {RATIO} times its compressed size") }
}

/// Counts what is read.
pub(crate) struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    /// The reader, and where it counts.
    pub(crate) fn new(inner: R) -> (Self, Arc<AtomicU64>) {
        let count = Arc::new(AtomicU64::new(0));
        (Self { inner, count: Arc::clone(&count) }, count)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// A decoder that ends in an error when far more comes out than went in, and stays in error then.
pub(crate) struct Limited<R> {
    inner: R,
    consumed: Arc<AtomicU64>,
    produced: u64,
    name: &'static str,
    failed: bool,
}

impl<R: Read> Limited<R> {
    /// `name` is the compression's, for messages.
    pub(crate) fn new(inner: R, consumed: Arc<AtomicU64>, name: &'static str) -> Self {
        Self { inner, consumed, produced: 0, name, failed: false }
    }

    fn next(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer).map_err(|error| explain(error, self.name))?;
        self.produced += count as u64;
        if self.produced > believable(self.consumed.load(Ordering::Relaxed)) {
            return Err(bomb("the decompressed content").into());
        }
        Ok(count)
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            // Some decoders would call it the end.
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("the {} data is damaged", self.name)));
        }
        let read = self.next(buffer);
        self.failed = matches!(&read, Err(error) if error.kind() != io::ErrorKind::Interrupted);
        read
    }
}

/// Decoders say little; what the input's own reader said stays as it is.
fn explain(error: io::Error, name: &str) -> io::Error {
    let own = error.get_ref().is_some_and(|inner| inner.is::<Error>());
    match error.kind() {
        _ if own || error.raw_os_error().is_some() => error,
        io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), format!("the {name} data is cut off")),
        io::ErrorKind::Interrupted => error,
        _ => io::Error::new(io::ErrorKind::InvalidData, format!("the {name} data is damaged: {error}")),
    }
}
