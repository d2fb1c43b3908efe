//! How much room and how much patience clients get.

use std::time::Duration;

/// What clients may take of the server. The defaults are meant for strangers on slow lines.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// More clients than this wait for one of the others to leave ...
    pub connections: usize,
    /// ... and whoever has been quiet for so long is asked to, once it has its answer. A client that is between two requests of
    /// its own is faster.
    pub idle: Duration,
    /// A request's head has to arrive within this time, and a kept connection to be used again.
    pub head: Duration,
    /// A client that keeps the server waiting for so long, while a body comes or goes, is cut off ...
    pub stall: Duration,
    /// ... where each second's worth of bytes at this rate earns it a second of that time back: so a byte now and then holds
    /// nothing up for long. In bytes per second.
    pub min_rate: u32,
    /// An upload that nobody goes on with is thrown away after this time.
    pub unfinished: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // With a file for each, and the uploads', this stays within the 1024 descriptors that a process has by default.
            connections: 256,
            idle: Duration::from_secs(2),
            head: Duration::from_secs(60),
            stall: Duration::from_secs(60),
            min_rate: 1024,
            unfinished: Duration::from_secs(60 * 60),
        }
    }
}

/// The time that one client may still keep the server waiting. Only waiting for the client counts.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    left: Duration,
    full: Duration,
    min_rate: u32,
}

impl Patience {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { left: limits.stall, full: limits.stall, min_rate: limits.min_rate.max(1) }
    }

    /// For how long it may wait now.
    pub(crate) fn left(&self) -> Duration {
        self.left
    }

    /// Accounts for a wait at whose end some bytes moved.
    pub(crate) fn moved(&mut self, waited: Duration, bytes: usize) {
        let earned = Duration::from_secs(bytes as u64) / self.min_rate;
        self.left = self.left.saturating_sub(waited).saturating_add(earned).min(self.full);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_earned_by_bytes() {
        let second = Duration::from_secs(1);
        let mut patience = Patience::new(&Limits { stall: second * 10, min_rate: 100, ..Limits::default() });
        patience.moved(second * 4, 1);
        assert_eq!(patience.left(), second * 6 + second / 100);
        patience.moved(second * 5, 250);
        assert_eq!(patience.left(), second * 3 + second / 2 + second / 100);
        patience.moved(second, 1 << 20);
        assert_eq!(patience.left(), second * 10, "never more than at the start");
        for _ in 0..11 {
            patience.moved(second, 1);
        }
        assert_eq!(patience.left(), second / 100, "a byte a second does not keep it up");
    }
}
