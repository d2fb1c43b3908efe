//! Bytes to be read in order or anywhere, whatever they lie in: files, memory, streams, and pieces of all these.
//!
//! Nothing is read before it has to be. A stream is kept on disk as far as it was read, so that all of it can be read
//! again; what is decompressed is kept only when somebody wants to read it anywhere.

mod base;
mod blocks;
mod pieces;
mod reader;
mod spool;
mod stream;

use std::{
    fs::File,
    io::{self, Read},
    sync::Arc,
};

pub use pieces::Piece;
pub use reader::Reader;
pub(crate) use reader::skip_by_reading;
pub use spool::Spool;

use crate::codec::Codec;
use base::{Base, Kind};

/// A source of bytes. Cheap to clone; a clone reads from the first byte on.
pub struct Bytes {
    base: Arc<Base>,
    reader: Option<Reader>,
}

impl Bytes {
    /// The bytes of a file. What is no regular file, such as a pipe, is a stream.
    ///
    /// # Errors
    /// If the file's size cannot be asked for.
    pub fn from_file(file: File, spool: &Spool) -> io::Result<Self> {
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Ok(Self::from_reader(Box::new(file), spool));
        }
        Ok(Self::of(Base::new(Kind::File { file, size: meta.len() }, spool)))
    }

    /// Bytes in memory.
    pub fn from_vec(bytes: Vec<u8>, spool: &Spool) -> Self {
        Self::of(Base::new(Kind::Memory(bytes), spool))
    }

    /// A stream. As far as it is read it is kept in `spool`.
    pub fn from_reader(reader: Box<dyn Read + Send>, spool: &Spool) -> Self {
        Self::of(Base::new(Kind::stream(reader, spool), spool))
    }

    fn of(base: Base) -> Self {
        Self { base: Arc::new(base), reader: None }
    }

    /// How many bytes there are, where nothing has to be read to know that.
    pub fn known_size(&self) -> Option<u64> {
        self.base.known_size()
    }

    /// How many bytes there are. Of a stream, all has to be read first.
    ///
    /// # Errors
    /// If the bytes cannot be read, or not kept.
    pub fn size(&self) -> io::Result<u64> {
        self.base.size()
    }

    /// The next bytes, at most `max`; fewer only at the end.
    ///
    /// # Errors
    /// If they cannot be read, which includes that they turn out to be damaged.
    pub fn read_next(&mut self, max: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.take(max as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Bytes from `offset` on, at most `max`; fewer only at the end. Reading in order goes on where it was.
    ///
    /// # Errors
    /// As [`Bytes::read_next`].
    pub fn read_at(&self, offset: u64, max: usize) -> io::Result<Vec<u8>> {
        self.base.read_vec(offset, max)
    }

    /// The bytes of these pieces of this source, in this order. Nothing is read before the result is, except all of
    /// a stream.
    ///
    /// # Errors
    /// If a piece reaches beyond the end, if there are far too many pieces, or if they make far more bytes than the source
    /// has (as in [`Codec::reader`]).
    pub fn part(&self, pieces: &[Piece]) -> io::Result<Self> {
        pieces::compose(&self.base, pieces).map(Self::of)
    }

    /// All bytes from the first on, decompressed. Without a codec it is told by the first bytes; then a source without
    /// a known compression stays what it is.
    ///
    /// # Errors
    /// If the first bytes cannot be read, the codec has no streams, or too many decompressions are stacked.
    pub fn decompress(&self, codec: Option<Codec>) -> io::Result<Self> {
        let codec = match codec {
            Some(codec) => Some(codec),
            None => Codec::detect(&self.read_at(0, Codec::HEAD)?),
        };
        match codec {
            Some(codec) => Base::decoded(&self.base, codec).map(Self::of),
            None => Ok(self.clone()),
        }
    }

    /// As [`Bytes::decompress`], but decoded only as far as it is read, once: what is damaged behind that does no harm.
    ///
    /// # Errors
    /// As [`Bytes::decompress`].
    pub fn decompress_as_read(&self) -> io::Result<Self> {
        let plain = self.decompress(None)?;
        if Arc::ptr_eq(&plain.base, &self.base) {
            return Ok(plain);
        }
        let reader = Box::new(plain.reader_from_start()?);
        Ok(Self::from_reader(reader, &self.base.spool))
    }

    /// A reader of its own, from the first byte on.
    ///
    /// # Errors
    /// If a decompression cannot begin.
    pub fn reader_from_start(&self) -> io::Result<Reader> {
        Reader::new(&self.base)
    }

    /// How much memory this source takes, in bytes, without what it shares with others.
    pub fn weight(&self) -> usize {
        self.base.weight()
    }
}

impl Clone for Bytes {
    fn clone(&self) -> Self {
        Self { base: Arc::clone(&self.base), reader: None }
    }
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.reader.is_none() {
            self.reader = Some(Reader::new(&self.base)?);
        }
        self.reader.as_mut().expect("made above").read(buffer)
    }
}

#[cfg(test)]
mod tests;
