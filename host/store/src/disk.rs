//! The one door through which the store changes files; only SQLite has its own.
//!
//! Whoever opens the store with a [`Witness`] is told of each change before it happens, and may forbid it: so that a proof
//! can tell what a power loss would have left, and what becomes of the store when the Nth change fails. Without one, each
//! change is the system call and nothing else.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
};

use rustix::fs::{FallocateFlags, fallocate};
use tempfile::{Builder, NamedTempFile};

use crate::planted::{Bug, planted};

/// A change of the files beneath a store's root.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// An empty file is made, unless there is one of that name.
    Create(&'a Path),
    /// Bytes are written into a file.
    Write {
        /// The file.
        path: &'a Path,
        /// Where they begin.
        offset: u64,
        /// What is written.
        bytes: &'a [u8],
    },
    /// A file gets another length.
    Truncate(&'a Path, u64),
    /// A file or folder gets another mode.
    Mode(&'a Path, u32),
    /// What a file holds becomes durable.
    Flush(&'a Path),
    /// The names in a folder become durable.
    FlushDir(&'a Path),
    /// A file gets another name, and takes the place of what had it.
    Rename(&'a Path, &'a Path),
    /// A name goes.
    Unlink(&'a Path),
    /// A folder is made, unless there is one, and those above it.
    MakeDir(&'a Path),
    /// A folder goes with all that is in it.
    RemoveTree(&'a Path),
}

/// What SQLite did to `meta.db` and its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// The tables were made, or brought up to date.
    Made,
    /// A transaction was appended to the log, which was flushed then if this says so.
    Committed {
        /// Whether the transaction is durable.
        flushed: bool,
    },
    /// The log was flushed and copied back into `meta.db`, that was flushed, and the log was emptied.
    CopiedBack,
}

/// Whoever is told of the changes of a store.
pub trait Witness: Send + Sync {
    /// A change is about to happen.
    ///
    /// # Errors
    /// Then it fails with that, instead of happening.
    fn before(&self, change: Change<'_>) -> io::Result<()>;

    /// SQLite has done something.
    fn after(&self, _done: Metadata) {}
}

/// The door.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    witness: Option<Arc<dyn Witness>>,
}

impl Disk {
    pub(crate) fn watched(witness: Arc<dyn Witness>) -> Self {
        Self { witness: Some(witness) }
    }

    fn before(&self, change: Change<'_>) -> io::Result<()> {
        self.witness.as_ref().map_or(Ok(()), |witness| witness.before(change))
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.witness.is_some()
    }

    pub(crate) fn after(&self, done: Metadata) {
        self.witness.iter().for_each(|witness| witness.after(done));
    }

    /// Opens a file for reading and writing, made if it is not there.
    pub(crate) fn open(&self, path: &Path) -> io::Result<File> {
        self.before(Change::Create(path))?;
        OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)
    }

    /// Makes a file, which must not be there.
    pub(crate) fn create(&self, path: &Path) -> io::Result<File> {
        self.before(Change::Create(path))?;
        OpenOptions::new().create_new(true).read(true).write(true).open(path)
    }

    /// Makes a file of mode 0600 with a name that nobody else has. It stays until it is unlinked.
    pub(crate) fn create_unique(&self, dir: &Path, prefix: &str, random: usize) -> io::Result<NamedTempFile> {
        let mut names = Builder::new();
        names.prefix(prefix).rand_bytes(random).disable_cleanup(true).make_in(dir, |path| {
            self.before(Change::Create(path))?;
            OpenOptions::new().create_new(true).read(true).write(true).mode(0o600).open(path)
        })
    }

    /// Writes at the file's position.
    pub(crate) fn write(&self, mut file: &File, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if self.is_watched() {
            let offset = file.stream_position()?;
            self.before(Change::Write { path, offset, bytes })?;
        }
        file.write_all(bytes)
    }

    pub(crate) fn truncate(&self, file: &File, path: &Path, len: u64) -> io::Result<()> {
        self.before(Change::Truncate(path, len))?;
        file.set_len(len)
    }

    /// Gives a file at least this length, with room for it on the disk.
    pub(crate) fn allocate(&self, file: &File, path: &Path, len: u64) -> io::Result<()> {
        self.before(Change::Truncate(path, len))?;
        Ok(fallocate(file, FallocateFlags::empty(), 0, len)?)
    }

    pub(crate) fn set_mode(&self, file: &File, path: &Path, mode: u32) -> io::Result<()> {
        if planted(Bug::NoMode) {
            return Ok(());
        }
        self.before(Change::Mode(path, mode))?;
        file.set_permissions(Permissions::from_mode(mode))
    }

    /// As [`Disk::set_mode`], for a file or folder whose mode does not let it be opened.
    pub(crate) fn correct_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.before(Change::Mode(path, mode))?;
        fs::set_permissions(path, Permissions::from_mode(mode))
    }

    pub(crate) fn flush(&self, file: &File, path: &Path) -> io::Result<()> {
        if planted(Bug::NoFileFlush) {
            return Ok(());
        }
        self.before(Change::Flush(path))?;
        file.sync_all()
    }

    pub(crate) fn flush_dir(&self, path: &Path) -> io::Result<()> {
        if planted(Bug::NoFolderFlush) {
            return Ok(());
        }
        self.before(Change::FlushDir(path))?;
        File::open(path)?.sync_all()
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.before(Change::Rename(from, to))?;
        fs::rename(from, to)
    }

    pub(crate) fn unlink(&self, path: &Path) -> io::Result<()> {
        self.before(Change::Unlink(path))?;
        fs::remove_file(path)
    }

    /// Makes a folder of mode 0700, which must not be there.
    pub(crate) fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.before(Change::MakeDir(path))?;
        DirBuilder::new().mode(0o700).create(path)
    }

    /// Makes a folder of mode 0700 and those above it, where they are not there.
    pub(crate) fn make_dirs(&self, path: &Path) -> io::Result<()> {
        self.before(Change::MakeDir(path))?;
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    pub(crate) fn remove_tree(&self, path: &Path) -> io::Result<()> {
        self.before(Change::RemoveTree(path))?;
        fs::remove_dir_all(path)
    }
}
