//! A stream that is kept on disk as far as it was read.

use std::io::{self, Read};

use crate::{
    bytes::spool::{Spool, Spooled},
    codec::CHUNK,
};

/// What of a stream came so far.
pub(crate) struct Growing {
    reader: Option<Box<dyn Read + Send>>,
    kept: Option<Spooled>,
    spool: Spool,
    buffer: Vec<u8>,
    failed: Option<(io::ErrorKind, String)>,
}

impl Growing {
    pub(crate) fn new(reader: Box<dyn Read + Send>, spool: &Spool) -> Self {
        Self { reader: Some(reader), kept: None, spool: spool.clone(), buffer: Vec::new(), failed: None }
    }

    /// Reads all of it.
    pub(crate) fn size(&mut self) -> io::Result<u64> {
        self.reach(u64::MAX)?;
        Ok(self.kept.as_ref().map_or(0, Spooled::size))
    }

    /// What lies at `offset`, as much as is there without waiting, but at least something.
    pub(crate) fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.reach(offset.saturating_add(1))?;
        self.kept.as_ref().map_or(Ok(0), |kept| kept.read_at(buffer, offset))
    }

    /// Reads on until there are `want` bytes, or to the end.
    fn reach(&mut self, want: u64) -> io::Result<()> {
        if self.kept.as_ref().is_some_and(|kept| kept.size() >= want) {
            return Ok(());
        }
        if let Some((kind, text)) = &self.failed {
            return Err(io::Error::new(*kind, text.clone()));
        }
        let reached = self.pull(want);
        if let Err(error) = &reached {
            self.failed = Some((error.kind(), error.to_string()));
        }
        reached
    }

    fn pull(&mut self, want: u64) -> io::Result<()> {
        let Some(reader) = &mut self.reader else { return Ok(()) };
        let kept = match &mut self.kept {
            Some(kept) => kept,
            none => none.insert(self.spool.file()?),
        };
        self.buffer.resize(CHUNK, 0);
        while kept.size() < want {
            match reader.read(&mut self.buffer) {
                Ok(0) => {
                    self.reader = None;
                    self.buffer = Vec::new();
                    return Ok(());
                }
                Ok(count) => kept.append(&self.buffer[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
