//! A process that the OCI runtime has started and left to this one, the first of its pid namespace.

use std::sync::{Mutex, PoisonError};

use nacre_oci::{Error, Result};
use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid},
};

/// A child of this process.
pub(crate) struct Process {
    pid: Pid,
    /// Whether its number may be another's by now.
    over: Mutex<bool>,
}

impl Process {
    /// The one that a file of the OCI runtime's names.
    pub(crate) fn named(text: &str) -> Result<Self> {
        let pid = text.trim().parse().ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| Error::malformed("what the OCI runtime says of its process", "it is no number"))?;
        Ok(Self { pid, over: Mutex::new(false) })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Waits for its end. Returns its exit code, or 128 and the number of the signal that ended it.
    pub(crate) fn wait(&self) -> u8 {
        let wait = |options| loop {
            match waitid(WaitId::Pid(self.pid), options) {
                Err(Errno::INTR) => {}
                other => return other.ok().flatten(),
            }
        };
        // It keeps its number until nobody can send it a signal any more.
        wait(WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        *self.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        let code = wait(WaitIdOptions::EXITED).and_then(|status| match status.exit_status() {
            Some(code) => Some(code),
            None => status.terminating_signal().map(|signal| 128 + signal),
        });
        code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        *self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends it one of the signals that have a name. False if the signal has none.
    pub(crate) fn signal(&self, number: i32) -> Result<bool> {
        let Some(signal) = Signal::from_named_raw(number) else { return Ok(false) };
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        if *over {
            return Err(Error::Conflict("the program has ended".into()));
        }
        kill_process(self.pid, signal).map_err(|error| Error::io("send a signal")(error.into()))?;
        Ok(true)
    }
}
