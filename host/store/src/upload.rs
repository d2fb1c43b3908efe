//! Blobs that are pushed in pieces and whose digest is known only at the end.

use std::{
    fs::File,
    io::{Seek, SeekFrom},
    path::PathBuf,
};

use nacre_oci::{Algorithm, Descriptor, Digest, Error, Hasher, Result};

use crate::{
    Lease, Store,
    ingest::{hash_file, publish},
    planted::{Bug, planted},
};

/// A blob on its way in. Dropping it throws away what came.
pub struct Upload {
    store: Store,
    id: String,
    path: PathBuf,
    file: File,
    hasher: Hasher,
}

impl Store {
    /// Begins an upload.
    ///
    /// # Errors
    /// If no file can be made.
    pub fn upload(&self) -> Result<Upload> {
        let dir = self.layout.uploads();
        let doing = || format!("make a file in {}", dir.display());
        // Under the lock, so that no prune takes the file for an abandoned one before it is locked.
        let _lock = self.layout.lock_shared()?;
        let made = self.layout.disk().create_unique(&dir, "", 24).map_err(Error::io(doing()))?;
        let path = made.path().to_owned();
        let id = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let upload = Upload { store: self.clone(), id, path, file: made.into_file(), hasher: Hasher::new(Algorithm::Sha256) };
        upload.file.lock().map_err(Error::io(doing()))?;
        Ok(upload)
    }
}

impl Upload {
    /// 24 random letters and digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How many bytes came so far.
    pub fn offset(&self) -> u64 {
        self.hasher.count()
    }

    /// The SHA-256 of what came so far.
    pub(crate) fn digest(&self) -> Digest {
        self.hasher.digest()
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// If they cannot be written; then the upload is as long as before.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let disk = self.store.layout.disk();
        if let Err(error) = disk.write(&self.file, &self.path, bytes) {
            let offset = self.offset();
            let back = disk.truncate(&self.file, &self.path, offset).and_then(|()| self.file.seek(SeekFrom::Start(offset)));
            return Err(Error::io(format!("write upload {}", self.id))(back.err().unwrap_or(error)));
        }
        self.hasher.update(bytes);
        Ok(())
    }

    /// Checks the digest and stores the blob, protected by `lease`. Returns its descriptor (`application/octet-stream`).
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the bytes have another digest.
    pub fn finish(mut self, digest: &Digest, lease: &Lease) -> Result<Descriptor> {
        if digest.algorithm() != Algorithm::Sha256 {
            self.hasher = hash_file(&mut self.file, digest.algorithm()).map_err(Error::io(format!("read upload {}", self.id)))?;
        }
        let actual = self.hasher.digest();
        if actual != *digest && !planted(Bug::UploadUnchecked) {
            return Err(Error::Mismatch { what: "the upload".into(), expected: digest.to_string(), actual: actual.to_string() });
        }
        let descriptor = Descriptor::new("application/octet-stream", digest.clone(), self.offset());
        lease.protect([digest])?;
        // Also in place of one that is there: who makes content again may do so because it is damaged.
        publish(&self.store.layout, &self.file, &self.path, digest)?;
        Ok(descriptor)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // A finished one has moved on, and what stays of another is cleared away by whoever comes next.
        let _ = self.store.layout.unlink(&self.path);
    }
}
