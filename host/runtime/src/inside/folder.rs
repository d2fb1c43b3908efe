//! Where a sandbox keeps its files.
//!
//! ```text
//! ROOT/trees/IDS/lock        held shared to begin a run, exclusively to delete what no run uses
//!                layers/BOOT/    unpacked layers, by chain id
//!                overlay-BOOT    there if the kernel makes overlay mounts here
//!                making/     locks of those that are being unpacked
//!                caches/     the folders of cache mounts
//!                runs/       one folder per run, with a lock that its sandbox process holds
//! ```
//! `IDS` stands for how ids are mapped, since trees that one user namespace made are of no use in another. `BOOT` is the
//! kernel's boot id: trees are not flushed, which would take longer than most programs run, so after a power cut they
//! could be incomplete. They are made anew, from their layers, after a boot.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    os::unix::{
        ffi::OsStringExt,
        fs::{DirBuilderExt, symlink},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nacre_layer::{OverlayAttributes, remove_tree};
use nacre_oci::{Digest, Error, Result};
use rustix::mount::{UnmountFlags, unmount};

use crate::{
    inside::{first::has_all_ids, groups},
    state::container_folder,
    wire,
};

/// The folder of all runs with the same ids, and what is known about running here.
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    /// The kernel's boot id.
    pub(crate) boot: String,
    pub(crate) runtime: PathBuf,
    pub(crate) fuse: Option<PathBuf>,
    pub(crate) compression: String,
    /// Whether this is no user namespace.
    pub(crate) privileged: bool,
    /// Whether there is more than one user.
    pub(crate) owners: bool,
}

impl Place {
    pub(crate) fn of(settings: wire::Place) -> Result<Self> {
        let privileged = has_all_ids();
        let maps = ["uid", "gid"].map(|which| fs::read_to_string(format!("/proc/self/{which}_map")).unwrap_or_default());
        let own = if privileged { "root".to_owned() } else { Digest::of(maps.concat().as_bytes()).short().to_owned() };
        let path = settings.trees.join(own);
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").map_err(Error::io("read the kernel's boot id"))?;
        let boot = boot.trim().to_owned();
        for folder in [&format!("layers/{boot}"), "making", "caches", "runs"] {
            make(&path.join(folder))?;
        }
        // One line "0 UID 1" is a user who is alone.
        let owners = maps[0].split_whitespace().nth(2) != Some("1") || maps[0].lines().count() > 1;
        let wire::Place { runtime, fuse, compression, .. } = settings;
        Ok(Self { path, boot, runtime, fuse, compression, privileged, owners })
    }

    /// The folder of a container.
    pub(crate) fn container(&self, id: &str) -> PathBuf {
        container_folder(self.path.ancestors().nth(2).unwrap_or(&self.path), id)
    }

    /// How folders of an overlay mount are marked.
    pub(crate) fn attributes(&self) -> OverlayAttributes {
        if self.privileged { OverlayAttributes::Trusted } else { OverlayAttributes::User }
    }

    pub(crate) fn lock(&self) -> Result<File> {
        let path = self.path.join("lock");
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        opened.map_err(Error::io(format!("open {}", path.display())))
    }

    /// Deletes what runs left whose sandbox process was killed, and trees of another boot.
    pub(crate) fn sweep(&self) -> Result<()> {
        let lock = self.lock()?;
        // Somebody begins a run just now; whoever comes next sweeps.
        if lock.try_lock().is_ok() { self.sweep_locked() } else { Ok(()) }
    }

    /// The same, after those who begin a run just now.
    pub(crate) fn sweep_now(&self) -> Result<()> {
        let lock = self.lock()?;
        lock.lock().map_err(Error::io("lock the trees"))?;
        self.sweep_locked()
    }

    fn sweep_locked(&self) -> Result<()> {
        for entry in list(&self.path.join("layers"))? {
            if entry.file_name() != self.boot.as_str() {
                remove_tree(&entry.path())?;
            }
        }
        for entry in list(&self.path)? {
            let name = entry.file_name();
            if name.to_str().and_then(|name| name.strip_prefix("overlay-")).is_some_and(|boot| boot != self.boot) {
                let _ = fs::remove_file(entry.path());
            }
        }
        for entry in list(&self.path.join("runs"))? {
            let dead = match File::open(entry.path().join("lock")) {
                Ok(file) => file.try_lock().is_ok(),
                Err(error) => error.kind() == std::io::ErrorKind::NotFound,
            };
            if dead {
                self.delete(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Deletes a run's folder; first the control groups that the OCI runtime has made for it. That asks for processes
    /// by number, so it must be done in a pid namespace that has no other processes: as here.
    fn delete(&self, run: &Path) -> Result<()> {
        let state = run.join("state");
        if let (true, Some(id)) = (state.is_dir(), run.file_name()) {
            // One that was paused would never end.
            for words in [&["resume"][..], &["delete", "--force"]] {
                let mut command = Command::new(&self.runtime);
                command.arg("--root").arg(&state).args(words).arg(id);
                let _ = command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
            }
            groups::delete(id);
        }
        remove_tree(run)
    }
}

/// The folder of one run.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    _lock: File,
}

impl Folder {
    /// A new one. Everybody sees it as in use until this process ends.
    pub(crate) fn new(place: &Place) -> Result<Self> {
        let runs = place.path.join("runs");
        let doing = || Error::io(format!("make a folder in {}", runs.display()));
        let beginning = place.lock()?;
        beginning.lock_shared().map_err(doing())?;
        let path = tempfile::Builder::new().prefix("nacre-").tempdir_in(&runs).map_err(doing())?.keep();
        let lock = File::create(path.join("lock")).map_err(doing())?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::Error(error)) => Err(doing()(error)),
            Err(TryLockError::WouldBlock) => Err(Error::Conflict(format!("{} is in use", path.display()))),
        }
    }

    /// A path in it.
    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// A new folder in it.
    pub(crate) fn make(&self, name: &str) -> Result<PathBuf> {
        let path = self.join(name);
        DirBuilder::new().mode(0o755).create(&path).map_err(Error::io(format!("make the folder {}", path.display())))?;
        Ok(path)
    }

    /// A link in it to something of the place's, which is in use from now on.
    pub(crate) fn link(&self, name: &str, target: &Path) -> Result<()> {
        symlink(target, self.join(name)).map_err(Error::io(format!("link {}", target.display())))
    }

    /// The container's name for the OCI runtime: unique on the host.
    pub(crate) fn id(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or("nacre")
    }

    /// Ends what is still mounted in it, after a failure in the middle, and deletes it.
    pub(crate) fn remove(self, place: &Place) -> Result<()> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        // The fifth field is where it is mounted (proc_pid_mountinfo(5)); later mounts may lie upon earlier ones.
        for point in mounts.lines().rev().filter_map(|line| line.split(' ').nth(4)).map(unescape) {
            if point.starts_with(&self.path) {
                let _ = unmount(&point, UnmountFlags::DETACH);
            }
        }
        // An OCI runtime that was killed has left them.
        if self.join("state").join(self.id()).exists() {
            groups::delete(self.id().as_ref());
        }
        // A sweep would take it for a dead run's as soon as its lock is deleted.
        let sweeping = place.lock()?;
        sweeping.lock_shared().map_err(Error::io("lock the trees"))?;
        remove_tree(&self.path)
    }
}

/// A path of a file of mounts, where blanks and such are three octal digits behind a backslash.
fn unescape(text: &str) -> PathBuf {
    let mut parts = text.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(3).unwrap_or((part, ""));
        bytes.extend(u8::from_str_radix(digits, 8));
        bytes.extend(rest.as_bytes());
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// What is in a folder.
pub(crate) fn list(path: &Path) -> Result<Vec<fs::DirEntry>> {
    let listed = fs::read_dir(path).and_then(Iterator::collect);
    listed.map_err(Error::io(format!("list {}", path.display())))
}

fn make(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(Error::io(format!("make the folder {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_may_have_any_name() {
        assert_eq!(unescape("/a\\040b\\134c\\011"), Path::new("/a b\\c\t"));
        assert_eq!(unescape("/plain"), Path::new("/plain"));
        assert_eq!(unescape("/odd\\04"), Path::new("/odd\u{4}"));
    }
}
