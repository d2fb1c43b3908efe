//! Finished content: looking, reading, deleting.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::PathBuf,
};

use nacre_oci::{Descriptor, Digest, Error, Result};

use crate::{
    Store,
    layout::{ALGORITHMS, Layout, Lock, read_dir},
    lease, mark,
    planted::{Bug, planted},
};

const BUFFER: u64 = 256 << 10;

impl Layout {
    /// The size of a blob, or `None` if there is none.
    pub(crate) fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        let path = self.blob(digest);
        match fs::symlink_metadata(&path) {
            Ok(meta) => Ok(meta.is_file().then_some(meta.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(format!("look at {}", path.display()))(e)),
        }
    }

    /// Whether content is there with the right size. Its digest was checked when it got its name; a wrong size is
    /// damage that came later, and counts as absence so that the next pull heals it.
    pub(crate) fn has(&self, descriptor: &Descriptor) -> Result<bool> {
        let size = self.blob_size(&descriptor.digest)?;
        Ok(size == Some(descriptor.size) || (size.is_some() && planted(Bug::BlobSizeIgnored)))
    }

    /// Opens a blob.
    pub(crate) fn open_blob(&self, digest: &Digest) -> Result<File> {
        let path = self.blob(digest);
        match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Error::not_found(format!("content {digest} in the store"))),
            other => other.map_err(Error::io(format!("read {}", path.display()))),
        }
    }

    /// Every blob with its size.
    pub(crate) fn list_blobs(&self) -> Result<BTreeMap<Digest, u64>> {
        let mut all = BTreeMap::new();
        for algorithm in ALGORITHMS {
            for entry in read_dir(&self.blobs(algorithm))? {
                let name = format!("{}:{}", algorithm.name(), entry.file_name().to_string_lossy());
                if let (Ok(digest), Ok(meta)) = (name.parse(), entry.metadata()) {
                    all.insert(digest, meta.len());
                }
            }
        }
        Ok(all)
    }

    /// Deletes blobs that nothing refers to any more, and says how many bytes that freed.
    pub(crate) fn delete_blobs<'a>(&self, _lock: &Lock, digests: impl IntoIterator<Item = &'a Digest>) -> Result<u64> {
        let mut freed = 0;
        for digest in digests {
            freed += self.blob_size(digest)?.unwrap_or_default();
            self.unlink(&self.blob(digest))?;
        }
        Ok(freed)
    }
}

impl Store {
    /// The size of a blob, or `None` if the store does not have it.
    ///
    /// # Errors
    /// If the file system does not tell.
    pub fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        self.layout.blob_size(digest)
    }

    /// Where a blob lies, or would: for other processes of this user's, which must not change it.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.layout.blob(digest)
    }

    /// Opens a blob for reading. Its content was checked when it came in.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the store does not have it.
    pub fn open_blob(&self, digest: &Digest) -> Result<File> {
        self.layout.open_blob(digest)
    }

    /// Deletes one blob, as a registry's client may ask for.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] if an image needs it or a running command protects it.
    pub fn delete_blob(&self, digest: &Digest) -> Result<()> {
        let lock = self.layout.lock_exclusive()?;
        if self.layout.blob_size(digest)?.is_none() {
            return Err(Error::not_found(format!("content {digest} in the store")));
        }
        if lease::sweep(&self.layout, &lock)?.contains(digest) {
            return Err(Error::Conflict(format!("content {digest} is being used by a running command; try again later")));
        }
        if self.meta.read(|db| Ok(mark::is_needed(db, digest)?))? {
            return Err(Error::Conflict(format!("content {digest} belongs to an image; remove the image instead")));
        }
        self.layout.delete_blobs(&lock, [digest]).map(drop)
    }

    pub(crate) fn open_at(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>> {
        let mut file = self.layout.open_blob(&descriptor.digest)?;
        if offset > 0 {
            file.seek(SeekFrom::Start(offset)).map_err(Error::io(format!("read {}", descriptor.digest)))?;
        }
        let buffer = descriptor.size.saturating_sub(offset).clamp(512, BUFFER);
        Ok(Box::new(BufReader::with_capacity(usize::try_from(buffer).unwrap_or(1 << 16), file)))
    }
}
