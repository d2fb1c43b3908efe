//! Who is connected, so that somebody can be asked to leave when there is no room for a new client.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::app::lock;

/// All connections.
pub(crate) struct Seats {
    start: Instant,
    idle: Duration,
    all: Mutex<Vec<Arc<Seat>>>,
}

/// One connection.
pub(crate) struct Seat {
    start: Instant,
    /// When something last moved, in milliseconds since `start`; zero before anything has.
    moved: AtomicU64,
    asked: AtomicBool,
    leave: Notify,
}

impl Seats {
    pub(crate) fn new(idle: Duration) -> Self {
        Self { start: Instant::now(), idle, all: Mutex::default() }
    }

    /// A seat for a new connection. It is given up by dropping it.
    pub(crate) fn take(&self) -> Arc<Seat> {
        let seat = Arc::new(Seat { start: self.start, moved: AtomicU64::new(0), asked: AtomicBool::new(false), leave: Notify::new() });
        let mut all = lock(&self.all);
        all.retain(|seat| Arc::strong_count(seat) > 1);
        all.push(Arc::clone(&seat));
        seat
    }

    /// Asks the connection that has been quiet for longest, if that is long enough, to end once it has answered what it was
    /// asked. Who has just come has still to say what it wants.
    pub(crate) fn make_room(&self) {
        let all = lock(&self.all);
        let here = all.iter().filter(|seat| Arc::strong_count(seat) > 1 && !seat.asked.load(Ordering::Relaxed));
        let quiet = here.filter_map(|seat| Some((seat.quiet()?, seat))).max_by_key(|(quiet, _)| *quiet);
        if let Some((_, longest)) = quiet.filter(|(quiet, _)| *quiet >= self.idle) {
            longest.ask();
        }
    }

    /// Asks everybody.
    pub(crate) fn close(&self) {
        lock(&self.all).iter().for_each(|seat| seat.ask());
    }
}

impl Seat {
    /// Something moved on the connection.
    pub(crate) fn moved(&self) {
        let since = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(since.max(1), Ordering::Relaxed);
    }

    fn quiet(&self) -> Option<Duration> {
        let moved = Some(self.moved.load(Ordering::Relaxed)).filter(|moved| *moved > 0)?;
        Some(self.start.elapsed().saturating_sub(Duration::from_millis(moved)))
    }

    fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
        self.leave.notify_one();
    }

    /// Is ready when the connection is to end.
    pub(crate) async fn asked(&self) {
        self.leave.notified().await;
    }
}
