//! Whether two files are the same. Unlike BuildKit's overlay differ this never trusts times alone: what is written twice
//! within a clock tick has one time.

use std::{
    fs::File,
    io::{self, Read},
};

use rustix::fs::FileType;

use crate::unpack::Node;

/// Whether kind, mode, owner, device and extended attributes are the same. A folder's time does not count.
pub(super) fn metadata(before: &Node, after: &Node) -> io::Result<bool> {
    let (old, new) = (&before.stat, &after.stat);
    let same = old.st_mode == new.st_mode && old.st_uid == new.st_uid && old.st_gid == new.st_gid && old.st_rdev == new.st_rdev;
    Ok(same && before.xattrs()? == after.xattrs()?)
}

/// Whether two files that are no folders are the same: also size, time and content.
pub(super) fn file(before: &Node, after: &Node) -> io::Result<bool> {
    if (before.stat.st_dev, before.stat.st_ino) == (after.stat.st_dev, after.stat.st_ino) {
        return Ok(true);
    }
    let sizes = before.stat.st_size == after.stat.st_size;
    let seconds = before.stat.st_mtime == after.stat.st_mtime;
    let nanos = before.stat.st_mtime_nsec == after.stat.st_mtime_nsec;
    if !(sizes && seconds && nanos && metadata(before, after)?) {
        return Ok(false);
    }
    match after.kind() {
        FileType::Symlink => Ok(before.link()? == after.link()?),
        FileType::RegularFile if before.stat.st_size > 0 => content(before.open()?, after.open()?),
        _ => Ok(true),
    }
}

fn content(mut old: File, mut new: File) -> io::Result<bool> {
    const PIECE: usize = 128 << 10;
    let (mut one, mut other) = (Vec::with_capacity(PIECE), Vec::with_capacity(PIECE));
    loop {
        one.clear();
        other.clear();
        (&mut old).take(PIECE as u64).read_to_end(&mut one)?;
        (&mut new).take(PIECE as u64).read_to_end(&mut other)?;
        if one != other {
            return Ok(false);
        }
        if one.is_empty() {
            return Ok(true);
        }
    }
}
