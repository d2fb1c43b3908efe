//! The time limit of a call, and the thread it runs on.
//!
//! Compiled code looks at the engine's epoch at every loop and function. The plugin runs on a thread of its
//! own while the caller's waits, and advances the epoch once the time is up; no ticker runs when
//! nothing is called. The epoch is the engine's, so each store checks its own clock: another call's
//! deadline is not ours. A thread of its own also means a known stack, and no tokio task around WASI's
//! waiting, which tokio would answer with a panic.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{panic, thread};

use wasmtime::{Store, UpdateDeadline};

/// Runs `work` on `store`, ending it with `Trap::Interrupt` when it takes longer than `limit`.
pub(crate) fn within<T: Send, R: Send>(limit: Duration, store: &mut Store<T>, work: impl FnOnce(&mut Store<T>) -> R + Send) -> R {
    let deadline = Instant::now() + limit;
    let engine = store.engine().clone();
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| match Instant::now() >= deadline {
        true => Ok(UpdateDeadline::Interrupt),
        false => Ok(UpdateDeadline::Continue(1)),
    });
    let (done, waiting) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let worker = scope.spawn(move || {
            let _done = done;
            work(store)
        });
        if waiting.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            engine.increment_epoch();
        }
        worker.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
    })
}
