//! Making what an entry says.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    os::fd::{AsFd, OwnedFd},
};

use nacre_oci::{Error, Result};
use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid},
    io::Errno,
};

use crate::{
    Entry, Kind,
    layer::bad,
    path,
    unpack::{
        Unpacker,
        places::{Attributes, Known, Spot},
        root::{Node, is_overlays},
    },
};

/// Files from this size on keep their zeros as holes.
const SPARSE: u64 = 1 << 20;

impl Unpacker<'_> {
    pub(super) fn folder(&mut self, entry: &Entry) -> Result<()> {
        let spot = self.places.spot(entry)?;
        match self.places.known(&spot.path)? {
            Known::Folder { made: true, .. } => {
                self.places.claim(&spot.path);
                self.places.describe(&spot.path, Attributes::of(entry));
            }
            Known::Folder { below, .. } => {
                self.places.make_folder(&spot.path, Attributes::of(entry))?;
                self.places.set(&spot.path, Known::Folder { made: true, below })?;
            }
            _ => self.places.make_folder(&spot.path, Attributes::of(entry))?,
        }
        self.attributes(&spot.path, entry)
    }

    /// Leaves a device out, and later what is to be another name of it.
    fn skip(&mut self, entry: &Entry) {
        self.done.skipped_devices += 1;
        self.skipped.insert(entry.path.clone());
    }

    /// A file, link, pipe or device.
    pub(super) fn leaf(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        // To overlayfs it would be a whiteout.
        let device = matches!(entry.kind, Kind::CharDevice | Kind::BlockDevice);
        if device && (!self.how.privileged || entry.device == Some((0, 0))) {
            self.skip(entry);
            return Ok(());
        }
        let spot = self.places.spot(entry)?;
        match entry.kind {
            Kind::File => self.file(&spot, entry, content)?,
            _ => self.special(&spot, entry)?,
        }
        self.places.claim(&spot.path);
        self.places.replace(&spot.path);
        Ok(())
    }

    fn file(&mut self, spot: &Spot, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let make = || Ok(rustix::fs::openat(&*spot.folder, spot.name(), flags, Mode::from(0o600))?);
        let (fd, _) =
            self.places.instead(&spot.folder, &spot.path, make).map_err(Error::io(format!("make {}", path::shown(&spot.path))))?;
        let mut file = File::from(fd);
        self.done.bytes += entry.size;
        write(&mut file, entry.size, content, &mut self.buffer).map_err(Error::io(format!("write {}", path::shown(&spot.path))))?;
        let fd = OwnedFd::from(file);
        // Owner first: the kernel takes capabilities and setuid away when that changes.
        if self.how.owners {
            owner(&fd, entry)?;
        }
        for xattr in entry.xattrs.iter().filter(|xattr| !is_overlays(&xattr.name)) {
            let set = rustix::fs::fsetxattr(&fd, &xattr.name, &xattr.value, rustix::fs::XattrFlags::empty());
            self.permitted(entry, &xattr.name, set)?;
        }
        rustix::fs::fchmod(&fd, Mode::from(entry.mode)).map_err(failed("set the mode of", entry))?;
        times(&fd, entry)
    }

    /// What has no content.
    fn special(&mut self, spot: &Spot, entry: &Entry) -> Result<()> {
        let make = || Ok(create(&spot.folder, spot.name(), entry)?);
        self.places.instead(&spot.folder, &spot.path, make).map_err(Error::io(format!("make {}", path::shown(&spot.path))))?;
        let (folder, name) = (spot.folder.as_fd(), spot.name());
        if self.how.owners {
            let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
            let given = rustix::fs::chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW);
            given.map_err(|error| no_owner(entry, error))?;
        }
        self.attributes(&spot.path, entry)?;
        if entry.kind != Kind::Symlink {
            // It was made here, so that it is no link to anywhere.
            rustix::fs::chmodat(folder, name, Mode::from(entry.mode), AtFlags::empty()).map_err(failed("set the mode of", entry))?;
        }
        rustix::fs::utimensat(folder, name, &timestamps(entry), AtFlags::SYMLINK_NOFOLLOW).map_err(failed("set the time of", entry))
    }

    pub(super) fn hardlink(&mut self, entry: &Entry) -> Result<()> {
        let link = entry.link.as_deref().unwrap_or_default();
        let target = self.places.place(link)?.map_err(|why| bad(entry, format!("of its link, {why}")))?;
        self.copy_up(&target)?;
        if self.skipped.contains(link) || self.skipped.contains(&target) {
            self.skip(entry);
            return Ok(());
        }
        let spot = self.places.spot(entry)?;
        if target == spot.path {
            return Ok(());
        }
        let looking = Error::io(format!("look at {}", path::shown(&target)));
        match self.places.root.look(&target).map_err(looking)? {
            Some(node) if !node.is_folder() && (self.in_place() || !node.is_whiteout()) => {}
            _ => return Err(bad(entry, format!("it is a hard link to {}, which is no file", path::shown(&target)))),
        }
        let (parent, name) = path::split(&target).unwrap_or_default();
        let parent = self.places.open(parent)?;
        let make = || Ok(rustix::fs::linkat(&*parent, name, &*spot.folder, spot.name(), AtFlags::empty())?);
        self.places.instead(&spot.folder, &spot.path, make).map_err(Error::io(format!("link {}", path::shown(&spot.path))))?;
        self.places.claim(&spot.path);
        self.places.replace(&spot.path);
        Ok(())
    }

    /// Takes a file of a lower tree into this one, where it is to have another name too.
    fn copy_up(&mut self, target: &[u8]) -> Result<()> {
        let reading = || Error::io(format!("read {} of the layers below", path::shown(target)));
        let Some((tree, node)) = self.places.lower(target).map_err(reading())? else { return Ok(()) };
        let Some(mut entry) = stored(&node, target).map_err(reading())? else { return Ok(()) };
        let entry = if node.kind() == FileType::RegularFile {
            let file = self.places.lowers.root(tree).at(target, OFlags::RDONLY).map_err(reading())?;
            return self.leaf(&entry, &mut File::from(file));
        } else {
            entry.size = 0;
            entry
        };
        self.leaf(&entry, &mut io::empty())
    }

    /// Sets extended attributes of something that is there, and removes those that a folder had before.
    fn attributes(&mut self, path: &[u8], entry: &Entry) -> Result<()> {
        let had_some = self.in_place() && entry.kind == Kind::Directory;
        if entry.xattrs.is_empty() && !had_some {
            return Ok(());
        }
        let looking = || Error::io(format!("look at {}", path::shown(path)));
        let Some(node) = self.places.root.look(path).map_err(looking())? else { return Ok(()) };
        if had_some {
            let old = node.xattrs().map_err(looking())?;
            old.iter().try_for_each(|xattr| node.remove_xattr(&xattr.name)).map_err(failed("take attributes from", entry))?;
        }
        for xattr in entry.xattrs.iter().filter(|xattr| !is_overlays(&xattr.name)) {
            self.permitted(entry, &xattr.name, node.set_xattr(xattr))?;
        }
        Ok(())
    }

    /// An attribute that the filesystem does not have, or that this process may not set, is left out.
    fn permitted(&mut self, entry: &Entry, name: &str, set: rustix::io::Result<()>) -> Result<()> {
        match set {
            Err(Errno::OPNOTSUPP) => {}
            Err(Errno::PERM | Errno::ACCESS) if !self.how.privileged => {}
            set => return set.map_err(failed(&format!("set {name} of"), entry)),
        }
        self.done.skipped_attributes += 1;
        Ok(())
    }
}

/// The entry of what lies on a disk; none for a socket.
pub(crate) fn stored(node: &Node, path: &[u8]) -> io::Result<Option<Entry>> {
    let stat = &node.stat;
    let kind = match node.kind() {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::CharacterDevice => Kind::CharDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Fifo => Kind::Fifo,
        _ => return Ok(None),
    };
    let device = matches!(kind, Kind::CharDevice | Kind::BlockDevice);
    Ok(Some(Entry {
        mode: if kind == Kind::Symlink { 0o777 } else { stat.st_mode & 0o7777 },
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: if kind == Kind::File { u64::try_from(stat.st_size).unwrap_or(0) } else { 0 },
        mtime: stat.st_mtime,
        nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        link: if kind == Kind::Symlink { Some(node.link()?) } else { None },
        device: device.then(|| (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev))),
        xattrs: node.xattrs()?,
        ..Entry::new(path, kind)
    }))
}

/// Makes a link, pipe or device of the process' own.
pub(crate) fn create(folder: &OwnedFd, name: &[u8], entry: &Entry) -> rustix::io::Result<()> {
    let kind = match entry.kind {
        Kind::Symlink => return rustix::fs::symlinkat(entry.link.as_deref().unwrap_or_default(), folder, name),
        Kind::CharDevice => FileType::CharacterDevice,
        Kind::BlockDevice => FileType::BlockDevice,
        _ => FileType::Fifo,
    };
    let (major, minor) = entry.device.unwrap_or_default();
    rustix::fs::mknodat(folder, name, kind, Mode::from(0o600), rustix::fs::makedev(major, minor))
}

/// Writes content; pieces of zeros of a large file become holes.
pub(crate) fn write(file: &mut File, size: u64, content: &mut dyn Read, buffer: &mut [u8]) -> io::Result<()> {
    let (mut left, mut hole) = (size, false);
    while left > 0 {
        let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let piece = &mut buffer[..want];
        content.read_exact(piece)?;
        left -= want as u64;
        hole = size >= SPARSE && piece.iter().all(|byte| *byte == 0);
        if hole {
            file.seek(SeekFrom::Current(i64::try_from(want).expect("a piece is small")))?;
        } else {
            file.write_all(piece)?;
        }
    }
    if hole { file.set_len(size) } else { Ok(()) }
}

fn owner(fd: &OwnedFd, entry: &Entry) -> Result<()> {
    let given = rustix::fs::fchown(fd, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)));
    given.map_err(|error| no_owner(entry, error))
}

/// Owner and mode.
pub(super) fn give(fd: &OwnedFd, entry: &Entry, owners: bool) -> Result<()> {
    if owners {
        owner(fd, entry)?;
    }
    rustix::fs::fchmod(fd, Mode::from(entry.mode)).map_err(failed("set the mode of", entry))
}

pub(crate) fn times(fd: &OwnedFd, entry: &Entry) -> Result<()> {
    rustix::fs::futimens(fd, &timestamps(entry)).map_err(failed("set the time of", entry))
}

pub(crate) fn timestamps(entry: &Entry) -> Timestamps {
    let time = Timespec { tv_sec: entry.mtime, tv_nsec: entry.nanos.into() };
    Timestamps { last_access: time, last_modification: time }
}

pub(crate) fn failed(doing: &str, entry: &Entry) -> impl FnOnce(Errno) -> Error {
    let doing = format!("{doing} {}", path::shown(&entry.path));
    move |error| Error::io(doing)(error.into())
}

pub(crate) fn no_owner(entry: &Entry, error: Errno) -> Error {
    if error != Errno::INVAL {
        return failed("give away", entry)(error);
    }
    Error::Unsupported {
        what: format!("the owner {}:{} of {}", entry.uid, entry.gid, path::shown(&entry.path)),
        why: "the user namespace has no such id; give this user more subordinate ids in /etc/subuid and /etc/subgid".into(),
    }
}
