//! Removing trees without following links.

use std::{io, os::fd::OwnedFd, path::Path};

use nacre_oci::{Error, Result};
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags},
    io::Errno,
};

use crate::unpack::root::names;

/// Removes a folder and all that it holds, also what its modes forbid to list. Links are removed, not followed. It is no
/// error if there is nothing.
///
/// # Errors
/// If something cannot be removed.
pub fn remove_tree(path: &Path) -> Result<()> {
    let doing = || Error::io(format!("remove {}", path.display()));
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::Conflict(format!("{} is no folder that can be removed", path.display())));
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let parent = match rustix::fs::openat(CWD, parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        parent => parent.map_err(|error| doing()(error.into()))?,
    };
    remove(&parent, name.as_encoded_bytes()).map_err(doing())
}

/// A folder that is being emptied.
struct Level {
    name: Vec<u8>,
    left: Vec<Vec<u8>>,
    id: (u64, u64),
}

/// Removes what has this name in a folder, if anything has. However deep it is, two folders are open at a time.
pub(crate) fn remove(folder: &OwnedFd, name: &[u8]) -> io::Result<()> {
    if unlink(folder, name)? {
        return Ok(());
    }
    let (mut at, level) = enter(folder, name)?;
    let mut levels = vec![level];
    while let Some(level) = levels.last_mut() {
        if let Some(next) = level.left.pop() {
            if !unlink(&at, &next)? {
                let (deeper, level) = enter(&at, &next)?;
                at = deeper;
                levels.push(level);
            }
            continue;
        }
        let emptied = levels.pop().expect("the loop has it").name;
        let Some(above) = levels.last() else { break };
        at = rustix::fs::openat(&at, "..", FOLDER, Mode::empty())?;
        if id(&at)? != above.id {
            return Err(io::Error::other("a folder in it was moved meanwhile"));
        }
        rustix::fs::unlinkat(&at, emptied, AtFlags::REMOVEDIR)?;
    }
    Ok(rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)?)
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Removes a file or an empty folder. False for a folder that is not empty.
fn unlink(folder: &OwnedFd, name: &[u8]) -> io::Result<bool> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(true),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    match rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR) {
        Ok(()) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Opens a folder so that what it holds can be removed.
fn enter(folder: &OwnedFd, name: &[u8]) -> io::Result<(OwnedFd, Level)> {
    let opened = match rustix::fs::openat(folder, name, FOLDER, Mode::empty()) {
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(folder, name, Mode::RWXU, AtFlags::empty())?;
            rustix::fs::openat(folder, name, FOLDER, Mode::empty())?
        }
        opened => opened?,
    };
    if rustix::fs::fstat(&opened)?.st_mode & 0o300 != 0o300 {
        rustix::fs::fchmod(&opened, Mode::RWXU)?;
    }
    let level = Level { name: name.to_vec(), left: names(&opened)?, id: id(&opened)? };
    Ok((opened, level))
}

fn id(folder: &OwnedFd) -> io::Result<(u64, u64)> {
    let stat = rustix::fs::fstat(folder)?;
    Ok((stat.st_dev, stat.st_ino))
}
