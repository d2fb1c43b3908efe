//! Where everything lies under the root, and the writers' lock.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

use nacre_oci::{Algorithm, Digest, Error, Result};

use crate::{
    disk::Disk,
    planted::{Bug, planted},
};

pub(crate) const ALGORITHMS: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];
/// What may stand in a root whose making was interrupted, or in which plugins were installed before.
const OWN: [&str; 10] = ["oci-layout", "blobs", "ingest", "lock", "meta.db", "meta.db-wal", "meta.db-shm", "cache", "plugins", "reserve"];

/// The paths under one root.
#[derive(Clone)]
pub(crate) struct Layout {
    root: Arc<Path>,
    disk: Disk,
}

/// The writers' lock, held until it is dropped. A second one in the same thread would wait for the first forever.
pub(crate) struct Lock {
    _file: File,
}

impl Layout {
    /// The layout at `root`, made if it is not there. A finished one costs one `stat`.
    pub(crate) fn open(root: &Path, disk: Disk) -> Result<Self> {
        let root = std::path::absolute(root).map_err(Error::io(format!("resolve {}", root.display())))?;
        let layout = Self { root: root.into(), disk };
        if !layout.uploads().is_dir() {
            layout.make()?;
        }
        Ok(layout)
    }

    fn make(&self) -> Result<()> {
        self.make_dir(&self.root)?;
        self.refuse_foreign()?;
        let _lock = self.lock_exclusive()?;
        let marker = self.root.join("oci-layout");
        if !marker.exists() {
            self.write_marker(&marker)?;
        }
        for algorithm in ALGORITHMS {
            self.make_dir(&self.blobs(algorithm))?;
        }
        self.make_dir(&self.leases())?;
        for dir in [&self.root.join("blobs"), &self.ingest(), self.root()] {
            if !planted(Bug::MakingNotFlushed) {
                self.flush_dir(dir)?;
            }
        }
        self.root.parent().map_or(Ok(()), |parent| self.flush_dir(parent))?;
        self.keep_reserve();
        // Last, once all else is there for good: whoever finds it takes the store for made.
        self.make_dir(&self.uploads())
    }

    fn refuse_foreign(&self) -> Result<()> {
        let marker = self.root.join("oci-layout");
        if marker.exists() || planted(Bug::ForeignFolderAccepted) {
            return Ok(());
        }
        for entry in read_dir(&self.root)? {
            let name = entry.file_name();
            let own = name.to_str().is_some_and(|name| OWN.contains(&name) || name.starts_with(".tmp"));
            // Others may have made the store meanwhile.
            if !own && !marker.exists() {
                let root = self.root.display();
                return Err(Error::Conflict(format!("{root} is no nacre store and holds other files; name an empty folder")));
            }
        }
        Ok(())
    }

    /// To be called under the lock: the name in between is always the same, so that a kill leaves nothing for good.
    fn write_marker(&self, path: &Path) -> Result<()> {
        let temporary = self.root.join(".tmp-oci-layout");
        let file = self.disk.open(&temporary).map_err(Error::io(format!("write {}", path.display())))?;
        let emptied = self.disk.truncate(&file, &temporary, 0);
        let written = emptied.and_then(|()| self.disk.write(&file, &temporary, br#"{"imageLayoutVersion":"1.0.0"}"#));
        let done = written.and_then(|()| self.disk.flush(&file, &temporary)).and_then(|()| self.disk.rename(&temporary, path));
        done.map_err(Error::io(format!("write {}", path.display())))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    pub(crate) fn blobs(&self, algorithm: Algorithm) -> PathBuf {
        self.root.join("blobs").join(algorithm.name())
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs(digest.algorithm()).join(digest.hex())
    }

    pub(crate) fn ingest(&self) -> PathBuf {
        self.root.join("ingest")
    }

    pub(crate) fn partial(&self, digest: &Digest) -> PathBuf {
        self.ingest().join(format!("{}-{}", digest.algorithm().name(), digest.hex()))
    }

    pub(crate) fn leases(&self) -> PathBuf {
        self.root.join("ingest/leases")
    }

    pub(crate) fn uploads(&self) -> PathBuf {
        self.root.join("ingest/uploads")
    }

    pub(crate) fn meta(&self) -> PathBuf {
        self.root.join("meta.db")
    }

    /// A file of nothing, given up when the disk is full.
    pub(crate) fn reserve(&self) -> PathBuf {
        self.root.join("reserve")
    }

    /// Keeps every other writer and every leaser out: for transactions and deletions.
    pub(crate) fn lock_exclusive(&self) -> Result<Lock> {
        self.lock(File::lock)
    }

    /// Keeps deletions out: for those who lease.
    pub(crate) fn lock_shared(&self) -> Result<Lock> {
        self.lock(File::lock_shared)
    }

    /// [`Layout::lock_exclusive`], unless somebody would have to be waited for.
    pub(crate) fn try_lock_exclusive(&self) -> Option<Lock> {
        self.lock(|file| Ok(file.try_lock()?)).ok()
    }

    fn lock(&self, how: fn(&File) -> std::io::Result<()>) -> Result<Lock> {
        let path = self.root.join("lock");
        let doing = || format!("lock {}", path.display());
        let file = self.disk.open(&path).map_err(Error::io(doing()))?;
        if !planted(Bug::NoWritersLock) {
            how(&file).map_err(Error::io(doing()))?;
        }
        Ok(Lock { _file: file })
    }

    /// Makes the names of all blobs durable, whoever gave them: before a transaction refers to them.
    pub(crate) fn flush_blobs(&self) -> Result<()> {
        ALGORITHMS.iter().try_for_each(|algorithm| self.flush_dir(&self.blobs(*algorithm)))
    }

    fn make_dir(&self, path: &Path) -> Result<()> {
        self.disk.make_dirs(path).map_err(Error::io(format!("make the folder {}", path.display())))
    }

    pub(crate) fn flush_dir(&self, path: &Path) -> Result<()> {
        self.disk.flush_dir(path).map_err(Error::io(format!("flush the folder {}", path.display())))
    }

    /// Removes a file; that it is gone already is fine.
    pub(crate) fn unlink(&self, path: &Path) -> Result<()> {
        match self.disk.unlink(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(format!("delete {}", path.display()))(e)),
            _ => Ok(()),
        }
    }
}

/// A folder's entries; one that is not there has none.
pub(crate) fn read_dir(path: &Path) -> Result<Vec<fs::DirEntry>> {
    let listed = match fs::read_dir(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.and_then(Iterator::collect),
    };
    listed.map_err(Error::io(format!("list {}", path.display())))
}
