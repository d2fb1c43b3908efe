//! Finding what a path of Docker's archive API means (moby's `Container.ResolvePath` and `StatPath`).

use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use nacre_oci::{Error, Result};
use rustix::{
    fs::{FileType, Mode, OFlags, fstat, openat, readlinkat},
    io::Errno,
};

use crate::{
    files::PathStat,
    inside::{
        beneath::{self, Found, Missing, Traces, kind},
        files::{View, is_system},
        mounts::absolute,
    },
};

/// What was found.
pub(super) struct Seen {
    /// Opened by its place.
    pub(super) file: OwnedFd,
    /// Where it is, without links, relative to the root.
    pub(super) path: PathBuf,
    /// What it was called by; empty for the root and for `.`.
    pub(super) name: Vec<u8>,
}

impl View<'_> {
    pub(super) fn stat(&self, path: &str) -> Result<PathStat> {
        let seen = self.look(path)?;
        let stat = fstat(&seen.file).map_err(|error| looking(path)(error.into()))?;
        let name = match seen.name.as_slice() {
            b"" if is_dotted(path) => ".".into(),
            b"" => "/".into(),
            name => String::from_utf8_lossy(name).into_owned(),
        };
        Ok(PathStat {
            name,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mode: stat.st_mode,
            mtime: stat.st_mtime,
            nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
            link_target: if kind(&stat) == FileType::Symlink { self.target(&seen, path)? } else { String::new() },
        })
    }

    /// What has a path. A link at its end is followed only if a slash or a dot comes after it.
    pub(super) fn look(&self, path: &str) -> Result<Seen> {
        let clean = absolute("/", path);
        let name = clean.file_name().filter(|_| !is_dotted(path)).map_or(Vec::new(), |name| name.as_bytes().to_vec());
        let (Some(folder), Some(last)) = (clean.parent(), clean.file_name()) else {
            return self.follow(path, &clean).map(|found| Seen { file: found.file, path: found.path, name });
        };
        if path.ends_with('/') || is_dotted(path) {
            let found = self.follow(path, &clean)?;
            let is_folder = fstat(&found.file).is_ok_and(|stat| kind(&stat) == FileType::Directory);
            let refused = || looking(path)(Errno::NOTDIR.into());
            return is_folder.then_some(Seen { file: found.file, path: found.path, name }).ok_or_else(refused);
        }
        let folder = self.follow(path, folder)?;
        let place = folder.path.join(last);
        not_of_the_system(path, &place)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&folder.file, last, flags, Mode::empty()).map_err(|error| missing(path, error.into()))?;
        Ok(Seen { file, path: place, name })
    }

    /// What has a path with all links followed. `asked` is the path for messages.
    pub(super) fn follow(&self, asked: &str, path: &Path) -> Result<Found> {
        let found = beneath::find(self.eyes.as_fd(), path, Missing::Fail, Traces::None).map_err(|error| missing(asked, error))?;
        not_of_the_system(asked, &found.path).map(|()| found)
    }

    /// Where a link leads in the container.
    fn target(&self, link: &Seen, path: &str) -> Result<String> {
        if let Ok(found) = beneath::find(self.eyes.as_fd(), &link.path, Missing::Fail, Traces::None) {
            return Ok(Path::new("/").join(found.path).to_string_lossy().into_owned());
        }
        let text = readlinkat(&link.file, "", Vec::new()).map_err(|error| looking(path)(error.into()))?;
        let folder = Path::new("/").join(link.path.parent().unwrap_or(Path::new("")));
        let target = folder.join(OsStr::from_bytes(text.as_bytes()));
        Ok(absolute("/", &target.to_string_lossy()).to_string_lossy().into_owned())
    }
}

/// Whether a path names what is in a folder rather than the folder.
fn is_dotted(path: &str) -> bool {
    path == "." || path.ends_with("/.")
}

fn not_of_the_system(asked: &str, path: &Path) -> Result<()> {
    let below = path.ancestors().skip(1).any(is_system);
    if below { Err(Error::not_found(asked)) } else { Ok(()) }
}

fn missing(path: &str, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotFound { Error::not_found(path) } else { looking(path)(error) }
}

fn looking(path: &str) -> impl FnOnce(io::Error) -> Error {
    Error::io(format!("look at {path} in the container"))
}
