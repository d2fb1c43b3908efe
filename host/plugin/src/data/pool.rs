//! What a plugin has nacre keep in memory: so much of each kind at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Outcome, Trouble};

/// So much may be kept.
pub(crate) struct Pool {
    used: AtomicUsize,
    max: usize,
    /// What is said when it is more.
    over: &'static str,
}

impl Pool {
    fn new(max: usize, over: &'static str) -> Arc<Pool> {
        Arc::new(Pool { used: AtomicUsize::new(0), max, over })
    }

    /// Takes `size` of it.
    pub(crate) fn share(self: &Arc<Pool>, size: usize) -> Outcome<Share> {
        let mut share = Share { pool: Arc::clone(self), size: 0 };
        share.grow(size)?;
        Ok(share)
    }
}

/// All pools of one call.
pub(crate) struct Pools {
    /// Bytes of memory that composed sources take.
    pub(crate) sources: Arc<Pool>,
    /// Entries of archives and layers that listings know the places of; each takes some 60 bytes.
    pub(crate) entries: Arc<Pool>,
    /// Layers that are being written; each has threads and buffers.
    pub(crate) layers: Arc<Pool>,
}

impl Default for Pools {
    fn default() -> Pools {
        Pools {
            sources: Pool::new(16 << 20, "sources of so many pieces that they take more than 16 MiB"),
            entries: Pool::new(4 << 20, "listings of more than four million entries at a time"),
            layers: Pool::new(8, "more than 8 layers at a time"),
        }
    }
}

/// A part of a pool, which it gets back in the end.
pub(crate) struct Share {
    pool: Arc<Pool>,
    size: usize,
}

impl Share {
    /// Takes `more`.
    pub(crate) fn grow(&mut self, more: usize) -> Outcome<()> {
        let used = self.pool.used.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        self.size += more;
        if used > self.pool.max { Err(Trouble::limit(self.pool.over)) } else { Ok(()) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pool.used.fetch_sub(self.size, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_dropped_can_be_had_again() {
        let pool = Pool::new(10, "too much");
        let mut first = pool.share(6).ok().unwrap();
        assert!(pool.share(5).is_err());
        assert!(first.grow(4).is_ok());
        assert!(pool.share(1).is_err());
        drop(first);
        assert!(pool.share(10).is_ok());
        assert_eq!(pool.used.load(Ordering::Relaxed), 0);
    }
}
