//! Paths in a root filesystem, found as a program in it would find them, and never outside of it.
//!
//! Every step opens one name in a folder that is held open, and follows no link itself: links' texts are walked by the
//! same steps, `..` goes back on the way that was come, and the root has no parent (CVE-2024-1753, CVE-2024-23651).

use std::{
    ffi::{OsStr, OsString},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self, AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid},
    io::Errno,
};

/// As the kernel's own limit.
const MAX_LINKS: usize = 40;

/// What happens to a path's parts that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Nothing: the path is not there.
    Fail,
    /// All become folders.
    Folder,
    /// The last becomes an empty file, the others folders.
    File,
}

/// What making something shows of itself in the folder around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traces {
    /// The folder's times change, as ever.
    Times,
    /// The folder keeps its times.
    None,
}

/// What was found.
pub(crate) struct Found {
    /// Opened by its place only (`O_PATH`).
    pub(crate) file: OwnedFd,
    /// Where it is, without links, relative to the root.
    pub(crate) path: PathBuf,
    /// What was made for it, parents first.
    pub(crate) made: Vec<PathBuf>,
}

struct Walk<'a> {
    root: BorrowedFd<'a>,
    way: Vec<(OwnedFd, OsString)>,
    todo: Vec<OsString>,
    links: usize,
    made: Vec<PathBuf>,
    traces: Traces,
}

/// A folder, opened by its place.
pub(crate) fn open_root(path: &Path) -> io::Result<OwnedFd> {
    Ok(fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Finds `path` beneath `root`.
pub(crate) fn find(root: BorrowedFd<'_>, path: &Path, missing: Missing, traces: Traces) -> io::Result<Found> {
    let mut walk = Walk { root, way: Vec::new(), todo: Vec::new(), links: 0, made: Vec::new(), traces };
    walk.add(path);
    while let Some(part) = walk.todo.pop() {
        walk.step(part, missing)?;
    }
    let path = walk.path();
    let file = match walk.way.pop() {
        Some((file, _)) => file,
        None => root.try_clone_to_owned()?,
    };
    Ok(Found { file, path, made: walk.made })
}

/// Opens `path` beneath `root`, which must have no link in it.
pub(crate) fn open_exact(root: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    let mut folder = root.try_clone_to_owned()?;
    for part in path.iter() {
        folder = open(folder.as_fd(), part)?;
        if kind(&fs::fstat(&folder)?) == FileType::Symlink {
            return Err(Errno::LOOP.into());
        }
    }
    Ok(folder)
}

impl Walk<'_> {
    fn add(&mut self, path: &Path) {
        let parts: Vec<OsString> =
            path.as_os_str().as_bytes().split(|byte| *byte == b'/').map(|part| OsStr::from_bytes(part).to_owned()).collect();
        self.todo.extend(parts.into_iter().rev());
    }

    fn path(&self) -> PathBuf {
        self.way.iter().map(|(_, name)| name).collect()
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.way.last().map_or(self.root, |(file, _)| file.as_fd())
    }

    fn step(&mut self, part: OsString, missing: Missing) -> io::Result<()> {
        match part.as_bytes() {
            b"" | b"." => return Ok(()),
            b".." => {
                self.way.pop();
                return Ok(());
            }
            _ => {}
        }
        let file = match open(self.here(), &part) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && missing != Missing::Fail => self.make(&part, missing)?,
            other => other?,
        };
        if kind(&fs::fstat(&file)?) != FileType::Symlink {
            self.way.push((file, part));
            return Ok(());
        }
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        let target = fs::readlinkat(&file, "", Vec::new())?;
        if target.as_bytes().starts_with(b"/") {
            self.way.clear();
        }
        self.add(Path::new(OsStr::from_bytes(target.as_bytes())));
        Ok(())
    }

    fn make(&mut self, part: &OsStr, missing: Missing) -> io::Result<OwnedFd> {
        let times = times(self.here())?;
        let last = self.todo.iter().all(|part| part.is_empty() || part == ".");
        if missing == Missing::File && last {
            fs::openat(self.here(), part, OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC, Mode::from_raw_mode(0o644))?;
        } else {
            fs::mkdirat(self.here(), part, Mode::from_raw_mode(0o755))?;
        }
        if self.traces == Traces::None {
            set_times(self.here(), &times)?;
        }
        self.made.push(self.path().join(part));
        open(self.here(), part)
    }
}

fn open(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    Ok(fs::openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?)
}

/// Gives what is at `path`, which must have no link in it, to an owner.
pub(crate) fn give(root: BorrowedFd<'_>, path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let file = open_exact(root, path)?;
    Ok(fs::chownat(&file, "", Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::EMPTY_PATH)?)
}

/// The two times of a folder.
pub(crate) fn times(folder: BorrowedFd<'_>) -> io::Result<Timestamps> {
    let stat = fs::statat(folder, ".", AtFlags::empty())?;
    let of = |seconds, nanos| Timespec { tv_sec: seconds, tv_nsec: nanos };
    Ok(Timestamps {
        last_access: of(stat.st_atime as _, stat.st_atime_nsec as _),
        last_modification: of(stat.st_mtime as _, stat.st_mtime_nsec as _),
    })
}

/// Gives a folder its times back.
pub(crate) fn set_times(folder: BorrowedFd<'_>, times: &Timestamps) -> io::Result<()> {
    Ok(fs::utimensat(folder, ".", times, AtFlags::empty())?)
}

pub(crate) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::fs::symlink;

    use super::*;

    /// A root beside a folder that must never be reached.
    fn tree() -> (tempfile::TempDir, OwnedFd) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::create_dir(dir.path().join("host")).unwrap();
        std::fs::write(root.join("a/file"), "").unwrap();
        symlink("../../../../host", root.join("a/out")).unwrap();
        symlink("/a/b", root.join("there")).unwrap();
        symlink("../run/later", root.join("a/dangling")).unwrap();
        symlink("round", root.join("round")).unwrap();
        let file = open_root(&root).unwrap();
        (dir, file)
    }

    #[test]
    fn links_are_followed_inside_of_the_root() {
        let (dir, root) = tree();
        let path = |path: &str, missing| find(root.as_fd(), Path::new(path), missing, Traces::Times).map(|found| found.path);
        assert_eq!(path("/there", Missing::Fail).unwrap(), Path::new("a/b"));
        assert_eq!(path("../../a/./b/..", Missing::Fail).unwrap(), Path::new("a"));
        assert_eq!(path("/", Missing::Fail).unwrap(), Path::new(""));
        assert_eq!(path("a/out", Missing::Fail).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(path("a/out/x", Missing::Folder).unwrap(), Path::new("host/x"));
        assert_eq!(path("round", Missing::Folder).unwrap_err().raw_os_error(), Some(Errno::LOOP.raw_os_error()));
        assert!(path("a/file/x", Missing::Folder).is_err());
        assert_eq!(std::fs::read_dir(dir.path().join("host")).unwrap().count(), 0);
    }

    #[test]
    fn what_is_missing_is_made_where_a_link_leads() {
        let (dir, root) = tree();
        let found = find(root.as_fd(), Path::new("a/dangling"), Missing::File, Traces::Times).unwrap();
        assert_eq!(found.made, [Path::new("run"), Path::new("run/later")]);
        assert_eq!(found.path, Path::new("run/later"));
        assert!(dir.path().join("root/run/later").is_file());
        assert!(find(root.as_fd(), Path::new("a/dangling"), Missing::Folder, Traces::None).unwrap().made.is_empty());
    }

    #[test]
    fn an_exact_path_has_no_links() {
        let (_dir, root) = tree();
        assert!(open_exact(root.as_fd(), Path::new("a/b")).is_ok());
        assert!(open_exact(root.as_fd(), Path::new("there")).is_err());
        assert!(open_exact(root.as_fd(), Path::new("there/x")).is_err());
    }
}
