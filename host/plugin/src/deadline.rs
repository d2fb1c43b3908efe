//! The time limit of a call.
//!
//! Compiled code looks at the engine's epoch at every loop and function. A thread that lives as long
//! as the call advances the epoch once the time is up; no ticker runs when nothing is called. The epoch
//! is the engine's, so each store checks its own clock: another call's deadline is not ours.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use wasmtime::{Store, UpdateDeadline};

/// Runs `work` on `store`, ending it with `Trap::Interrupt` when it takes longer than `limit`.
pub(crate) fn within<T, R>(limit: Duration, store: &mut Store<T>, work: impl FnOnce(&mut Store<T>) -> R) -> R {
    let deadline = Instant::now() + limit;
    let engine = store.engine().clone();
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| match Instant::now() >= deadline {
        true => Ok(UpdateDeadline::Interrupt),
        false => Ok(UpdateDeadline::Continue(1)),
    });
    let (done, waiting) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if waiting.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        });
        let result = work(store);
        drop(done);
        result
    })
}
