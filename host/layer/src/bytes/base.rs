//! What sources read from. Any number of them share one.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    bytes::{
        pieces::Pieces,
        reader::Reader,
        spool::{Spool, Spooled},
        stream::Growing,
    },
    codec::{CHUNK, Codec},
};

/// The most decompressions and parts that are stacked on each other.
const MAX_DEPTH: u8 = 8;

/// Bytes that can be read anywhere.
pub(crate) struct Base {
    pub(crate) kind: Kind,
    pub(crate) spool: Spool,
    /// Tells its blocks from those of others.
    pub(crate) number: u64,
    depth: u8,
}

/// Where they lie.
pub(crate) enum Kind {
    File {
        file: File,
        size: u64,
    },
    Memory(Vec<u8>),
    Stream(Mutex<Growing>),
    /// Kept only when somebody reads anywhere in it.
    Decoded {
        of: Arc<Base>,
        codec: Codec,
        kept: Mutex<Option<Arc<Spooled>>>,
    },
    Pieces(Pieces),
}

impl Kind {
    pub(crate) fn stream(reader: Box<dyn Read + Send>, spool: &Spool) -> Self {
        Self::Stream(Mutex::new(Growing::new(reader, spool)))
    }
}

impl Base {
    pub(crate) fn new(kind: Kind, spool: &Spool) -> Self {
        Self { kind, spool: spool.clone(), number: spool.number(), depth: 0 }
    }

    /// Something on top of `below`.
    pub(crate) fn above(below: &Self, kind: Kind) -> io::Result<Self> {
        let depth = below.depth + 1;
        if depth > MAX_DEPTH {
            let text = format!("more than {MAX_DEPTH} parts and decompressions are stacked on each other");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Self { depth, ..Self::new(kind, &below.spool) })
    }

    pub(crate) fn decoded(below: &Arc<Self>, codec: Codec) -> io::Result<Self> {
        if codec == Codec::Lz4Block {
            return Err(crate::codec::blocks_only());
        }
        Self::above(below, Kind::Decoded { of: Arc::clone(below), codec, kept: Mutex::default() })
    }

    pub(crate) fn size(&self) -> io::Result<u64> {
        match &self.kind {
            Kind::File { size, .. } => Ok(*size),
            Kind::Memory(bytes) => Ok(bytes.len() as u64),
            Kind::Stream(growing) => lock(growing).size(),
            Kind::Decoded { .. } => Ok(self.keep()?.size()),
            Kind::Pieces(pieces) => Ok(pieces.size()),
        }
    }

    /// Some of the bytes at `offset`; none only at the end.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match &self.kind {
            Kind::File { file, size } => {
                let count = within(buffer.len(), offset, *size);
                match count {
                    0 => Ok(0),
                    _ => file.read_at(&mut buffer[..count], offset).and_then(|read| if read == 0 { Err(shorter()) } else { Ok(read) }),
                }
            }
            Kind::Memory(bytes) => {
                let count = within(buffer.len(), offset, bytes.len() as u64);
                let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                buffer[..count].copy_from_slice(&bytes[from..from + count]);
                Ok(count)
            }
            Kind::Stream(growing) => lock(growing).read_at(buffer, offset),
            Kind::Decoded { .. } => self.keep()?.read_at(buffer, offset),
            Kind::Pieces(pieces) => pieces.read_at(buffer, offset),
        }
    }

    /// The bytes at `offset`, fewer than `max` only at the end.
    pub(crate) fn read_vec(&self, offset: u64, max: usize) -> io::Result<Vec<u8>> {
        let (mut bytes, mut held) = (Vec::new(), 0);
        while held < max {
            if held == bytes.len() {
                // Memory grows with what is there, not with what was asked for.
                bytes.resize(max.min(held + CHUNK), 0);
            }
            match self.read_at(&mut bytes[held..], offset.saturating_add(held as u64)) {
                Ok(0) => break,
                Ok(count) => held += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(held);
        Ok(bytes)
    }

    /// What a decompression was kept as, if it was.
    pub(crate) fn kept(&self) -> Option<Arc<Spooled>> {
        match &self.kind {
            Kind::Decoded { kept, .. } => lock(kept).clone(),
            _ => None,
        }
    }

    /// Decompresses all of it to disk, once.
    pub(crate) fn keep(&self) -> io::Result<Arc<Spooled>> {
        let Kind::Decoded { of, codec, kept } = &self.kind else { unreachable!("only what is decompressed is kept") };
        let mut kept = lock(kept);
        if let Some(done) = &*kept {
            return Ok(Arc::clone(done));
        }
        let mut file = self.spool.file()?;
        let mut plain = codec.padded_reader(Reader::new(of)?)?;
        let mut buffer = vec![0; CHUNK];
        loop {
            match plain.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => file.append(&buffer[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Arc::clone(kept.insert(Arc::new(file))))
    }

    /// The size of what lies ready.
    pub(crate) fn known_size(&self) -> Option<u64> {
        match &self.kind {
            Kind::File { size, .. } => Some(*size),
            Kind::Memory(bytes) => Some(bytes.len() as u64),
            Kind::Pieces(pieces) => Some(pieces.size()),
            Kind::Stream(_) | Kind::Decoded { .. } => None,
        }
    }

    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
            + match &self.kind {
                Kind::Memory(bytes) => bytes.len(),
                Kind::Pieces(pieces) => pieces.weight(),
                _ => 0,
            }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many of `want` bytes at `offset` lie before the end at `size`.
pub(crate) fn within(want: usize, offset: u64, size: u64) -> usize {
    want.min(usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX))
}

pub(crate) fn shorter() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was read")
}
