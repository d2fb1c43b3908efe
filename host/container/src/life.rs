//! From start to removal.

use std::{sync::mpsc, thread, time::Duration};

use nacre_oci::Error as Data;
use nacre_runtime::{Outcome, RunStatus, Started, remove_container};

use crate::{Container, Engine, Error, Listed, Result, signal};

/// Seconds between the stop signal and `SIGKILL` (Docker's default).
const STOP_TIMEOUT: i64 = 10;

/// What [`Engine::prune`] removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The containers' ids.
    pub ids: Vec<String>,
    /// The bytes on the disk that this freed.
    pub bytes: u64,
}

impl Engine {
    /// Starts a container that does not run. With `attach` the session hears all that it prints, from the first byte on;
    /// `size` is the terminal's, rows and columns.
    ///
    /// # Errors
    /// If there is no OCI runtime, or the root filesystem cannot be made. That the program could not be started is no error.
    /// Either way one that is to be removed when it ends is removed.
    pub fn start(&self, container: &Container, attach: bool, size: Option<(u16, u16)>) -> Result<Started> {
        let started = self.sandbox().and_then(|sandbox| Ok(sandbox.start(&self.boot(container, size), attach)?));
        let failed = matches!(&started, Err(_) | Ok(Started { outcome: Outcome::NotStarted { .. }, .. }));
        if failed && container.remove {
            // Why it could not be started is what to tell; what is left over is swept later.
            let _ = self.erase(&container.id);
        }
        started
    }

    /// Stops a container: its stop signal, and `SIGKILL` if it still runs after `timeout` seconds (less than 0: never). One that
    /// does not run stays as it is.
    ///
    /// # Errors
    /// If it is not there, or its monitor does not answer.
    pub fn stop(&self, text: &str, timeout: Option<i64>) -> Result<()> {
        let container = self.find(text)?;
        let timeout = timeout.or(container.record.stop_timeout).unwrap_or(STOP_TIMEOUT);
        let Some(mut control) = self.control(&container)? else { return Ok(()) };
        let (sender, ended) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| _ = sender.send(self.wait_for(&container)));
            let _ = control.signal(container.record.stop_signal());
            let in_time = match u64::try_from(timeout) {
                Ok(seconds) => ended.recv_timeout(Duration::from_secs(seconds)).ok(),
                Err(_) => ended.recv().ok(),
            };
            if let Some(code) = in_time {
                return code.map(drop);
            }
            self.end(&container)
        })
    }

    /// Sends a signal to a container's program. After `SIGKILL` it waits for the end, as Docker does.
    ///
    /// # Errors
    /// In Docker's words, if it is not there or does not run.
    pub fn kill(&self, text: &str, number: i32) -> Result<()> {
        let cannot = |error: Error| match error {
            Error::NoSuchContainer(_) => Error::Conflict(format!("Cannot kill container: {text}: {error}")),
            other => other,
        };
        let container = self.find(text).map_err(cannot)?;
        let Some(mut control) = self.control(&container)? else {
            return Err(Error::Conflict(format!("Cannot kill container: {text}: Container {} is not running", container.id)));
        };
        if number == signal::KILL { self.end(&container) } else { Ok(control.signal(number)?) }
    }

    /// Waits until a container does not run, and returns its exit code; 0 for one that never ran.
    ///
    /// # Errors
    /// If it is not there.
    pub fn wait(&self, text: &str) -> Result<u8> {
        self.wait_for(&self.find(text)?)
    }

    fn wait_for(&self, container: &Container) -> Result<u8> {
        match self.control(container)? {
            Some(control) => Ok(control.wait()?),
            None => Ok(self.state(container)?.code.unwrap_or(0)),
        }
    }

    /// Ends a container's program at once, by way of its monitor or, if that hangs, with it.
    fn end(&self, container: &Container) -> Result<()> {
        let (Some(mut control), Some(waiting)) = (self.control(container)?, self.control(container)?) else { return Ok(()) };
        let still_up = || Ok::<_, Error>(is_up(self.state(container)?.status));
        let hangs = control.signal(signal::KILL).is_err() && still_up()?;
        // One that has ended may still be at its files.
        if (hangs || waiting.wait_shortly().is_err()) && still_up()? { Ok(control.kill_monitor()?) } else { Ok(()) }
    }

    /// Removes a container with all of its files; with `force` one that runs too. A kill in between leaves what the next
    /// [`Engine::sweep`] removes.
    ///
    /// # Errors
    /// In Docker's words, if it is not there, or runs and `force` is not given.
    pub fn remove(&self, text: &str, force: bool) -> Result<String> {
        let container = self.find(text)?;
        loop {
            let status = self.state(&container)?.status;
            match (is_up(status), force) {
                (true, true) => self.end(&container)?,
                (true, false) => return Err(Error::Conflict(running(&container, status))),
                (false, _) => {}
            }
            match self.erase(&container.id) {
                // It was started since.
                Err(Error::Data(Data::Conflict(_))) => {}
                done => return done.map(|()| container.id),
            }
        }
    }

    fn erase(&self, id: &str) -> Result<()> {
        remove_container(self.settings().clone(), id)?;
        self.store().delete_container(id)?;
        Ok(())
    }

    /// Removes all containers that do not run and that `chosen` says yes to.
    ///
    /// # Errors
    /// If one cannot be removed.
    pub fn prune(&self, chosen: &dyn Fn(&Listed) -> bool) -> Result<Pruned> {
        self.sweep()?;
        let mut pruned = Pruned::default();
        for listed in self.list()? {
            if listed.is_running() || !chosen(&listed) {
                continue;
            }
            let id = &listed.container.id;
            let bytes = self.size(&listed.container);
            match self.erase(id) {
                Ok(()) => {
                    pruned.bytes += bytes;
                    pruned.ids.push(id.clone());
                }
                // It was started since.
                Err(_) if self.state(&listed.container).is_ok_and(|state| is_up(state.status)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(pruned)
    }

    /// Removes what killed commands, killed monitors and ended `--rm` containers left behind.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn sweep(&self) -> Result<()> {
        self.store().left_over_containers()?.iter().try_for_each(|id| self.erase(id))
    }
}

/// Whether the program runs, or is paused.
pub(crate) fn is_up(status: RunStatus) -> bool {
    matches!(status, RunStatus::Running | RunStatus::Paused)
}

/// Why a running container is not removed.
fn running(container: &Container, status: RunStatus) -> String {
    let id = &container.id;
    match status {
        RunStatus::Paused => {
            format!(
                "You cannot remove a paused container {id}. Unpause and then stop the container before attempting removal or force remove"
            )
        }
        _ => format!("You cannot remove a running container {id}. Stop the container before attempting removal or force remove"),
    }
}
