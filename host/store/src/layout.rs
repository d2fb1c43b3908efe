//! Where everything lies under the root, and the writers' lock.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::Write,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use nacre_oci::{Algorithm, Digest, Error, Result};

pub(crate) const ALGORITHMS: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];
/// What may stand in a root whose making was interrupted, or in which plugins were installed before.
const OWN: [&str; 9] = ["oci-layout", "blobs", "ingest", "lock", "meta.db", "meta.db-wal", "meta.db-shm", "cache", "plugins"];

/// The paths under one root.
#[derive(Clone)]
pub(crate) struct Layout {
    root: Arc<Path>,
}

/// The writers' lock, held until it is dropped. A second one in the same thread would wait for the first forever.
pub(crate) struct Lock {
    _file: File,
}

impl Layout {
    /// The layout at `root`, made if it is not there. A finished one costs one `stat`.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let root = std::path::absolute(root).map_err(Error::io(format!("resolve {}", root.display())))?;
        let layout = Self { root: root.into() };
        if !layout.uploads().is_dir() {
            layout.make()?;
        }
        Ok(layout)
    }

    fn make(&self) -> Result<()> {
        make_dir(&self.root)?;
        self.refuse_foreign()?;
        let marker = self.root.join("oci-layout");
        if !marker.exists() {
            self.write_marker(&marker)?;
        }
        for algorithm in ALGORITHMS {
            make_dir(&self.blobs(algorithm))?;
        }
        make_dir(&self.leases())?;
        flush_dir(&self.root.join("blobs"))?;
        flush_dir(&self.root)?;
        self.root.parent().map_or(Ok(()), flush_dir)?;
        make_dir(&self.uploads())
    }

    fn refuse_foreign(&self) -> Result<()> {
        if self.root.join("oci-layout").exists() {
            return Ok(());
        }
        for entry in read_dir(&self.root)? {
            let name = entry.file_name();
            let own = name.to_str().is_some_and(|name| OWN.contains(&name) || name.starts_with(".tmp"));
            if !own {
                let root = self.root.display();
                return Err(Error::Conflict(format!("{root} is no nacre store and holds other files; name an empty folder")));
            }
        }
        Ok(())
    }

    fn write_marker(&self, path: &Path) -> Result<()> {
        let doing = || format!("write {}", path.display());
        let mut file = tempfile::NamedTempFile::new_in(&self.root).map_err(Error::io(doing()))?;
        file.write_all(br#"{"imageLayoutVersion":"1.0.0"}"#).map_err(Error::io(doing()))?;
        file.as_file().sync_all().map_err(Error::io(doing()))?;
        file.persist(path).map(drop).map_err(|e| Error::io(doing())(e.error))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
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

    /// Keeps every other writer and every leaser out: for transactions and deletions.
    pub(crate) fn lock_exclusive(&self) -> Result<Lock> {
        self.lock(File::lock)
    }

    /// Keeps deletions out: for those who lease.
    pub(crate) fn lock_shared(&self) -> Result<Lock> {
        self.lock(File::lock_shared)
    }

    fn lock(&self, how: fn(&File) -> std::io::Result<()>) -> Result<Lock> {
        let path = self.root.join("lock");
        let doing = || format!("lock {}", path.display());
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(Error::io(doing()))?;
        how(&file).map_err(Error::io(doing()))?;
        Ok(Lock { _file: file })
    }

    /// Makes the names of all blobs durable, whoever gave them: before a transaction refers to them.
    pub(crate) fn flush_blobs(&self) -> Result<()> {
        ALGORITHMS.iter().try_for_each(|algorithm| flush_dir(&self.blobs(*algorithm)))
    }
}

fn make_dir(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(Error::io(format!("make the folder {}", path.display())))
}

fn flush_dir(path: &Path) -> Result<()> {
    let flushed = File::open(path).and_then(|dir| dir.sync_all());
    flushed.map_err(Error::io(format!("flush the folder {}", path.display())))
}

/// A folder's entries; one that is not there has none.
pub(crate) fn read_dir(path: &Path) -> Result<Vec<fs::DirEntry>> {
    let listed = match fs::read_dir(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.and_then(Iterator::collect),
    };
    listed.map_err(Error::io(format!("list {}", path.display())))
}

/// Removes a file; that it is gone already is fine.
pub(crate) fn unlink(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(format!("delete {}", path.display()))(e)),
        _ => Ok(()),
    }
}
