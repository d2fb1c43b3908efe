//! gzip on all processors: blocks are deflated on their own and joined in one member, as pigz does.
//!
//! Where blocks begin depends on the bytes alone, so the result is the same on every machine.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender, SyncSender},
    },
    thread,
};

use flate2::{Compress, Compression, Crc, FlushCompress};

/// Each block is compressed without knowing those before it: at this size that costs less than 1 %.
const BLOCK: usize = 1 << 20;
/// RFC 1952: deflate, no flags, no time, fastest, unknown operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
/// An empty block with the mark "last" (RFC 1951, 3.2.6), after blocks that all lack it.
const LAST: [u8; 2] = [3, 0];
/// More threads than this would wait for whoever hashes the result.
const MAX_THREADS: usize = 8;

struct Block {
    /// The deflated bytes, ending at a whole byte.
    packed: Vec<u8>,
    crc: Crc,
}

struct Job {
    plain: Vec<u8>,
    done: SyncSender<Block>,
}

/// Writes one gzip member.
pub(crate) struct GzipWriter<W> {
    out: W,
    plain: Vec<u8>,
    crc: Crc,
    begun: bool,
    pool: Option<Pool>,
    waiting: VecDeque<Receiver<Block>>,
}

/// Threads that end when nobody has work for them any more.
struct Pool {
    jobs: Sender<Job>,
    threads: usize,
}

impl<W: Write> GzipWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, plain: Vec::new(), crc: Crc::new(), begun: false, pool: None, waiting: VecDeque::new() }
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        if self.pool.is_some() {
            self.send()?;
        } else {
            // Not worth a thread.
            let block = deflate(&self.plain);
            self.emit(&block)?;
        }
        while let Some(block) = self.waiting.pop_front() {
            self.emit(&receive(&block)?)?;
        }
        self.out.write_all(&LAST)?;
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        self.out.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.out)
    }

    /// Hands the block at hand to a thread. If enough are on their way, waits for the first.
    fn send(&mut self) -> io::Result<()> {
        let pool = self.pool.get_or_insert_with(Pool::new);
        if self.waiting.len() > 2 * pool.threads {
            let first = self.waiting.pop_front().expect("more than none");
            let block = receive(&first)?;
            self.emit(&block)?;
        }
        let (done, block) = mpsc::sync_channel(1);
        let plain = std::mem::replace(&mut self.plain, Vec::with_capacity(BLOCK));
        let pool = self.pool.as_ref().expect("made above");
        pool.jobs.send(Job { plain, done }).map_err(|_| io::Error::other("the compressing threads ended"))?;
        self.waiting.push_back(block);
        Ok(())
    }

    fn emit(&mut self, block: &Block) -> io::Result<()> {
        if !self.begun {
            self.out.write_all(&HEADER)?;
            self.begun = true;
        }
        self.crc.combine(&block.crc);
        self.out.write_all(&block.packed)
    }
}

impl Pool {
    fn new() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let queue = Arc::clone(&queue);
            thread::spawn(move || work(&queue));
        }
        Self { jobs, threads }
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { plain, done }) = job else { return };
        // Whoever asked may have given up.
        _ = done.send(deflate(&plain));
    }
}

fn receive(block: &Receiver<Block>) -> io::Result<Block> {
    block.recv().map_err(|_| io::Error::other("a compressing thread ended"))
}

fn deflate(plain: &[u8]) -> Block {
    let mut crc = Crc::new();
    crc.update(plain);
    let mut packed = Vec::with_capacity(plain.len() / 2 + 1024);
    let mut state = Compress::new(Compression::fast(), false);
    loop {
        let consumed = usize::try_from(state.total_in()).expect("at most a block");
        // As long as the output fills up there may be more.
        state.compress_vec(&plain[consumed..], &mut packed, FlushCompress::Sync).expect("deflate takes any bytes");
        if packed.len() < packed.capacity() {
            return Block { packed, crc };
        }
        packed.reserve(packed.capacity() / 2 + 1024);
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(BLOCK - self.plain.len());
        self.plain.extend_from_slice(&bytes[..count]);
        if self.plain.len() == BLOCK {
            self.send()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
