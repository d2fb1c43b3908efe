//! An OCI layout folder as source and sink.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Seek, SeekFrom, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use nacre_oci::{Content, Descriptor, Digest, Error, MAX_MANIFEST, Put, RawManifest, Result, Silent, Sink, Source};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, mkdirat, openat, statat};

use crate::{
    Entry, LAYOUT_FILE,
    atomic::{doing, sync_folder},
    entry,
    listing::{self, Listing},
    pump,
};

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);
/// Without `NONBLOCK` a FIFO in a file's place would hold up the opening for ever.
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::RDONLY);

/// A folder with `oci-layout`, `index.json` and `blobs/` (image specification, `image-layout.md`).
///
/// Several processes may write to it at once. A killed one leaves at most a file `.nacre-*` that nothing refers to.
pub struct Layout {
    path: PathBuf,
    root: OwnedFd,
}

impl Layout {
    /// Opens a folder that is a layout.
    ///
    /// # Errors
    /// If it is none, or one of an unknown version.
    pub fn open(path: &Path) -> Result<Self> {
        let root = File::open(path).map_err(doing("open", path))?.into();
        let layout = Self { path: path.to_owned(), root };
        let version = layout.read("oci-layout").map_err(|error| match error {
            Error::NotFound { .. } => Error::malformed(path.display().to_string(), "it has no file oci-layout, so it is no OCI layout"),
            other => other,
        })?;
        listing::check_version(&version, &layout.label())?;
        Ok(layout)
    }

    /// Opens a layout, or makes one in a folder that is empty or not there yet.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the folder holds something else; as [`Layout::open`].
    pub fn create(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).map_err(doing("create", path))?;
        if !path.join("oci-layout").exists() {
            if fs::read_dir(path).map_err(doing("read", path))?.next().is_some() {
                return Err(Error::Conflict(format!("{} is not empty and no OCI layout; name another folder", path.display())));
            }
            replace(path, "index.json", &Listing::new().to_bytes())?;
            // Last: from here on the folder counts as a layout.
            replace(path, "oci-layout", LAYOUT_FILE)?;
        }
        Self::open(path)
    }

    /// The images that `index.json` lists.
    ///
    /// # Errors
    /// If that is damaged.
    pub fn images(&self) -> Result<Vec<Entry>> {
        listing::entries(&self.read("index.json")?, &self.label())
    }

    /// Lists a manifest or index that was put before, without a name. Does nothing if it is listed.
    ///
    /// # Errors
    /// If `index.json` is damaged or cannot be written.
    pub fn add(&self, target: &RawManifest) -> Result<()> {
        self.edit(|listing| listing.set(None, &target.descriptor))
    }

    /// Changes `index.json` in one step; others who want to change it wait.
    fn edit(&self, change: impl FnOnce(&mut Listing) -> Result<()>) -> Result<()> {
        let lock = self.file("oci-layout")?;
        lock.lock().map_err(doing("lock", &self.path))?;
        let mut listing = Listing::parse(&self.read("index.json")?, &self.label())?;
        change(&mut listing)?;
        replace(&self.path, "index.json", &listing.to_bytes())
    }

    fn label(&self) -> String {
        self.path.display().to_string()
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file(name)?.take(MAX_MANIFEST + 1).read_to_end(&mut bytes).map_err(doing("read", &self.path.join(name)))?;
        if bytes.len() as u64 > MAX_MANIFEST {
            let limit = format!("{} MiB", MAX_MANIFEST >> 20);
            return Err(Error::TooLarge { what: self.path.join(name).display().to_string(), limit });
        }
        Ok(bytes)
    }

    fn file(&self, name: &str) -> Result<File> {
        open_regular(&self.root, name, &self.path.join(name))
    }

    /// The folder for blobs of the digest's algorithm, by names that are no links.
    fn blobs(&self, digest: &Digest, create: bool) -> Result<OwnedFd> {
        let mut at = self.root.try_clone().map_err(doing("open", &self.path))?;
        for name in ["blobs", digest.algorithm().name()] {
            if create
                && let Err(error) = mkdirat(&at, name, Mode::from_raw_mode(0o755))
                && error != rustix::io::Errno::EXIST
            {
                return Err(doing("create a folder in", &self.path)(error.into()));
            }
            at = openat(&at, name, FOLDER, Mode::empty()).map_err(|error| self.refusal(name, digest, error))?;
        }
        Ok(at)
    }

    fn refusal(&self, name: &str, digest: &Digest, error: rustix::io::Errno) -> Error {
        match error {
            rustix::io::Errno::NOENT => Error::not_found(format!("{digest} in {}", self.label())),
            rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR => Error::malformed(self.label(), format!("{name} is no folder")),
            error => doing("open a folder in", &self.path)(error.into()),
        }
    }

    fn blob_folder(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs").join(digest.algorithm().name())
    }
}

/// A file that is neither a link nor a FIFO nor a device. [`Error::NotFound`] if there is none.
fn open_regular(folder: &OwnedFd, name: &str, path: &Path) -> Result<File> {
    let odd = || Error::malformed(path.display().to_string(), "it is no regular file");
    let file = match openat(folder, name, FILE, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Err(Error::not_found(path.display().to_string())),
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => return Err(odd()),
        Err(error) => return Err(doing("open", path)(error.into())),
    };
    let regular = file.metadata().map_err(doing("open", path))?.is_file();
    regular.then_some(file).ok_or_else(odd)
}

/// Writes a small file whole, durably.
fn replace(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let mut temp = temporary(folder)?;
    temp.write_all(bytes).map_err(doing("write", &folder.join(name)))?;
    publish(temp, folder, name)
}

fn temporary(folder: &Path) -> Result<tempfile::NamedTempFile> {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    tempfile::Builder::new().prefix(".nacre-").permissions(mode).tempfile_in(folder).map_err(doing("create a file in", folder))
}

fn publish(temp: tempfile::NamedTempFile, folder: &Path, name: &str) -> Result<()> {
    let path = folder.join(name);
    temp.as_file().sync_all().map_err(doing("write", &path))?;
    temp.persist(&path).map_err(|e| doing("write", &path)(e.error))?;
    sync_folder(folder)
}

impl Source for Layout {
    /// Takes nothing for the only image, `@N` for the Nth, a digest, a tag, a reference.
    fn resolve(&self, name: &str) -> Result<Descriptor> {
        let entries = self.images()?;
        entry::find(&entries, name, &self.label()).map(|entry| entry.descriptor.clone())
    }

    fn open_unverified(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>> {
        let digest = &descriptor.digest;
        let path = self.blob_folder(digest).join(digest.hex());
        let mut file = open_regular(&self.blobs(digest, false)?, digest.hex(), &path)?;
        file.seek(SeekFrom::Start(offset)).map_err(doing("read", &path))?;
        Ok(Box::new(file))
    }
}

impl Sink for Layout {
    /// By size, without reading: what has been put was checked then.
    fn contains(&self, descriptor: &Descriptor) -> Result<bool> {
        let digest = &descriptor.digest;
        let folder = match self.blobs(digest, false) {
            Err(Error::NotFound { .. }) => return Ok(false),
            other => other?,
        };
        match statat(&folder, digest.hex(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => {
                let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
                Ok(regular && u64::try_from(stat.st_size) == Ok(descriptor.size))
            }
            Err(error) if std::io::Error::from(error).kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(doing("read", &self.blob_folder(digest))(error.into())),
        }
    }

    fn put(&self, descriptor: &Descriptor, content: &Content<'_>) -> Result<Put> {
        let digest = &descriptor.digest;
        let mut reader = content.open()?;
        drop(self.blobs(digest, true)?);
        let folder = self.blob_folder(digest);
        let mut temp = temporary(&folder)?;
        // The reader asks on its own whether to stop.
        pump(&mut reader, &mut temp, &Silent).map_err(doing("write", &folder.join(digest.hex())))?;
        publish(temp, &folder, digest.hex())?;
        Ok(Put::Stored)
    }

    fn tag(&self, name: &str, target: &RawManifest) -> Result<()> {
        self.edit(|listing| listing.set(Some(name), &target.descriptor))
    }
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
