//! Who may touch a container's folder: whoever holds its lock. The monitor does as long as the container runs.

use std::{
    fs::{self, File, TryLockError},
    io::ErrorKind,
    os::{fd::AsRawFd, unix::fs::MetadataExt, unix::net::UnixStream},
    path::Path,
    thread,
    time::Duration,
};

use jiff::Timestamp;
use nacre_layer::remove_tree;
use nacre_oci::{Error, Result};

use crate::state::{self, RunStatus, State};

/// How long to wait before a lock is tried again that somebody holds for a moment.
const PAUSE: Duration = Duration::from_millis(2);
/// How often it is tried: for ten seconds.
const TRIES: usize = 5000;

/// Whose a container's folder is.
pub(crate) enum Locked {
    /// This process's, as long as it has the file open.
    Own(File),
    /// A monitor's: the container runs.
    Running,
}

/// Locks a container's folder, after those who visit it just now. What a killed monitor did not write is written then.
///
/// # Errors
/// If there is no such container, its folder is another user's, or somebody visits it for long.
pub(crate) fn lock(folder: &Path) -> Result<Locked> {
    let doing = || Error::io(format!("lock {}", folder.display()));
    let gone = || Error::not_found(format!("container {}", name(folder)));
    let lock = match File::options().read(true).write(true).open(folder.join("lock")) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(gone()),
        lock => lock.map_err(doing())?,
    };
    let mut tries = 0;
    while let Err(error) = lock.try_lock() {
        match error {
            TryLockError::Error(error) => return Err(doing()(error)),
            // Not all that holds the lock is a monitor, even if one has written last.
            TryLockError::WouldBlock if connect(folder).is_ok() => return Ok(Locked::Running),
            TryLockError::WouldBlock if tries == TRIES => {
                return Err(Error::Conflict(format!(
                    "container {} is in use by another command: try again when that is done",
                    name(folder)
                )));
            }
            TryLockError::WouldBlock => thread::sleep(PAUSE),
        }
        tries += 1;
    }
    if lock.metadata().map_err(doing())?.nlink() == 0 {
        return Err(gone());
    }
    let state = state::read(folder)?;
    if state.is_live() {
        state::write(folder, &state.killed(Timestamp::now()))?;
    }
    Ok(Locked::Own(lock))
}

fn name(folder: &Path) -> std::path::Display<'_> {
    folder.file_name().map_or(folder, Path::new).display()
}

/// A connection to a container's monitor. By way of an open folder, because the path of a socket can only be short.
pub(crate) fn connect(folder: &Path) -> std::io::Result<UnixStream> {
    let folder = File::open(folder)?;
    UnixStream::connect(format!("/proc/self/fd/{}/control", folder.as_raw_fd()))
}

/// Deletes the folder of a container that does not run, and all files of the container. Killed in the middle, it leaves a
/// dead container, which can be deleted again. It is no error if there is nothing.
///
/// # Errors
/// If the container runs, or something cannot be deleted.
pub(crate) fn delete(folder: &Path) -> Result<()> {
    match lock(folder) {
        Ok(Locked::Own(lock)) => delete_locked(folder).map(|()| drop(lock)),
        Ok(Locked::Running) => Err(Error::Conflict(format!("container {} is running", folder.file_name().unwrap_or_default().display()))),
        // Without a lock nobody can use it.
        Err(Error::NotFound { .. }) => remove_tree(folder),
        Err(error) => Err(error),
    }
}

/// The same for whoever has the lock.
pub(crate) fn delete_locked(folder: &Path) -> Result<()> {
    // Where not a byte is free, or the state cannot be read, it goes all the same.
    let _ = state::read(folder).and_then(|state| state::write(folder, &State { status: RunStatus::Dead, ..state }));
    let doing = || Error::io(format!("list {}", folder.display()));
    for entry in fs::read_dir(folder).map_err(doing())? {
        let entry = entry.map_err(doing())?;
        if entry.file_name() != "lock" && entry.file_name() != "state.json" {
            remove_tree(&entry.path())?;
        }
    }
    ["state.json", "lock"].iter().try_for_each(|last| remove_tree(&folder.join(last)))?;
    remove_tree(folder)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_killed_one_has_ended_and_can_be_deleted() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("x");
        assert!(matches!(lock(&folder), Err(Error::NotFound { .. })));
        fs::create_dir_all(folder.join("upper/a")).unwrap();
        File::create(folder.join("lock")).unwrap();
        state::write(&folder, &State { status: RunStatus::Running, ..State::default() }).unwrap();
        let Locked::Own(file) = lock(&folder).unwrap() else { panic!("nobody runs") };
        assert_eq!(state::read(&folder).unwrap().code, Some(137));
        drop(file);
        delete(&folder).unwrap();
        assert!(!folder.exists());
        delete(&folder).unwrap();
    }

    #[test]
    fn a_lock_that_was_deleted_meanwhile_is_no_container() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path();
        let visitor = File::create(folder.join("lock")).unwrap();
        visitor.lock().unwrap();
        thread::scope(|scope| {
            let late = scope.spawn(|| lock(folder).is_err_and(|error| matches!(error, Error::NotFound { .. })));
            thread::sleep(PAUSE * 5);
            delete_locked(folder).unwrap();
            drop(visitor);
            assert!(late.join().unwrap());
        });
    }
}
