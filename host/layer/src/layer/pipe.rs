//! Threads that each do one thing with the same bytes: hash them, decode them, compress and store them.

use std::{
    io::{self, Read, Write},
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender},
    },
    thread::{self, JoinHandle},
};

use nacre_oci::{Algorithm, Hasher, Staged};

use crate::{Codec, codec::CHUNK};

/// Pieces that wait for each thread.
const AHEAD: usize = 8;

/// A piece of a stream that several threads read.
pub(crate) type Chunk = Arc<Vec<u8>>;

/// A thread that takes pieces in and returns something at their end.
///
/// Dropping it waits for the thread, so that what that holds, such as a file in a store, is gone then.
pub(crate) struct Worker<T> {
    chunks: Option<SyncSender<Chunk>>,
    thread: Option<JoinHandle<io::Result<T>>>,
}

impl<T: Send + 'static> Worker<T> {
    pub(crate) fn spawn(work: impl FnOnce(Chunks) -> io::Result<T> + Send + 'static) -> Self {
        let (chunks, queue) = mpsc::sync_channel(AHEAD);
        let thread = thread::spawn(move || work(Chunks { queue, chunk: Arc::default(), at: 0 }));
        Self { chunks: Some(chunks), thread: Some(thread) }
    }

    /// False if the thread has ended, which it does early only when it failed: [`Worker::finish`] says why.
    pub(crate) fn send(&self, chunk: &Chunk) -> bool {
        self.chunks.as_ref().is_some_and(|chunks| chunks.send(Arc::clone(chunk)).is_ok())
    }

    /// Waits for what the thread returns.
    pub(crate) fn finish(mut self) -> io::Result<T> {
        self.join().unwrap_or_else(|| Err(io::Error::other("a thread that makes a layer ended")))
    }
}

impl<T> Worker<T> {
    /// What the thread returns; `None` if it panicked or was waited for before.
    fn join(&mut self) -> Option<io::Result<T>> {
        self.chunks = None;
        self.thread.take()?.join().ok()
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        self.join();
    }
}

/// The pieces that a worker takes in, also as a reader.
pub(crate) struct Chunks {
    queue: Receiver<Chunk>,
    chunk: Chunk,
    at: usize,
}

impl Iterator for Chunks {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        self.queue.recv().ok()
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.chunk.len() {
            let Some(chunk) = self.next() else { return Ok(0) };
            (self.chunk, self.at) = (chunk, 0);
        }
        let count = buffer.len().min(self.chunk.len() - self.at);
        buffer[..count].copy_from_slice(&self.chunk[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Hashes what comes.
pub(crate) fn hashing() -> Worker<Hasher> {
    Worker::spawn(|chunks| {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        chunks.for_each(|chunk| hasher.update(&chunk));
        Ok(hasher)
    })
}

/// Writes what comes to `staged`, compressed. That hashes what it is given, so nobody here does.
pub(crate) fn storing(mut staged: Box<dyn Staged>, codec: Option<Codec>) -> Worker<Box<dyn Staged>> {
    Worker::spawn(move |mut chunks| match codec {
        None => {
            chunks.try_for_each(|chunk| staged.write_all(&chunk))?;
            Ok(staged)
        }
        Some(codec) => {
            let mut encoder = codec.writer(staged)?;
            chunks.try_for_each(|chunk| encoder.write_all(&chunk))?;
            encoder.finish()
        }
    })
}

/// The next piece of a reader, full except at the end; empty only there.
pub(crate) fn read_chunk(reader: &mut dyn Read) -> io::Result<Chunk> {
    let mut chunk = vec![0; CHUNK];
    let mut held = 0;
    while held < CHUNK {
        match reader.read(&mut chunk[held..]) {
            Ok(0) => break,
            Ok(count) => held += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    chunk.truncate(held);
    Ok(Arc::new(chunk))
}

/// What was said when a worker had ended: the real reason comes from the worker.
pub(crate) fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "a thread that makes a layer ended")
}

/// A reader whose bytes also go, in pieces, to `each`. Skipping costs nothing.
pub(crate) struct Tee<R, F> {
    inner: R,
    each: F,
    chunk: Chunk,
    at: usize,
}

impl<R: Read, F: FnMut(&Chunk) -> bool> Tee<R, F> {
    /// `each` returns false if it takes no more.
    pub(crate) fn new(inner: R, each: F) -> Self {
        Self { inner, each, chunk: Arc::default(), at: 0 }
    }

    /// Leaves out `count` bytes; they still go to the others.
    pub(crate) fn skip(&mut self, mut count: u64) -> io::Result<()> {
        while count > 0 {
            let held = self.fill()?;
            if held == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let skipped = held.min(usize::try_from(count).unwrap_or(usize::MAX));
            self.at += skipped;
            count -= skipped as u64;
        }
        Ok(())
    }

    /// How many bytes are at hand; none only at the end.
    fn fill(&mut self) -> io::Result<usize> {
        if self.at == self.chunk.len() {
            (self.chunk, self.at) = (read_chunk(&mut self.inner)?, 0);
            if !self.chunk.is_empty() && !(self.each)(&self.chunk) {
                return Err(gone());
            }
        }
        Ok(self.chunk.len() - self.at)
    }
}

impl<R: Read, F: FnMut(&Chunk) -> bool> Read for Tee<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.fill()?);
        buffer[..count].copy_from_slice(&self.chunk[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
