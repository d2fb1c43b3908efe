//! The time limit of a call, and the thread it runs on.
//!
//! Compiled code looks at the engine's epoch at every loop and function. The plugin runs on a thread of its
//! own while the caller's waits, and advances the epoch once the time is up; no ticker runs when
//! nothing is called. The epoch is the engine's, so each store checks its own clock: another call's
//! deadline is not ours. A thread of its own also means a known stack, and no tokio task around WASI's
//! waiting, which tokio would answer with a panic.
//!
//! The limit is about the plugin's own time. While nacre moves data for it the clock stands: that
//! takes as long as there is data, and the user can end it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{panic, thread};

use wasmtime::{Store, UpdateDeadline};

use crate::state::State;

/// How often it is asked whether the user wants an end.
const WATCH: Duration = Duration::from_millis(50);
/// How often the epoch advances once the time seems to be up, until the call ends.
const NAG: Duration = Duration::from_millis(5);
/// What each call of nacre counts as the plugin's own time, however many bytes it moves: a loop of short ones is the
/// plugin's doing.
const SHORT: Duration = Duration::from_micros(5);
/// The most time that a byte excuses: 10 kB/s is slow for any network.
const PER_BYTE: Duration = Duration::from_micros(100);

/// A call's time.
pub(crate) struct Clock {
    limit: Duration,
    begun: Instant,
    /// Nanoseconds that do not count.
    stood: AtomicU64,
}

impl Clock {
    pub(crate) fn new(limit: Duration) -> Clock {
        Clock { limit, begun: Instant::now(), stood: AtomicU64::new(0) }
    }

    /// Nacre took `time` to move `bytes`: as far as they excuse it, it does not count.
    pub(crate) fn stand(&self, time: Duration, bytes: u64) {
        let excused = PER_BYTE.saturating_mul(u32::try_from(bytes).unwrap_or(u32::MAX));
        let nanos = time.saturating_sub(SHORT).min(excused).as_nanos();
        self.stood.fetch_add(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The time so far that does not count.
    pub(crate) fn stood(&self) -> Duration {
        Duration::from_nanos(self.stood.load(Ordering::Relaxed))
    }

    /// All time since the call began.
    pub(crate) fn wall(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The plugin's own time so far; while nacre works for it, that too.
    pub(crate) fn own(&self) -> Duration {
        self.wall().saturating_sub(self.stood())
    }

    fn left(&self) -> Duration {
        self.limit.saturating_sub(self.own())
    }

    /// How long to wait before looking again.
    fn patience(&self) -> Duration {
        let left = self.left();
        if left.is_zero() { NAG } else { left.min(WATCH) }
    }
}

/// Runs `work` on `store`, ending it with `Trap::Interrupt` when its clock has run down or the user wants an end.
pub(crate) fn within<R: Send>(store: &mut Store<State>, work: impl FnOnce(&mut Store<State>) -> R + Send) -> R {
    let engine = store.engine().clone();
    let clock = Arc::clone(&store.data().clock);
    let watch = store.data().watch.clone();
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| match store.data().clock.left().is_zero() || store.data().watch.cancelled() {
        true => Ok(UpdateDeadline::Interrupt),
        false => Ok(UpdateDeadline::Continue(1)),
    });
    let (done, waiting) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let worker = scope.spawn(move || {
            let _done = done;
            work(store)
        });
        while waiting.recv_timeout(clock.patience()) == Err(RecvTimeoutError::Timeout) {
            if clock.left().is_zero() || watch.cancelled() {
                engine.increment_epoch();
            }
        }
        worker.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moved_bytes_excuse_time_and_nothing_else_does() {
        let clock = Clock::new(Duration::from_secs(3600));
        clock.stand(Duration::from_secs(5), 0);
        clock.stand(Duration::from_micros(5), 1 << 20);
        assert_eq!(clock.stood(), Duration::ZERO);
        clock.stand(Duration::from_secs(5), 10);
        assert_eq!(clock.stood(), Duration::from_millis(1));
        clock.stand(Duration::from_secs(5), u64::MAX);
        assert_eq!(clock.stood(), Duration::from_millis(5_001) - SHORT);
    }
}
