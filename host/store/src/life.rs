//! What a container does: proved by its lock, and told by its state file.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::PathBuf,
};

use nacre_oci::{Error, Result};
use serde::Deserialize;

use crate::{Container, Store, layout::Layout};

/// What a container does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its monitor holds its lock.
    Running,
    /// It waits to be started, or removed.
    Stopped,
    /// It was removed, as far as whoever did it came, or it has run and was to go then: it does not count any more, and
    /// waits to be swept.
    Ended,
}

/// What of a container's state file matters here.
#[derive(Deserialize)]
struct State {
    status: String,
}

impl Layout {
    pub(crate) fn containers(&self) -> PathBuf {
        self.root().join("containers")
    }

    fn container_lock(&self, id: &str) -> PathBuf {
        self.containers().join(id).join("lock")
    }

    /// Whether somebody holds a container's lock; `None` if there is no such file. The lock is taken, shared, for the blink
    /// of an eye.
    pub(crate) fn lock_is_held(&self, id: &str) -> Result<Option<bool>> {
        let path = self.container_lock(id);
        let file = match File::open(&path) {
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
            other => other.map_err(Error::io(format!("read {}", path.display())))?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(Some(false)),
            Err(TryLockError::WouldBlock) => Ok(Some(true)),
            Err(TryLockError::Error(e)) => Err(Error::io(format!("lock {}", path.display()))(e)),
        }
    }

    /// The `status` of a container's state file, which its monitor writes; `None` if there is none, because it never ran.
    pub(crate) fn container_state(&self, id: &str) -> Result<Option<String>> {
        let path = self.containers().join(id).join("state.json");
        let text = match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::io(format!("read {}", path.display())))?,
        };
        let state: State = serde_json::from_slice(&text).map_err(|e| Error::malformed(path.display().to_string(), e.to_string()))?;
        Ok(Some(state.status))
    }

    /// What a container does.
    pub(crate) fn life(&self, container: &Container) -> Result<Life> {
        // Before the lock: whoever was running then and has no lock now has ended, while the other way round it may have begun
        // in between. A state that cannot be read was written by a monitor all the same, which a power cut ended.
        let status = self.container_state(&container.id).unwrap_or_else(|_| Some("exited".into()));
        let Some(held) = self.lock_is_held(&container.id)? else { return Ok(Life::Ended) };
        Ok(match status.as_deref() {
            Some("running" | "paused") if held => Life::Running,
            Some("dead") if !held => Life::Ended,
            Some(status) if container.remove && status != "created" && !held => Life::Ended,
            _ => Life::Stopped,
        })
    }
}

impl Store {
    /// What a container does: microseconds.
    ///
    /// # Errors
    /// If its lock cannot be read.
    pub fn life(&self, container: &Container) -> Result<Life> {
        self.layout.life(container)
    }
}
