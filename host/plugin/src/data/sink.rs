//! Sinks: the resource `sink` of `wit/bytes.wit`, and what it writes to.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{panic, thread};

use nacre_layer::{Codec, Encoder, TarWriter};
use wasmtime::component::{ComponentType, LinkerInstance, Lower, Resource};

use super::bytes::{Codec as WitCodec, Source};
use super::{MAX_BLOCK, Outcome, Trouble, function, resource};
use crate::state::State;

const BUFFER: usize = 256 << 10;
/// The least bytes that a block may have: smaller ones would fill the memory with what is known about each.
const MIN_BLOCK: u32 = 4 << 10;
/// The most blocks of one source: half a TiB in blocks of 128 KiB.
const MAX_BLOCKS: usize = 1 << 22;

/// A file in the making, for [`crate::Plugin::export`].
pub struct Output(Arc<Mutex<Writer>>);

pub(crate) struct Writer {
    to: To,
    /// Bytes that were written, before any compression.
    written: u64,
    /// For copying, between two calls.
    buffer: Vec<u8>,
}

enum To {
    Plain(BufWriter<File>),
    Packed(Box<Encoder<BufWriter<File>>>),
    /// Writing failed, or is over.
    Closed,
}

impl Output {
    /// Writes to a file from where it stands, which must be its beginning.
    pub fn new(file: File) -> Output {
        Output::to(To::Plain(BufWriter::with_capacity(BUFFER, file)))
    }

    /// Compresses all that is written.
    ///
    /// # Errors
    /// The codec has no streams.
    pub fn compressed(file: File, codec: Codec) -> io::Result<Output> {
        Ok(Output::to(To::Packed(Box::new(codec.writer(BufWriter::with_capacity(BUFFER, file))?))))
    }

    fn to(to: To) -> Output {
        Output(Arc::new(Mutex::new(Writer { to, written: 0, buffer: Vec::new() })))
    }

    /// Writes what is left and returns the file, which is not flushed to the disk yet.
    ///
    /// # Errors
    /// It cannot be written, or could not before.
    pub fn finish(self) -> io::Result<File> {
        let buffered = match std::mem::replace(&mut self.writer().to, To::Closed) {
            To::Plain(file) => file,
            To::Packed(encoder) => encoder.finish()?,
            To::Closed => return Err(io::Error::other("an earlier write failed")),
        };
        buffered.into_inner().map_err(io::IntoInnerError::into_error)
    }

    /// Another hold of the same output, for the plugin's handle.
    pub(crate) fn share(&self) -> Output {
        Output(Arc::clone(&self.0))
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    fn compress(&mut self, codec: Codec) -> Outcome<()> {
        if self.written > 0 {
            return Err(Trouble::unsupported("compress() behind the first byte"));
        }
        match std::mem::replace(&mut self.to, To::Closed) {
            To::Plain(file) => self.to = To::Packed(Box::new(codec.writer(file)?)),
            other => {
                self.to = other;
                return Err(Trouble::unsupported("compress(): the output is compressed already"));
            }
        }
        Ok(())
    }

    /// The file itself, which there is only without a compression.
    fn plain(&mut self, what: &str) -> Outcome<&mut BufWriter<File>> {
        match &mut self.to {
            To::Plain(file) => Ok(file),
            _ => Err(Trouble::unsupported(format!("{what}() on a compressed output"))),
        }
    }

    fn write_at(&mut self, offset: u64, data: &[u8]) -> Outcome<()> {
        let end = self.written;
        let file = self.plain("write-at")?;
        if offset.checked_add(data.len() as u64).is_none_or(|last| last > end) {
            return Err(Trouble::invalid(format!("write-at(): {} bytes at {offset} reach beyond the end at {end}", data.len())));
        }
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(data)?;
        file.seek(SeekFrom::Start(end))?;
        Ok(())
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = match &mut self.to {
            To::Plain(file) => file.write(bytes)?,
            To::Packed(encoder) => encoder.write(bytes)?,
            To::Closed => return Err(io::Error::other("an earlier write failed")),
        };
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How one block was written.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(super) struct Block {
    size: u32,
    compressed: bool,
}

/// Adds what of `bytes` is about sinks.
pub(super) fn add(bytes: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    resource::<Output>(bytes, "sink")?;
    function(bytes, "[method]sink.compress", |state, (sink, codec): (Resource<Output>, WitCodec)| {
        state.handles.get(&sink)?.writer().compress(codec.into())
    })?;
    function(bytes, "[method]sink.write", |state, (sink, data): (Resource<Output>, Vec<u8>)| {
        state.crossed_out(data.len())?;
        Ok(state.handles.get(&sink)?.writer().write_all(&data)?)
    })?;
    function(bytes, "[method]sink.splice", |state, (sink, source): (Resource<Output>, Resource<Source>)| {
        let bytes = state.bytes(&source)?;
        state.handles.get(&sink)?.copy(&mut state.watch.over(bytes))
    })?;
    function(bytes, "[method]sink.splice-blocks", splice_blocks)?;
    function(bytes, "[method]sink.position", |state, (sink,): (Resource<Output>,)| {
        let mut writer = state.handles.get(&sink)?.writer();
        writer.plain("position")?;
        Ok(writer.written)
    })?;
    function(bytes, "[method]sink.write-at", |state, (sink, offset, data): (Resource<Output>, u64, Vec<u8>)| {
        state.crossed_out(data.len())?;
        state.handles.get(&sink)?.writer().write_at(offset, &data)
    })
}

impl Output {
    /// Writes all that the reader has.
    fn copy(&self, from: &mut impl Read) -> Outcome<u64> {
        let mut writer = self.writer();
        let before = writer.written;
        let mut buffer = std::mem::take(&mut writer.buffer);
        buffer.resize(BUFFER, 0);
        loop {
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => writer.write_all(&buffer[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        writer.buffer = buffer;
        Ok(writer.written - before)
    }
}

type Blocks = (Resource<Output>, Resource<Source>, u32, WitCodec);

fn splice_blocks(state: &mut State, (sink, source, block_size, codec): Blocks) -> Outcome<Vec<Block>> {
    if !(MIN_BLOCK..=MAX_BLOCK as u32).contains(&block_size) {
        return Err(Trouble::limit(format!("blocks of {block_size} bytes: they may have from 4 KiB to 16 MiB")));
    }
    let mut from = state.watch.over(state.bytes(&source)?);
    let mut writer = state.handles.get(&sink)?.writer();
    writer.plain("splice-blocks")?;
    let mut blocks = Vec::new();
    loop {
        let batch = next_blocks(&mut from, block_size as usize)?;
        if batch.is_empty() {
            return Ok(blocks);
        }
        if blocks.len() + batch.len() > MAX_BLOCKS {
            return Err(Trouble::limit(format!("more than {MAX_BLOCKS} blocks of one source")));
        }
        for (plain, packed) in batch.iter().zip(encode_all(codec.into(), &batch)) {
            let packed = packed?;
            let compressed = packed.len() < plain.len();
            let bytes = if compressed { &packed } else { plain };
            writer.write_all(bytes)?;
            blocks.push(Block { size: bytes.len() as u32, compressed });
        }
    }
}

/// The next blocks, as many as are compressed at a time; fewer, and a shorter one, at the end.
fn next_blocks(from: &mut impl Read, size: usize) -> io::Result<Vec<Vec<u8>>> {
    let mut blocks = Vec::new();
    while blocks.len() < (MAX_BLOCK / size).clamp(1, 32) {
        let mut block = Vec::with_capacity(size);
        from.take(size as u64).read_to_end(&mut block)?;
        if block.is_empty() {
            break;
        }
        blocks.push(block);
    }
    Ok(blocks)
}

/// Compresses blocks on all cores.
fn encode_all(codec: Codec, blocks: &[Vec<u8>]) -> Vec<io::Result<Vec<u8>>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let encode = |share: &[Vec<u8>]| share.iter().map(|block| codec.encode_block(block)).collect::<Vec<_>>();
    if blocks.len() == 1 || cores == 1 {
        return encode(blocks);
    }
    thread::scope(|scope| {
        let shares = blocks.chunks(blocks.len().div_ceil(cores));
        let workers: Vec<_> = shares.map(|share| scope.spawn(move || encode(share))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|panic| panic::resume_unwind(panic))).collect()
    })
}

impl Output {
    /// Writes a tar of what `fill` adds to it.
    pub(crate) fn write_tar(&self, fill: impl FnOnce(&mut TarWriter<&mut Writer>) -> Outcome<()>) -> Outcome<()> {
        let mut writer = self.writer();
        let mut tar = TarWriter::new(&mut *writer);
        fill(&mut tar)?;
        tar.finish()?;
        Ok(())
    }
}
