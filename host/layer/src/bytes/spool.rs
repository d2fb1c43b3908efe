//! What all sources of one command share: where streams are kept, and how much memory and disk they may take together.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use nacre_oci::{Error, Progress, Silent};

use crate::bytes::{base::within, blocks::Blocks};

/// The most bytes that are kept on disk.
const MAX: u64 = 64 << 30;
/// The most decompressions that run at once for readers in order: each may take as much memory as its window.
const MAX_DECODERS: usize = 4;

/// A folder for what has to be kept on disk for a while, in files without a name. Cheap to clone; clones share one limit of
/// 64 GiB, one cache of decoded blocks, and the memory of decoders.
#[derive(Clone)]
pub struct Spool {
    shared: Arc<Shared>,
    progress: Arc<dyn Progress>,
}

struct Shared {
    folder: PathBuf,
    used: AtomicU64,
    bases: AtomicU64,
    decoders: AtomicUsize,
    blocks: Mutex<Blocks>,
}

impl Spool {
    /// Keeps in `folder`, which is made when it is needed.
    pub fn new(folder: &Path) -> Self {
        let shared = Shared {
            folder: folder.into(),
            used: AtomicU64::default(),
            bases: AtomicU64::default(),
            decoders: AtomicUsize::default(),
            blocks: Mutex::default(),
        };
        Self { shared: Arc::new(shared), progress: Arc::new(Silent) }
    }

    /// Has `progress` tell whether to stop: then nothing more is kept, and who reads on gets [`Error::Cancelled`].
    #[must_use]
    pub fn watched(self, progress: Arc<dyn Progress>) -> Self {
        Self { progress, ..self }
    }

    /// A new empty file. It vanishes with whoever holds it.
    pub(crate) fn file(&self) -> io::Result<Spooled> {
        fs::create_dir_all(&self.shared.folder)?;
        Ok(Spooled { file: tempfile::tempfile_in(&self.shared.folder)?, size: 0, spool: self.clone() })
    }

    /// A number that no other base has.
    pub(crate) fn number(&self) -> u64 {
        self.shared.bases.fetch_add(1, Ordering::Relaxed)
    }

    /// The blocks that were decoded last.
    pub(crate) fn blocks(&self) -> &Mutex<Blocks> {
        &self.shared.blocks
    }

    /// Leave to run a decoder for as long as it is held, unless enough run already.
    pub(crate) fn decoder(&self) -> Option<Permit> {
        let permit = Permit(self.clone());
        (self.shared.decoders.fetch_add(1, Ordering::Relaxed) < MAX_DECODERS).then_some(permit)
    }
}

/// Counts as a running decoder.
pub(crate) struct Permit(Spool);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.shared.decoders.fetch_sub(1, Ordering::Relaxed);
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
        let used = self.spool.shared.used.fetch_add(more, Ordering::Relaxed) + more;
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
        self.spool.shared.used.fetch_sub(self.size, Ordering::Relaxed);
    }
}
