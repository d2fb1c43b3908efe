//! A tar into a folder of a tree that programs may be changing meanwhile.
//!
//! Paths are resolved by the kernel with the tree as their root, and what is made is described through what was opened,
//! so that no link that a program puts in the way leads out of the tree (CVE-2018-15664, CVE-2019-14271).

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
    rc::Rc,
};

use nacre_oci::{Error, Result};
use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid},
    io::Errno,
};

use crate::{
    Entry, Kind, TarReader,
    path::{self, join},
    unpack::{
        Node, PIECE, is_overlays,
        make::{create, failed, no_owner, timestamps, write},
        remove::remove,
    },
};

/// How often the kernel is asked again when folders are moved while it resolves a path.
const TRIES: usize = 100;

/// Whose what is extracted becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// As the archive says; where this user namespace has no such id, this process' own.
    Kept,
    /// This process' own.
    Own,
    /// This user's and group's.
    All(u32, u32),
}

/// How an archive is extracted.
#[derive(Clone, Copy, Debug)]
pub struct Extracting {
    /// Whose it becomes.
    pub owners: Owners,
    /// Whether a folder may take the place of something else, and something else that of a folder with all that it holds.
    pub replace: bool,
    /// Whether device nodes are made, and extended attributes that are not permitted are an error. Otherwise both are
    /// left out and counted.
    pub privileged: bool,
}

/// What was extracted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extracted {
    /// Entries that were read.
    pub entries: u64,
    /// Device nodes left out.
    pub skipped_devices: u64,
    /// Extended attributes left out.
    pub skipped_attributes: u64,
}

/// Extracts an uncompressed tar into the folder with the tidy path `folder` of the tree `root`, over what is there (the rules
/// of Docker's archive API). Links on the way are followed within the tree; the archive's own entry of the folder is ignored.
/// Whiteouts are files as any other.
///
/// # Errors
/// If the archive is malformed or leads out of the folder by `..`; in Docker's words, if it needs to replace what must not be
/// replaced; if something cannot be made. What was extracted till then stays.
pub fn extract(tar: &mut dyn Read, root: OwnedFd, folder: &[u8], how: &Extracting) -> Result<Extracted> {
    let mut tar = TarReader::new(tar);
    let mut extractor =
        Extractor { root, folder, how, last: None, folders: BTreeMap::new(), buffer: vec![0; PIECE], done: Extracted::default() };
    while let Some(member) = tar.next_entry().map_err(Error::io("read the archive"))? {
        extractor.add(member.entry, &mut tar)?;
    }
    tar.finish().map_err(Error::io("read the archive"))?;
    extractor.finish()
}

struct Extractor<'a> {
    root: OwnedFd,
    folder: &'a [u8],
    how: &'a Extracting,
    /// The folder that was opened last.
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
    /// What folders get when all that they hold is there.
    folders: BTreeMap<Vec<u8>, Entry>,
    buffer: Vec<u8>,
    done: Extracted,
}

impl Extractor<'_> {
    fn add(&mut self, mut entry: Entry, content: &mut dyn Read) -> Result<()> {
        self.done.entries += 1;
        if entry.path.is_empty() {
            return Ok(());
        }
        entry.path = join(self.folder, &entry.path);
        if let Owners::All(uid, gid) = self.how.owners {
            (entry.uid, entry.gid) = (uid, gid);
        }
        let (parent, name) = path::split(&entry.path).unwrap_or_default();
        let folder = self.parent(parent).map_err(Error::io(format!("open the folder {}", path::shown(parent))))?;
        let there = self.clear(&folder, name, &entry)?;
        match entry.kind {
            Kind::Directory => self.directory(&folder, name, there, &entry),
            Kind::File => self.file(&folder, name, &entry, content),
            Kind::Hardlink => self.hardlink(&folder, name, &entry),
            _ => self.special(&folder, name, &entry),
        }
    }

    /// A folder, with the links on its path followed; made, as are those above it, if it is not there.
    fn parent(&mut self, path: &[u8]) -> io::Result<Rc<OwnedFd>> {
        if let Some((last, folder)) = &self.last
            && last == path
        {
            return Ok(Rc::clone(folder));
        }
        let folder = match self.open(path) {
            Err(Errno::NOENT) => {
                let (parent, name) = path::split(path).unwrap_or_default();
                let parent = self.parent(parent)?;
                match rustix::fs::mkdirat(&*parent, name, Mode::from_raw_mode(0o755)) {
                    Err(error) if error != Errno::EXIST => return Err(error.into()),
                    _ => self.open(path)?,
                }
            }
            folder => folder?,
        };
        let folder = Rc::new(folder);
        self.last = Some((path.to_vec(), Rc::clone(&folder)));
        Ok(folder)
    }

    fn open(&self, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let open = || rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve);
        (0..TRIES).map(|_| open()).find(|opened| !matches!(opened, Err(Errno::AGAIN))).unwrap_or(Err(Errno::AGAIN))
    }

    /// Takes away what is in the place of something new. Says whether a folder stays there.
    fn clear(&self, folder: &OwnedFd, name: &[u8], entry: &Entry) -> Result<bool> {
        let there = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(false),
            there => there.map_err(failed("look at", entry))?,
        };
        let is_folder = FileType::from_raw_mode(there.st_mode) == FileType::Directory;
        let becomes_folder = entry.kind == Kind::Directory;
        if is_folder && becomes_folder {
            return Ok(true);
        }
        if is_folder != becomes_folder && !self.how.replace {
            let (old, new) = if is_folder { ("directory", "non-directory") } else { ("non-directory", "directory") };
            let (path, into) = (path::to_text(&entry.path), path::to_text(self.folder));
            return Err(Error::Other(format!("cannot overwrite {old} \"/{path}\" with {new} \"/{into}\"").into()));
        }
        remove(folder, name).map_err(Error::io(format!("replace {}", path::shown(&entry.path))))?;
        Ok(false)
    }

    fn directory(&mut self, folder: &OwnedFd, name: &[u8], there: bool, entry: &Entry) -> Result<()> {
        if !there {
            rustix::fs::mkdirat(folder, name, Mode::RWXU).map_err(failed("make the folder", entry))?;
        }
        self.folders.insert(entry.path.clone(), Entry { xattrs: Vec::new(), ..entry.clone() });
        let Some(node) = self.made(folder, name, entry)? else { return Ok(()) };
        self.attributes(&node, entry)
    }

    fn file(&mut self, folder: &OwnedFd, name: &[u8], entry: &Entry, content: &mut dyn Read) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(folder, name, flags, Mode::from(0o600)).map_err(failed("make", entry))?;
        let mut file = File::from(fd);
        write(&mut file, entry.size, content, &mut self.buffer).map_err(Error::io(format!("write {}", path::shown(&entry.path))))?;
        let fd = OwnedFd::from(file);
        self.give(&fd, entry)?;
        let node = Node::of(fd).map_err(Error::io(format!("look at {}", path::shown(&entry.path))))?;
        self.attributes(&node, entry)?;
        mode(&node, entry)?;
        rustix::fs::futimens(node.into_fd(), &timestamps(entry)).map_err(failed("set the time of", entry))
    }

    fn hardlink(&mut self, folder: &OwnedFd, name: &[u8], entry: &Entry) -> Result<()> {
        let target = join(self.folder, entry.link.as_deref().unwrap_or_default());
        let (parent, old) = path::split(&target).unwrap_or_default();
        let parent = self.open(parent).map_err(failed("find the target of", entry))?;
        rustix::fs::linkat(parent, old, folder, name, AtFlags::empty()).map_err(failed("link", entry))
    }

    /// A link, pipe or device.
    fn special(&mut self, folder: &OwnedFd, name: &[u8], entry: &Entry) -> Result<()> {
        let device = matches!(entry.kind, Kind::CharDevice | Kind::BlockDevice);
        if device && (!self.how.privileged || entry.device == Some((0, 0))) {
            self.done.skipped_devices += 1;
            return Ok(());
        }
        create(folder, name, entry).map_err(failed("make", entry))?;
        let Some(node) = self.made(folder, name, entry)? else { return Ok(()) };
        if entry.kind != Kind::Symlink {
            self.attributes(&node, entry)?;
            mode(&node, entry)?;
        }
        rustix::fs::utimensat(folder, name, &timestamps(entry), AtFlags::SYMLINK_NOFOLLOW).map_err(failed("set the time of", entry))
    }

    /// What was made just now, with its owner; nothing if something else has its name already.
    fn made(&self, folder: &OwnedFd, name: &[u8], entry: &Entry) -> Result<Option<Node>> {
        let Some(node) = look(folder, name, entry)? else { return Ok(None) };
        self.give(node.fd(), entry).map(|()| Some(node))
    }

    /// Gives it to its owner. Where there is no such id, as in the namespaces of ordinary users, it stays this process' own.
    fn give(&self, fd: &OwnedFd, entry: &Entry) -> Result<()> {
        if self.how.owners == Owners::Own {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        match rustix::fs::chownat(fd, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH) {
            Err(Errno::INVAL) if !self.how.privileged => Ok(()),
            given => given.map_err(|error| no_owner(entry, error)),
        }
    }

    fn attributes(&mut self, node: &Node, entry: &Entry) -> Result<()> {
        for xattr in entry.xattrs.iter().filter(|xattr| !is_overlays(&xattr.name)) {
            match node.set_xattr(xattr) {
                Err(Errno::OPNOTSUPP) => self.done.skipped_attributes += 1,
                Err(Errno::PERM | Errno::ACCESS) if !self.how.privileged => self.done.skipped_attributes += 1,
                set => set.map_err(failed(&format!("set {} of", xattr.name), entry))?,
            }
        }
        Ok(())
    }

    /// Gives folders their modes and times, those inside first.
    fn finish(mut self) -> Result<Extracted> {
        for (path, entry) in std::mem::take(&mut self.folders).iter().rev() {
            let (parent, name) = path::split(path).unwrap_or_default();
            let Ok(folder) = self.open(parent) else { continue };
            let Some(node) = look(&folder, name, entry)? else { continue };
            mode(&node, entry)?;
            rustix::fs::utimensat(&folder, name, &timestamps(entry), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(failed("set the time of", entry))?;
        }
        Ok(self.done)
    }
}

/// What has a name, if it is of the entry's kind.
fn look(folder: &OwnedFd, name: &[u8], entry: &Entry) -> Result<Option<Node>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        found => found.map_err(failed("look at", entry))?,
    };
    let node = Node::of(found).map_err(Error::io(format!("look at {}", path::shown(&entry.path))))?;
    let kind = match entry.kind {
        Kind::Directory => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
        Kind::CharDevice => FileType::CharacterDevice,
        Kind::BlockDevice => FileType::BlockDevice,
        _ => FileType::Fifo,
    };
    Ok((node.kind() == kind).then_some(node))
}

/// Sets the mode of exactly this file.
fn mode(node: &Node, entry: &Entry) -> Result<()> {
    rustix::fs::chmod(node.proc(), Mode::from(entry.mode)).map_err(failed("set the mode of", entry))
}
