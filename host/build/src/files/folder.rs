//! A folder of the user's, without what its patterns exclude.
//!
//! What it holds is looked at once: later on only contents are read, and a file that is another one by then is an error. No
//! link is followed on the disk, so nothing outside is ever read.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nacre_layer::{Bytes, Entry, Kind, Spool, path::join};
use nacre_oci::{Digest, Error, Result};
use rustix::fs::{AtFlags, Dir, FileType, fstat, major, minor, readlinkat, statat};

use super::{
    FileTree, Item, Names, Patterns, beneath,
    digests::{self, Key, Remembered, Stamp, Sum},
    fail,
    patterns::Matched,
    resolve::{folder_of, name_of},
    shown,
};

/// A file that changed within this time before it was hashed may change again without its times telling.
const FRESH: Duration = Duration::from_secs(2);

/// A local folder as a tree: owners are root, extended attributes are left out, sockets are empty files (as they are in
/// BuildKit when they come out of a context).
pub struct Folder {
    root: File,
    path: PathBuf,
    patterns: Patterns,
    spool: Spool,
    listings: Mutex<HashMap<Vec<u8>, Arc<Vec<Listed>>>>,
    remembered: Remembered,
}

/// What a folder holds, as it was when that was looked at.
struct Listed {
    name: Box<[u8]>,
    stat: Stat,
    link: Option<Box<[u8]>>,
    /// Of a folder: which patterns match it.
    matched: Matched,
    /// It is excluded: there only for what it may hold.
    hollow: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Stat {
    key: Key,
    stamp: Stamp,
    kind: Kind,
    mode: u32,
    shared: bool,
    device: Option<(u32, u32)>,
    /// It can be stat'ed only.
    socket: bool,
}

impl Folder {
    /// The folder at `path`. `cache` is where digests of contents are remembered, `spool` where archives in it may be unpacked.
    ///
    /// # Errors
    /// If it is no folder or cannot be read, or a pattern is malformed (in BuildKit's words).
    pub fn new(path: &Path, exclude: &[String], cache: &Path, spool: &Spool) -> Result<Self> {
        let opening = || Error::io(format!("open the folder {}", path.display()));
        let root = File::open(path).map_err(opening())?;
        if !root.metadata().map_err(opening())?.is_dir() {
            return Err(fail(format!("{} is no folder; give a folder as the context", path.display())));
        }
        let absolute = path.canonicalize().map_err(opening())?;
        let name = Digest::of(absolute.as_os_str().as_bytes());
        Ok(Self {
            root,
            path: path.into(),
            patterns: Patterns::new(exclude)?,
            spool: spool.clone(),
            listings: Mutex::default(),
            remembered: Remembered::load(cache.join("contexts").join(name.hex())),
        })
    }

    /// What a folder holds; `None` if it is none.
    fn listing(&self, folder: &[u8]) -> Result<Option<Arc<Vec<Listed>>>> {
        if let Some(known) = self.listings.lock().unwrap_or_else(PoisonError::into_inner).get(folder) {
            return Ok(Some(Arc::clone(known)));
        }
        if folder.is_empty() {
            return self.look(folder, &[]).map(Some);
        }
        let above = self.listing(folder_of(folder))?;
        match above.as_deref().and_then(|above| find(above, name_of(folder))) {
            Some(listed) if listed.stat.kind == Kind::Directory => self.look(folder, &listed.matched).map(Some),
            _ => Ok(None),
        }
    }

    /// Reads a folder and keeps what its patterns do not exclude for good.
    fn look(&self, folder: &[u8], matched: &[bool]) -> Result<Arc<Vec<Listed>>> {
        let mut found = self.read(folder).map_err(Error::io(format!("read the folder {}", self.shown(folder))))?;
        found.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        if !self.patterns.is_empty() {
            found.retain_mut(|listed| {
                let path = join(folder, &listed.name);
                (listed.hollow, listed.matched) = self.patterns.matches(&path, matched);
                let open = listed.stat.kind == Kind::Directory && self.patterns.has_exceptions();
                !listed.hollow || (open && self.patterns.may_except_below(&path))
            });
        }
        let kept = Arc::new(found);
        self.listings.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_vec(), Arc::clone(&kept));
        Ok(kept)
    }

    /// Whether something is there: excluded folders are if they hold an exception at any depth.
    fn is_there(&self, path: &[u8], listed: &Listed) -> Result<bool> {
        let mut todo = if listed.hollow { vec![path.to_vec()] } else { return Ok(true) };
        while let Some(folder) = todo.pop() {
            let held = match self.listing(&folder) {
                // Nobody asked for it, so it need not be readable.
                Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => continue,
                held => held?.unwrap_or_default(),
            };
            if held.iter().any(|listed| !listed.hollow) {
                return Ok(true);
            }
            todo.extend(held.iter().map(|listed| join(&folder, &listed.name)));
        }
        Ok(false)
    }

    fn read(&self, folder: &[u8]) -> io::Result<Vec<Listed>> {
        let opened = beneath::open(&self.root, folder, true)?;
        let mut found = Vec::new();
        for name in Dir::read_from(&opened)? {
            let name = name?;
            let name = name.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let stat = match statat(&opened, name, AtFlags::SYMLINK_NOFOLLOW) {
                // It went away meanwhile.
                Err(rustix::io::Errno::NOENT) => continue,
                stat => Stat::new(&stat?),
            };
            let link = match stat.kind {
                Kind::Symlink => Some(readlinkat(&opened, name, Vec::new())?.into_bytes().into()),
                _ => None,
            };
            found.push(Listed { name: name.into(), stat, link, matched: Matched::new(), hollow: false });
        }
        Ok(found)
    }

    /// A file as it was when its folder was looked at.
    fn stat(&self, path: &[u8]) -> Result<Stat> {
        let listing = self.listing(folder_of(path))?;
        match listing.as_deref().and_then(|listing| find(listing, name_of(path))) {
            Some(listed) if listed.stat.kind == Kind::File => Ok(listed.stat),
            Some(_) => Err(fail(format!("{} is not a regular file", self.shown(path)))),
            None => Err(Error::not_found(self.shown(path))),
        }
    }

    fn opened(&self, path: &[u8], stat: &Stat) -> Result<File> {
        let file = beneath::open(&self.root, path, false).map_err(Error::io(format!("read {}", self.shown(path))))?;
        same(&file, stat, || self.shown(path)).map_err(Error::io(format!("read {}", self.shown(path))))?;
        Ok(file)
    }

    fn digest(&self, path: &[u8]) -> Result<Sum> {
        let stat = self.stat(path)?;
        if let Some(sum) = self.remembered.get(stat.key, stat.stamp) {
            return Ok(sum);
        }
        let sum = digests::sum(&mut *self.open(path)?).map_err(Error::io(format!("read {}", self.shown(path))))?;
        if stat.is_settled(SystemTime::now()) {
            self.remembered.set(stat.key, stat.stamp, sum);
        }
        Ok(sum)
    }

    fn shown(&self, path: &[u8]) -> String {
        format!("{}{}", self.path.display(), shown(path))
    }
}

impl Names for Folder {
    fn get(&self, path: &[u8]) -> Result<Option<Item>> {
        if path.is_empty() {
            let stat = fstat(&self.root).map_err(|error| Error::io(format!("read {}", self.shown(path)))(error.into()))?;
            let [_, mtime, nanos, ..] = Stat::new(&stat).stamp;
            let root = Item::root();
            return Ok(Some(Item { entry: Entry { mtime, nanos: nanosecond(nanos), ..root.entry }, ..root }));
        }
        let listing = self.listing(folder_of(path))?;
        match listing.as_deref().and_then(|listing| find(listing, name_of(path))) {
            Some(listed) if self.is_there(path, listed)? => Ok(Some(listed.item(path.to_vec()))),
            _ => Ok(None),
        }
    }

    fn list(&self, folder: &[u8]) -> Result<Vec<Item>> {
        let listing = self.listing(folder)?.unwrap_or_default();
        let mut items = Vec::with_capacity(listing.len());
        for listed in listing.iter() {
            let path = join(folder, &listed.name);
            if self.is_there(&path, listed)? {
                items.push(listed.item(path));
            }
        }
        Ok(items)
    }
}

impl FileTree for Folder {
    fn open(&self, path: &[u8]) -> Result<Box<dyn Read + Send>> {
        let stat = self.stat(path)?;
        if stat.socket {
            return Ok(Box::new(io::empty()));
        }
        let file = self.opened(path, &stat)?;
        Ok(Box::new(Checked { left: stat.size(), file, stat, name: self.shown(path) }))
    }

    fn bytes(&self, path: &[u8]) -> Result<Bytes> {
        let stat = self.stat(path)?;
        let reading = || Error::io(format!("read {}", self.shown(path)));
        if stat.socket {
            return Ok(Bytes::from_vec(Vec::new(), &self.spool));
        }
        Bytes::from_file(self.opened(path, &stat)?, &self.spool).map_err(reading())
    }

    fn digests(&self, paths: &[Vec<u8>]) -> Result<Vec<Sum>> {
        let sums = digests::each(paths, |path| self.digest(path));
        self.remembered.save();
        sums
    }
}

fn find<'a>(listing: &'a [Listed], name: &[u8]) -> Option<&'a Listed> {
    listing.binary_search_by(|listed| listed.name.as_ref().cmp(name)).ok().map(|index| &listing[index])
}

fn nanosecond(nanos: i64) -> u32 {
    u32::try_from(nanos).unwrap_or_default()
}

impl Listed {
    fn item(&self, path: Vec<u8>) -> Item {
        let [size, mtime, nanos, ..] = self.stat.stamp;
        let entry = Entry {
            mode: self.stat.mode,
            size: if self.stat.kind == Kind::File { size.unsigned_abs() } else { 0 },
            mtime,
            nanos: nanosecond(nanos),
            link: self.link.as_ref().map(|link| link.to_vec()),
            device: self.stat.device,
            ..Entry::new(path, self.stat.kind)
        };
        Item { entry, inode: self.stat.shared.then(|| (self.stat.key[0], self.stat.key[1])) }
    }
}

impl Stat {
    fn new(stat: &rustix::fs::Stat) -> Self {
        let found = FileType::from_raw_mode(stat.st_mode);
        let kind = match found {
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Symlink,
            FileType::CharacterDevice => Kind::CharDevice,
            FileType::BlockDevice => Kind::BlockDevice,
            FileType::Fifo => Kind::Fifo,
            _ => Kind::File,
        };
        let socket = found == FileType::Socket;
        let size = if socket { 0 } else { stat.st_size };
        let nanos = |nanos: u64| i64::try_from(nanos).unwrap_or_default();
        Self {
            key: [stat.st_dev, stat.st_ino],
            stamp: [size, stat.st_mtime, nanos(stat.st_mtime_nsec), stat.st_ctime, nanos(stat.st_ctime_nsec)],
            kind,
            mode: if kind == Kind::Symlink { 0o777 } else { stat.st_mode & 0o7777 },
            shared: stat.st_nlink > 1 && kind != Kind::Directory,
            device: matches!(kind, Kind::CharDevice | Kind::BlockDevice).then(|| (major(stat.st_rdev), minor(stat.st_rdev))),
            socket,
        }
    }

    fn size(&self) -> u64 {
        self.stamp[0].unsigned_abs()
    }

    /// Whether it changed long enough before `now` that another change would show in its times.
    fn is_settled(&self, now: SystemTime) -> bool {
        let [_, mtime, ..] = self.stamp;
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let limit = i64::try_from(now.saturating_sub(FRESH).as_secs()).unwrap_or_default();
        mtime < limit
    }
}

/// An error if an open file is not what it was when its folder was looked at.
fn same(file: &File, stat: &Stat, name: impl Fn() -> String) -> io::Result<()> {
    let now = Stat::new(&fstat(file)?);
    if (now.key, now.stamp, now.kind) == (stat.key, stat.stamp, stat.kind) {
        return Ok(());
    }
    Err(Error::Conflict(format!("{} changed while it was read; build again when nothing writes to it", name())).into())
}

/// Reads a file, and looks at its end whether it is still the same.
struct Checked {
    file: File,
    stat: Stat,
    left: u64,
    name: String,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.file.read(&mut buffer[..want])?;
        self.left -= count as u64;
        if self.left == 0 || (count == 0 && want > 0) {
            same(&self.file, &self.stat, || self.name.clone())?;
        }
        if count == 0 && want > 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(count) }
    }
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
