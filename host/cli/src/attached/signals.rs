//! Signals that an attached client passes on instead of ending by them.

use std::{future::pending, sync::Arc, thread};

use anyhow::{Context as _, Result};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

/// The window's size has changed.
pub(crate) const SIGWINCH: i32 = 28;

/// What users and supervisors send: HUP, INT, QUIT, USR1, USR2, ALRM, TERM, CONT and TSTP. (Docker passes on what exists,
/// except what the terminal or the process itself causes.)
const PASSED_ON: [i32; 9] = [1, 2, 3, 10, 12, 14, 15, 18, 20];

/// Those by which a client ends that passes nothing on; it has a terminal to put in order first.
const ENDING: [i32; 4] = [1, 2, 3, 15];

/// Caught signals.
pub(crate) struct Signals {
    runtime: Runtime,
    caught: Vec<(i32, Signal)>,
}

impl Signals {
    /// Catches them from here on: all that are passed on, or only those that would end the client.
    pub(crate) fn catch(pass_on: bool) -> Result<Self> {
        let numbers = if pass_on { &PASSED_ON[..] } else { &ENDING };
        let runtime = Builder::new_current_thread().enable_io().build().context("cannot watch for signals")?;
        let entered = runtime.enter();
        let listen = |number: &i32| Ok((*number, signal(SignalKind::from_raw(*number))?));
        let caught = numbers.iter().chain(&[SIGWINCH]).map(listen).collect::<std::io::Result<_>>();
        drop(entered);
        Ok(Self { runtime, caught: caught.context("cannot watch for signals")? })
    }

    /// Tells `whom` of each, those too that have come since they were caught, as long as this process lives.
    pub(crate) fn tell(self, whom: impl Fn(i32) + Send + Sync + 'static) {
        let whom = Arc::new(whom);
        thread::spawn(move || {
            self.runtime.block_on(async move {
                for (number, mut signal) in self.caught {
                    let whom = Arc::clone(&whom);
                    tokio::spawn(async move {
                        while signal.recv().await.is_some() {
                            whom(number);
                        }
                    });
                }
                pending::<()>().await;
            });
        });
    }
}
