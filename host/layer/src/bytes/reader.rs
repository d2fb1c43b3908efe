//! Reading a source in order.

use std::{
    io::{self, Read},
    sync::Arc,
};

use crate::{
    bytes::{
        base::{Base, Kind},
        spool::Permit,
    },
    codec::CHUNK,
};

/// Reads a source from its first byte on, in order, independent of other readers.
pub struct Reader(Inner);

enum Inner {
    /// In something that can be read anywhere.
    At { base: Arc<Base>, position: u64 },
    /// While it is decompressed.
    Stream { plain: Box<dyn Read + Send>, _permit: Permit },
}

impl Reader {
    pub(crate) fn new(base: &Arc<Base>) -> io::Result<Self> {
        match &base.kind {
            Kind::Decoded { of, codec, .. } if base.kept().is_none() => match base.spool.decoder() {
                Some(permit) => Ok(Self(Inner::Stream { plain: codec.padded_reader(Self::new(of)?)?, _permit: permit })),
                // Too many of them run: then this one runs now, to its end.
                None => base.keep().map(|_| Self::at(base)),
            },
            _ => Ok(Self::at(base)),
        }
    }

    fn at(base: &Arc<Base>) -> Self {
        Self(Inner::At { base: Arc::clone(base), position: 0 })
    }

    /// Leaves out `count` bytes, without reading them where that can be avoided.
    ///
    /// # Errors
    /// If there are fewer, or they cannot be read.
    pub fn skip(&mut self, count: u64) -> io::Result<()> {
        match &mut self.0 {
            Inner::At { base, position } => {
                // The last one is read, so that a cut is noticed.
                let end = position.checked_add(count).ok_or(io::ErrorKind::UnexpectedEof)?;
                if count > 0 && base.read_vec(end - 1, 1)?.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                *position = end;
                Ok(())
            }
            Inner::Stream { plain, .. } => skip_by_reading(plain, count),
        }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::At { base, position } => {
                let count = base.read_at(buffer, *position)?;
                *position += count as u64;
                Ok(count)
            }
            Inner::Stream { plain, .. } => plain.read(buffer),
        }
    }
}

/// Reads `count` bytes and drops them.
pub(crate) fn skip_by_reading(reader: &mut (impl Read + ?Sized), mut count: u64) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK.min(usize::try_from(count).unwrap_or(CHUNK))];
    while count > 0 {
        let want = buffer.len().min(usize::try_from(count).unwrap_or(usize::MAX));
        match reader.read(&mut buffer[..want]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => count -= read as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
