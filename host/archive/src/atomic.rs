//! Files that appear whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write},
    num::NonZeroU64,
    path::{Path, PathBuf},
};

use nacre_oci::{Error, Result};
use tempfile::NamedTempFile;

/// A file that is written beside its destination and takes its place on [`AtomicFile::commit`]. Dropped before that,
/// it leaves nothing, and an older file stays as it was. Its mode is 0600, as that of what `docker save -o` writes.
pub struct AtomicFile {
    path: PathBuf,
    temp: NamedTempFile,
    written: u64,
    /// Up to where the system was asked to write to the disk.
    asked: u64,
}

/// So many bytes are written before the system is asked to write them to the disk, so that the flush at the end is short.
const BEHIND: u64 = 8 << 20;

impl AtomicFile {
    /// Starts a file that will be `path`. A symbolic link there is followed.
    ///
    /// # Errors
    /// If `path` is a folder or a device, or its folder cannot be written to.
    pub fn create(path: &Path) -> Result<Self> {
        let path = if path.is_symlink() { fs::canonicalize(path).map_err(doing("follow", path))? } else { path.to_owned() };
        let taken = fs::metadata(&path).is_ok_and(|meta| !meta.is_file());
        if taken {
            return Err(Error::Conflict(format!("{} is not a regular file; name another file", path.display())));
        }
        let prefix = format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy());
        let temp = tempfile::Builder::new().prefix(&prefix).tempfile_in(folder(&path)).map_err(doing("create", &path))?;
        Ok(Self { path, temp, written: 0, asked: 0 })
    }

    /// The file, for whoever has to seek in it: write to this or to `self`, not to both.
    ///
    /// # Errors
    /// If the process has too many files open.
    pub fn handle(&self) -> Result<File> {
        self.temp.as_file().try_clone().map_err(doing("write", &self.path))
    }

    /// Makes the file durable and visible.
    ///
    /// # Errors
    /// If the disk is full or the folder went away.
    pub fn commit(self) -> Result<()> {
        self.temp.as_file().sync_all().map_err(doing("write", &self.path))?;
        self.temp.persist(&self.path).map_err(|e| doing("write", &self.path)(e.error))?;
        sync_folder(folder(&self.path))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.temp.write(bytes)?;
        self.written += count as u64;
        if self.written - self.asked >= BEHIND {
            // What this asks for is to forget the pages, for which Linux begins to write them. It is only a wish.
            let length = NonZeroU64::new(self.written - self.asked);
            _ = rustix::fs::fadvise(self.temp.as_file(), self.asked, length, rustix::fs::Advice::DontNeed);
            self.asked = self.written;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temp.flush()
    }
}

/// Makes a rename in `folder` durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(doing("flush", folder))
}

/// The folder that a file is in; the current one for a bare name.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// An [`Error::Io`] that names a path.
pub(crate) fn doing(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    Error::io(format!("{what} {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn appears_whole_on_commit_and_leaves_nothing_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        fs::write(&path, "old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn refuses_what_is_no_file_and_keeps_links() {
        let folder = tempfile::tempdir().unwrap();
        assert!(AtomicFile::create(folder.path()).is_err());
        assert!(AtomicFile::create(Path::new("/dev/null")).is_err());
        assert!(AtomicFile::create(&folder.path().join("no/such/folder")).is_err());
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        AtomicFile::create(&link).unwrap().commit().unwrap();
        assert!(link.is_symlink() && fs::read(&target).unwrap().is_empty());
    }
}
