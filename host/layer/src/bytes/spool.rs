//! Where streams are kept: files without a name, within a limit that all of one command share.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use nacre_oci::{Error, Progress, Silent};

use crate::bytes::base::within;

/// The most bytes that all kept streams of one [`Spool`] may have together.
const MAX: u64 = 64 << 30;

/// A folder for what has to be kept on disk for a while. Cheap to clone; clones share one limit of 64 GiB.
#[derive(Clone)]
pub struct Spool {
    folder: Arc<Path>,
    used: Arc<AtomicU64>,
    progress: Arc<dyn Progress>,
}

impl Spool {
    /// Keeps in `folder`, which is made when it is needed.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.into(), used: Arc::default(), progress: Arc::new(Silent) }
    }

    /// Has `progress` tell whether to stop: then nothing more is kept, and who reads on gets [`Error::Cancelled`].
    #[must_use]
    pub fn watched(self, progress: Arc<dyn Progress>) -> Self {
        Self { progress, ..self }
    }

    /// A new empty file. It vanishes with whoever holds it.
    pub(crate) fn file(&self) -> io::Result<Spooled> {
        fs::create_dir_all(&self.folder)?;
        Ok(Spooled { file: tempfile::tempfile_in(&self.folder)?, size: 0, spool: self.clone() })
    }
}

/// A file that grows at its end.
pub(crate) struct Spooled {
    file: File,
    size: u64,
    spool: Spool,
}

impl Spooled {
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match within(buffer.len(), offset, self.size) {
            0 => Ok(0),
            count => self.file.read_at(&mut buffer[..count], offset),
        }
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.spool.progress.cancelled() {
            return Err(Error::Cancelled.into());
        }
        let more = bytes.len() as u64;
        let used = self.spool.used.fetch_add(more, Ordering::Relaxed) + more;
        // Counted even if it fails: what was counted is given back when the file goes.
        self.size += more;
        if used > MAX {
            return Err(Error::TooLarge { what: "what has to be kept on disk".into(), limit: "64 GiB".into() }.into());
        }
        self.file.write_all(bytes)
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        self.spool.used.fetch_sub(self.size, Ordering::Relaxed);
    }
}
