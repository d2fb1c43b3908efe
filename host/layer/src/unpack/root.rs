//! A folder of the host's that nothing leads out of: every path in it is opened part by part, without following any link.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
};

use nacre_oci::{Error, Result};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat};

use crate::Xattr;

/// The attributes that are overlay filesystems' own: never a layer's.
const OVERLAY: [&str; 3] = ["trusted.overlay.", "user.overlay.", "user.fuseoverlayfs."];
/// The revision in the first word of a `security.capability` (Linux' `capability.h`).
const REVISION_2: u8 = 2;
const REVISION_3: u8 = 3;

/// An open folder and what lies in it.
pub(crate) struct Root(OwnedFd);

/// Something in a [`Root`], opened without being read.
pub(crate) struct Node {
    fd: OwnedFd,
    pub(crate) stat: Stat,
}

impl Root {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, path, flags, Mode::empty());
        Ok(Self(fd.map_err(|error| Error::io(format!("open the folder {}", path.display()))(error.into()))?))
    }

    /// A folder that is open.
    pub(crate) fn of(folder: OwnedFd) -> Self {
        Self(folder)
    }

    /// Opens what has a tidy path; a link on the way or at its end is an error.
    pub(crate) fn at(&self, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat2(&self.0, path, flags, Mode::empty(), resolve)?)
    }

    /// A folder that other files are made in.
    pub(crate) fn folder(&self, path: &[u8]) -> io::Result<OwnedFd> {
        self.at(path, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// What has this tidy path, if anything does.
    pub(crate) fn look(&self, path: &[u8]) -> io::Result<Option<Node>> {
        match self.at(path, OFlags::PATH) {
            Ok(fd) => Node::of(fd).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The names in a folder, in the order of their bytes.
    pub(crate) fn names(&self, path: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        names(&self.at(path, OFlags::RDONLY | OFlags::DIRECTORY)?)
    }
}

/// The names in an open folder, in the order of their bytes.
pub(crate) fn names(folder: &OwnedFd) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    names.sort_unstable();
    Ok(names)
}

impl Node {
    /// Something that is open, if only by its place.
    pub(crate) fn of(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { stat: rustix::fs::fstat(&fd)?, fd })
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    pub(crate) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// This very file to be read, whatever has its name by now.
    pub(crate) fn open(&self) -> io::Result<File> {
        Ok(rustix::fs::open(self.proc(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?.into())
    }

    pub(crate) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    pub(crate) fn is_folder(&self) -> bool {
        self.kind() == FileType::Directory
    }

    /// Whether overlayfs takes it for a whiteout (Linux' `overlayfs.rst`, "whiteouts and opaque directories").
    pub(crate) fn is_whiteout(&self) -> bool {
        self.kind() == FileType::CharacterDevice && self.stat.st_rdev == 0
    }

    pub(crate) fn link(&self) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.fd, "", Vec::new())?.into_bytes())
    }

    /// Where the kernel lets attributes of a file be used that is open only as a path.
    pub(crate) fn proc(&self) -> String {
        format!("/proc/self/fd/{}", self.fd.as_raw_fd())
    }

    /// An attribute's value, if it has the attribute.
    pub(crate) fn xattr(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let path = self.proc();
        loop {
            let size = match rustix::fs::getxattr_query(&path, name) {
                Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP) => return Ok(None),
                size => size?,
            };
            let mut value = vec![0; size];
            match rustix::fs::getxattr(&path, name, &mut value[..]) {
                // It has grown since.
                Err(rustix::io::Errno::RANGE) => {}
                size => {
                    value.truncate(size?);
                    return Ok(Some(value));
                }
            }
        }
    }

    pub(crate) fn set_xattr(&self, xattr: &Xattr) -> rustix::io::Result<()> {
        rustix::fs::setxattr(self.proc(), &xattr.name, &xattr.value, rustix::fs::XattrFlags::empty())
    }

    pub(crate) fn remove_xattr(&self, name: &str) -> rustix::io::Result<()> {
        rustix::fs::removexattr(self.proc(), name)
    }

    fn xattr_names(&self) -> io::Result<Vec<String>> {
        let path = self.proc();
        loop {
            let size = match rustix::fs::listxattr_query(&path) {
                Err(rustix::io::Errno::OPNOTSUPP) | Ok(0) => return Ok(Vec::new()),
                size => size?,
            };
            let mut list = vec![0; size];
            match rustix::fs::listxattr(&path, &mut list[..]) {
                Err(rustix::io::Errno::RANGE) => {}
                size => {
                    list.truncate(size?);
                    let names = list.split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok());
                    return Ok(names.filter(|name| !name.is_empty()).map(String::from).collect());
                }
            }
        }
    }

    /// The attributes that belong into a layer, sorted: capabilities, users' own and trusted ones. What is left out is the
    /// overlay filesystem's or this machine's (SELinux, IMA, ACLs with its ids), as in BuildKit's layers.
    pub(crate) fn xattrs(&self) -> io::Result<Vec<Xattr>> {
        let mut names = self.xattr_names()?;
        names.retain(|name| is_layers(name));
        names.sort_unstable();
        let mut xattrs = Vec::with_capacity(names.len());
        for name in names {
            if let Some(value) = self.xattr(&name)? {
                let value = if name == "security.capability" { portable(value) } else { value };
                xattrs.push(Xattr { name, value });
            }
        }
        Ok(xattrs)
    }
}

/// Whether an attribute is one of overlay filesystems' own.
pub(crate) fn is_overlays(name: &str) -> bool {
    OVERLAY.iter().any(|own| name.starts_with(own))
}

fn is_layers(name: &str) -> bool {
    let kept = name == "security.capability" || name.starts_with("user.") || name.starts_with("trusted.");
    kept && !is_overlays(name)
}

/// File capabilities without the user namespace that they were given in: revision 3 becomes 2 (as in Docker).
fn portable(mut value: Vec<u8>) -> Vec<u8> {
    if value.len() == 24 && value[3] == REVISION_3 {
        value.truncate(20);
        value[3] = REVISION_2;
    }
    value
}
