//! Opening what lies beneath a folder, whatever somebody does to the folder meanwhile.

use std::{fs::File, io, os::fd::AsFd, os::fd::OwnedFd};

use nacre_layer::path::split;
use rustix::{
    fs::{Mode, OFlags, ResolveFlags, openat, openat2},
    io::Errno,
};

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a tidy path beneath `root` for reading. A symbolic link on the way, or at its end, is an error, so that nothing can
/// lead out; nothing waits for the other end of a pipe.
pub(super) fn open(root: &impl AsFd, path: &[u8], folder: bool) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = if folder { flags | FOLDER } else { flags };
    let name = if path.is_empty() { b"." } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(root, name, flags, Mode::empty(), resolve) {
        Ok(file) => Ok(file.into()),
        // Before Linux 5.6, and where a sandbox forbids it.
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => Ok(part_by_part(root, path, flags)?.into()),
        Err(error) => Err(error.into()),
    }
}

fn part_by_part(root: &impl AsFd, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let Some((folder, name)) = split(path) else { return openat(root, ".", flags, Mode::empty()) };
    let mut at = openat(root, ".", FOLDER | OFlags::PATH, Mode::empty())?;
    for part in folder.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
        at = openat(&at, part, FOLDER | OFlags::PATH, Mode::empty())?;
    }
    openat(&at, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::{fs, io::Read, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn no_link_leads_out_either_way() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), "inside").unwrap();
        fs::write(dir.path().join("secret"), "outside").unwrap();
        symlink("../secret", root.join("up")).unwrap();
        symlink(dir.path(), root.join("absolute")).unwrap();
        symlink("a/b", root.join("inner")).unwrap();
        let root = File::open(root).unwrap();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut text = String::new();
        open(&root, b"a/b/file", false).unwrap().read_to_string(&mut text).unwrap();
        File::from(part_by_part(&root, b"a/b/file", flags).unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "insideinside");
        for path in [&b"up"[..], b"absolute/secret", b"inner/file", b"../secret"] {
            assert!(open(&root, path, false).is_err(), "{path:?}");
        }
        for path in [&b"up"[..], b"absolute/secret", b"inner/file"] {
            assert!(part_by_part(&root, path, flags).is_err(), "{path:?}");
        }
        assert!(open(&root, b"", true).is_ok() && open(&root, b"a/b", true).is_ok() && open(&root, b"a/b/file", true).is_err());
    }
}
