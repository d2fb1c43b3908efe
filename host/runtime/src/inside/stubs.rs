//! Mount points that a root filesystem does not have: made before a program runs, and taken away afterwards.
//!
//! The rule is BuildKit's: what is still there, and empty, goes. Unlike there the folders around keep their times, so that
//! a layer does not mention them.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use nacre_oci::{Error, Result};
use rustix::fs::{self, AtFlags, FileType};

use crate::inside::beneath::{self, Missing, Traces};

/// The mount points in one root filesystem.
pub(crate) struct Stubs {
    root: OwnedFd,
    made: Vec<PathBuf>,
}

impl Stubs {
    pub(crate) fn new(root: &Path) -> Result<Self> {
        let file = beneath::open_root(root).map_err(Error::io(format!("open {}", root.display())))?;
        Ok(Self { root: file, made: Vec::new() })
    }

    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// A mount point that is taken away again if it has to be made. Returns where it is, without links.
    pub(crate) fn point(&mut self, path: &Path, missing: Missing) -> Result<PathBuf> {
        let doing = || Error::io(format!("make the mount point {}", path.display()));
        let found = beneath::find(self.root.as_fd(), path, missing, Traces::None).map_err(doing())?;
        self.made.extend(found.made);
        Ok(Path::new("/").join(found.path))
    }

    /// A folder that stays. What has to be made of it is the owner's, where there are `owners` but one.
    pub(crate) fn folder(&self, path: &str, uid: u32, gid: u32, owners: bool) -> Result<()> {
        let doing = || Error::io(format!("make the folder {path}"));
        let found = beneath::find(self.root.as_fd(), Path::new(path), Missing::Folder, Traces::Times).map_err(doing())?;
        let given = if owners { found.made.as_slice() } else { &[] };
        given.iter().try_for_each(|made| beneath::give(self.root.as_fd(), made, uid, gid)).map_err(doing())
    }

    /// Takes away what was made. Only names in folders of this root filesystem are touched, whatever a program has put in
    /// their place (CVE-2024-23652).
    pub(crate) fn remove(self) {
        for made in self.made.iter().rev() {
            // What cannot be removed was filled or replaced by the program, and is the layer's.
            let _ = remove(self.root.as_fd(), made);
        }
    }
}

fn remove(root: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let folder = beneath::open_exact(root, folder)?;
    let stat = fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let times = beneath::times(folder.as_fd())?;
    match beneath::kind(&stat) {
        FileType::Directory => fs::unlinkat(&folder, name, AtFlags::REMOVEDIR)?,
        FileType::RegularFile if stat.st_size == 0 => fs::unlinkat(&folder, name, AtFlags::empty())?,
        _ => return Ok(()),
    }
    beneath::set_times(folder.as_fd(), &times)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::{
        fs,
        os::unix::fs::symlink,
        time::{Duration, SystemTime},
    };

    use super::*;

    #[test]
    fn what_was_made_goes_and_the_folders_keep_their_times() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        for folder in ["etc", ""] {
            fs::File::open(root.path().join(folder)).unwrap().set_modified(long_ago).unwrap();
        }
        let mut stubs = Stubs::new(root.path()).unwrap();
        assert_eq!(stubs.point(Path::new("/etc/hosts"), Missing::File).unwrap(), Path::new("/etc/hosts"));
        stubs.point(Path::new("/a/b"), Missing::Folder).unwrap();
        stubs.point(Path::new("/a/filled"), Missing::File).unwrap();
        fs::write(root.path().join("a/filled"), "x").unwrap();
        stubs.remove();
        let names: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(!root.path().join("a/b").exists() && root.path().join("a/filled").exists());
        for folder in ["etc", ""] {
            assert_eq!(fs::metadata(root.path().join(folder)).unwrap().modified().unwrap(), long_ago, "{folder}");
        }
    }

    #[test]
    fn a_link_in_the_place_of_what_was_made_deletes_nothing() {
        let (root, host) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(host.path().join("b/c")).unwrap();
        let mut stubs = Stubs::new(root.path()).unwrap();
        stubs.point(Path::new("a/b/c"), Missing::Folder).unwrap();
        fs::rename(root.path().join("a"), root.path().join("moved")).unwrap();
        symlink(host.path(), root.path().join("a")).unwrap();
        stubs.remove();
        assert!(host.path().join("b/c").is_dir());
        assert!(root.path().join("moved/b/c").is_dir() && root.path().join("a").is_symlink());
    }
}
