//! How a container is: what its monitor wrote into `state.json`, and whether the monitor is still there.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use jiff::Timestamp;
use nacre_oci::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a shell says of a program that was killed (`SIGKILL`): all of a container's end with its monitor.
const KILLED: u8 = 137;

/// How a container is. Times are RFC 3339 with nanoseconds, in UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// In which part of its life it is.
    pub status: RunStatus,
    /// The program's process, as the host counts; only while it runs, and if it can be told.
    pub pid: Option<u32>,
    /// When it was last started.
    pub started: Option<String>,
    /// When it last ended.
    pub finished: Option<String>,
    /// How it last ended: its exit code, 128 and a signal's number, or 126 or 127 if it could not be started.
    pub code: Option<u8>,
    /// Why it could not be started.
    pub error: Option<String>,
}

/// A part of a container's life, by Docker's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Never started.
    #[default]
    Created,
    /// Its program runs.
    Running,
    /// Its processes are stopped for a while.
    Paused,
    /// Its program has ended.
    Exited,
    /// It is being removed, or was: nothing can be done with it but to remove it.
    Dead,
}

/// A container's folder below a store's root.
pub fn container_folder(root: &Path, id: &str) -> PathBuf {
    root.join("containers").join(id)
}

/// What its program has printed: Docker's json-file lines.
pub fn log_path(root: &Path, id: &str) -> PathBuf {
    container_folder(root, id).join("log")
}

/// How a container below a store's root is. A container without a folder is dead.
///
/// # Errors
/// If its folder cannot be read.
pub fn state(root: &Path, id: &str) -> Result<State> {
    let folder = container_folder(root, id);
    let state = read(&folder)?;
    Ok(if state.is_live() && !is_held(&folder) { state.killed(modified(&folder)) } else { state })
}

/// The exit code of a container whose monitor is gone without a word. The kernel may be about to close its files.
pub(crate) fn code_after_kill(root: &Path, id: &str) -> u8 {
    for _ in 0..1000 {
        match state(root, id) {
            Ok(state) if state.is_live() => thread::sleep(Duration::from_millis(1)),
            other => return other.ok().and_then(|state| state.code).unwrap_or(KILLED),
        }
    }
    KILLED
}

impl State {
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.status, RunStatus::Running | RunStatus::Paused)
    }

    /// The same after the end of the monitor, of which nobody took note.
    pub(crate) fn killed(self, finished: Timestamp) -> Self {
        // Files' times are a little behind.
        let finished = Some(text(finished)).max(self.started.clone());
        Self { status: RunStatus::Exited, pid: None, finished, code: Some(KILLED), ..self }
    }
}

/// What the monitor has written last.
pub(crate) fn read(folder: &Path) -> Result<State> {
    let doing = || Error::io(format!("read {}", folder.join("state.json").display()));
    match fs::read(folder.join("state.json")) {
        // After a power cut it may be empty: then it ran.
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_else(|_| State::default().killed(modified(folder)))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let status = if folder.join("lock").exists() { RunStatus::Created } else { RunStatus::Dead };
            Ok(State { status, ..State::default() })
        }
        // Damage, which is nothing to hide the other containers for.
        Err(error) if error.kind() == ErrorKind::IsADirectory => Ok(State::default().killed(modified(folder))),
        Err(error) => Err(doing()(error)),
    }
}

/// Writes it, so that it is there as a whole or not at all. On a full disk it takes the place of the old one: half of it would
/// be that of a killed one.
pub(crate) fn write(folder: &Path, state: &State) -> Result<()> {
    let (new, path) = (folder.join("state.new"), folder.join("state.json"));
    let bytes = serde_json::to_vec(state).map_err(|error| Error::Other(error.into()))?;
    let written = File::create(&new).and_then(|mut file| file.write_all(&bytes)).and_then(|()| fs::rename(&new, &path));
    let written = written.or_else(|error| {
        let _ = fs::remove_file(new);
        in_place(&path, &bytes).map_err(|_| error)
    });
    written.map_err(Error::io(format!("write {}", path.display())))
}

/// Overwrites a file that is there, which takes no room.
fn in_place(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).open(path)?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)
}

/// A time as the state has it.
pub(crate) fn text(time: Timestamp) -> String {
    format!("{time:.9}")
}

/// Whether a process holds a container's lock.
fn is_held(folder: &Path) -> bool {
    File::open(folder.join("lock")).is_ok_and(|lock| lock.try_lock_shared().is_err())
}

/// When the container was last heard of.
fn modified(folder: &Path) -> Timestamp {
    let time = |name: &str| fs::metadata(folder.join(name)).and_then(|meta| meta.modified()).ok();
    let last = time("log").max(time("state.json"));
    last.and_then(|time| Timestamp::try_from(time).ok()).unwrap_or_else(Timestamp::now)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn who_runs_is_who_holds_the_lock() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(state(root.path(), "x").unwrap().status, RunStatus::Dead);
        let folder = container_folder(root.path(), "x");
        fs::create_dir_all(&folder).unwrap();
        let lock = File::create(folder.join("lock")).unwrap();
        assert_eq!(state(root.path(), "x").unwrap(), State::default());
        lock.lock().unwrap();
        let running = State { status: RunStatus::Running, pid: Some(7), started: Some(text(Timestamp::now())), ..State::default() };
        write(&folder, &running).unwrap();
        assert_eq!(state(root.path(), "x").unwrap(), running);
        lock.unlock().unwrap();
        let killed = state(root.path(), "x").unwrap();
        assert_eq!((killed.status, killed.code, killed.pid), (RunStatus::Exited, Some(137), None));
        assert_eq!(killed.started, running.started);
        assert!(killed.finished >= killed.started);
    }

    #[test]
    fn a_state_that_a_power_cut_emptied_is_that_of_a_killed_one() {
        let root = tempfile::tempdir().unwrap();
        let folder = container_folder(root.path(), "x");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("state.json"), "").unwrap();
        assert_eq!(state(root.path(), "x").unwrap().code, Some(137));
    }
}
