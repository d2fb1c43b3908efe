//! The folders of a container's own that stay from start to start (`VOLUME`).

use std::{
    fs::{self, DirBuilder},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::DirBuilderExt,
    },
    path::{Path, PathBuf},
};

use nacre_layer::remove_tree;
use nacre_oci::{Error, Result};
use rustix::fs::{FileType, Gid, Mode, Stat, Uid, chmod, chown};

use crate::inside::{
    beneath::{self, Missing, Traces},
    copy::copy,
    root::Roots,
};

/// The place of a volume. A new one is filled with what the root filesystem has at the target, and its owner and mode, as in
/// Docker.
pub(crate) fn ready(name: &str, target: &Path, root: BorrowedFd<'_>, roots: &Roots<'_>) -> Result<PathBuf> {
    let volumes = folder(name, roots)?;
    let path = volumes.join(name);
    if !path.is_dir() {
        let new = volumes.join(format!("{name}.new"));
        remove_tree(&new)?;
        let made = DirBuilder::new().recursive(true).mode(0o755).create(&new);
        made.map_err(Error::io(format!("make the volume {}", path.display())))?;
        if let Some((folder, stat)) = existing(root, target) {
            fill(&folder, &stat, &new, roots)?;
        }
        fs::rename(&new, &path).map_err(Error::io(format!("make the volume {}", path.display())))?;
    }
    Ok(path)
}

fn folder(name: &str, roots: &Roots<'_>) -> Result<PathBuf> {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    match &roots.home {
        Some(home) if plain => Ok(home.path.join("volumes")),
        Some(_) => Err(Error::malformed("the volume's name", format!("'{name}' is not made of letters and digits"))),
        None => Err(Error::Unsupported { what: "a volume".into(), why: "only containers have any".into() }),
    }
}

fn existing(root: BorrowedFd<'_>, target: &Path) -> Option<(OwnedFd, Stat)> {
    let found = beneath::find(root, target, Missing::Fail, Traces::None).ok()?;
    let stat = rustix::fs::fstat(&found.file).ok()?;
    (beneath::kind(&stat) == FileType::Directory).then_some((found.file, stat))
}

fn fill(from: &OwnedFd, like: &Stat, to: &Path, roots: &Roots<'_>) -> Result<()> {
    let doing = || Error::io("fill a volume");
    copy(Path::new(&format!("/proc/self/fd/{}/", from.as_fd().as_raw_fd())), to, &roots.trees.empty()?, roots.place)?;
    chown(to, Some(Uid::from_raw(like.st_uid)), Some(Gid::from_raw(like.st_gid))).map_err(|error| doing()(error.into()))?;
    chmod(to, Mode::from_raw_mode(like.st_mode & 0o7777)).map_err(|error| doing()(error.into()))
}
