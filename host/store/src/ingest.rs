//! How content gets in: through a partial file that outlives a kill.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nacre_oci::{Algorithm, Content, Descriptor, Digest, Error, Hasher, Put, Result};

use crate::{
    layout::{Layout, Lock, read_dir},
    planted::{Bug, planted},
};

const BUFFER: usize = 1 << 20;

/// Stores content under its digest, going on where an earlier try ended. Of several processes that want the same
/// content one downloads it and the others wait for that. The digest has to be leased.
pub(crate) fn put(layout: &Layout, descriptor: &Descriptor, content: &Content<'_>) -> Result<Put> {
    let Some(mut partial) = Partial::lock(layout, descriptor)? else { return Ok(Put::Stored) };
    let held = partial.hash(descriptor)?;
    let resumed = held.count() > 0;
    let filled = match partial.fill(descriptor, content, held) {
        // What an earlier try left may be what is wrong: once more from zero.
        Err(Error::Mismatch { .. }) if resumed => {
            partial.clear()?;
            partial.fill(descriptor, content, Hasher::new(descriptor.digest.algorithm()))
        }
        other => other,
    };
    if let Err(error) = filled {
        partial.keep_or_discard(&error)?;
        return Err(error);
    }
    publish(layout, &partial.file, &partial.path, &descriptor.digest)?;
    Ok(Put::Stored)
}

/// Flushes a complete, checked file and gives it its name. The name becomes durable with [`Layout::flush_blobs`].
pub(crate) fn publish(layout: &Layout, file: &File, from: &Path, digest: &Digest) -> Result<()> {
    let to = layout.blob(digest);
    let disk = layout.disk();
    let moded = disk.set_mode(file, from, 0o444);
    let done = if planted(Bug::FlushAfterRename) {
        moded.and_then(|()| disk.rename(from, &to)).and_then(|()| disk.flush(file, &to))
    } else {
        moded.and_then(|()| disk.flush(file, from)).and_then(|()| disk.rename(from, &to))
    };
    done.map_err(Error::io(format!("store {}", to.display())))
}

/// Deletes the partials and uploads that nobody is writing, and says how many bytes that freed.
pub(crate) fn sweep(layout: &Layout, _lock: &Lock) -> Result<u64> {
    abandoned(layout, |path| layout.unlink(path))
}

/// Deletes the uploads that nobody is writing, which nobody can go on with.
pub(crate) fn sweep_uploads(layout: &Layout, _lock: &Lock) -> Result<u64> {
    unlocked(read_dir(&layout.uploads())?, |path| layout.unlink(path))
}

/// The bytes of the partials and uploads that nobody is writing.
pub(crate) fn abandoned_bytes(layout: &Layout) -> Result<u64> {
    abandoned(layout, |_| Ok(()))
}

/// Does something to each abandoned file while it is locked, so that nobody goes on with it meanwhile.
pub(crate) fn abandoned(layout: &Layout, mut action: impl FnMut(&Path) -> Result<()>) -> Result<u64> {
    Ok(unlocked(read_dir(&layout.ingest())?, &mut action)? + unlocked(read_dir(&layout.uploads())?, action)?)
}

fn unlocked(entries: Vec<fs::DirEntry>, mut action: impl FnMut(&Path) -> Result<()>) -> Result<u64> {
    let mut bytes = 0;
    for entry in entries {
        let path = entry.path();
        let Some(meta) = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file) else { continue };
        let Ok(file) = File::open(&path) else { continue };
        let free = file.try_lock().is_ok() || planted(Bug::SweepsLiving);
        if free && is_at(&file, &path).unwrap_or(false) {
            action(&path)?;
            bytes += meta.len();
        }
    }
    Ok(bytes)
}

struct Partial<'a> {
    layout: &'a Layout,
    file: File,
    path: PathBuf,
}

impl<'a> Partial<'a> {
    /// The content's partial file, locked; `None` if the content is there.
    fn lock(layout: &'a Layout, descriptor: &Descriptor) -> Result<Option<Self>> {
        let path = layout.partial(&descriptor.digest);
        let doing = || format!("write {}", path.display());
        loop {
            let file = layout.disk().open(&path).map_err(Error::io(doing()))?;
            if !planted(Bug::PartialUnlocked) {
                file.lock().map_err(Error::io(doing()))?;
            }
            // Whoever held the lock may have finished the file or swept it away; then this one is no longer at its path.
            if !is_at(&file, &path).map_err(Error::io(doing()))? {
                if layout.has(descriptor)? {
                    return Ok(None);
                }
                continue;
            }
            if layout.has(descriptor)? {
                layout.unlink(&path)?;
                return Ok(None);
            }
            return Ok(Some(Self { layout, file, path }));
        }
    }

    /// The hash of what is there. More than there should be is worth nothing and is thrown away.
    fn hash(&mut self, descriptor: &Descriptor) -> Result<Hasher> {
        let algorithm = descriptor.digest.algorithm();
        let length = self.file.metadata().map_err(Error::io(self.doing()))?.len();
        if length > descriptor.size {
            self.clear()?;
            return Ok(Hasher::new(algorithm));
        }
        hash_file(&mut self.file, algorithm).map_err(Error::io(self.doing()))
    }

    /// Appends what is missing, and checks the whole.
    fn fill(&mut self, descriptor: &Descriptor, content: &Content<'_>, held: Hasher) -> Result<()> {
        if held.count() > 0 && held.count() == descriptor.size && (held.digest() == descriptor.digest || planted(Bug::PartialUnchecked)) {
            return Ok(());
        }
        if held.count() > 0 && held.count() == descriptor.size {
            let what = format!("the partial file {}", self.path.display());
            return Err(Error::Mismatch { what, expected: descriptor.digest.to_string(), actual: held.digest().to_string() });
        }
        let mut reader = content.resume(held)?;
        let size = usize::try_from(descriptor.size).unwrap_or(BUFFER).clamp(512, BUFFER);
        let mut buffer = vec![0; size];
        loop {
            let (count, end) = read_full(&mut reader, &mut buffer);
            self.layout.disk().write(&self.file, &self.path, &buffer[..count]).map_err(Error::io(self.doing()))?;
            if planted(Bug::DigestUnchecked) && end.is_err() {
                return Ok(());
            }
            if end.map_err(Error::io(format!("read {}", descriptor.digest)))? {
                return Ok(());
            }
        }
    }

    fn clear(&mut self) -> Result<()> {
        let emptied = self.layout.disk().truncate(&self.file, &self.path, 0);
        emptied.and_then(|()| self.file.rewind()).map_err(Error::io(self.doing()))
    }

    /// Wrong bytes are worth nothing; those that came before the connection broke are.
    fn keep_or_discard(&self, error: &Error) -> Result<()> {
        let empty = self.file.metadata().is_ok_and(|meta| meta.len() == 0);
        if empty || matches!(error, Error::Mismatch { .. }) { self.layout.unlink(&self.path) } else { Ok(()) }
    }

    fn doing(&self) -> String {
        format!("write {}", self.path.display())
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((own.dev(), own.ino()) == (there.dev(), there.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// Fills the buffer as far as it goes: the count, and whether the end was reached or what came instead.
fn read_full(reader: &mut impl Read, buffer: &mut [u8]) -> (usize, io::Result<bool>) {
    let mut count = 0;
    while count < buffer.len() {
        match reader.read(&mut buffer[count..]) {
            Ok(0) => return (count, Ok(true)),
            Ok(more) => count += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return (count, Err(e)),
        }
    }
    (count, Ok(false))
}

/// Hashes a file from its start and leaves it at its end.
pub(crate) fn hash_file(file: &mut File, algorithm: Algorithm) -> io::Result<Hasher> {
    let mut hasher = Hasher::new(algorithm);
    let length = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    let mut buffer = vec![0; usize::try_from(length).unwrap_or(BUFFER).clamp(1, BUFFER)];
    loop {
        let (count, end) = read_full(file, &mut buffer);
        hasher.update(&buffer[..count]);
        if end? {
            return Ok(hasher);
        }
    }
}
