//! A plugin's log: what it reports and prints during a call, bounded.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wasmtime::component::{ComponentType, Lift};

use crate::types::Kv;

/// Bytes of text that are kept of one call.
const MAX_BYTES: usize = 64 << 10;
/// Entries that are kept of one call.
const MAX_ENTRIES: usize = 1_000;

/// How much an entry matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
pub enum Level {
    /// For the plugin's author.
    #[component(name = "debug")]
    Debug,
    /// For the curious.
    #[component(name = "info")]
    Info,
    /// Something may be wrong.
    #[component(name = "warn")]
    Warn,
    /// Something is wrong.
    #[component(name = "error")]
    Error,
}

/// One entry. Its text comes from the plugin: escape it before it reaches a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// How much it matters.
    pub level: Level,
    /// What happened.
    pub message: String,
    /// Details.
    pub fields: Vec<Kv>,
}

/// What one call of a plugin used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The plugin's name.
    pub plugin: String,
    /// The function that was called, such as `convert`.
    pub call: &'static str,
    /// The time on the wall, loading included.
    pub wall: Duration,
    /// The plugin's own time, which its limit is about: without what nacre took to move data for it.
    pub guest: Duration,
    /// The most bytes of memory that it had.
    pub memory: u64,
    /// How often it called nacre for data.
    pub host_calls: u64,
    /// Bytes of content that nacre's data interfaces passed to it.
    pub bytes_in: u64,
    /// Bytes of content that it passed to them.
    pub bytes_out: u64,
}

/// What a plugin logged, oldest first: 64 KiB or 1,000 entries of each call at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// What each call used.
    pub stats: Vec<Stats>,
    /// What was kept.
    pub entries: Vec<LogEntry>,
    /// How many entries were dropped because they were too many.
    pub dropped: u64,
    bytes: usize,
}

impl Log {
    /// Adds an entry, or counts it as dropped.
    pub(crate) fn push(&mut self, entry: LogEntry) {
        let fields = entry.fields.iter().map(|field| field.key.len() + field.value.len());
        let bytes = self.bytes + entry.message.len() + fields.sum::<usize>();
        if bytes > MAX_BYTES || self.entries.len() >= MAX_ENTRIES {
            self.dropped += 1;
        } else {
            self.bytes = bytes;
            self.entries.push(entry);
        }
    }

    /// Adds all of another call's log.
    pub(crate) fn append(&mut self, other: Log) {
        self.stats.extend(other.stats);
        self.entries.extend(other.entries);
        self.dropped += other.dropped;
    }
}

/// What a plugin prints to standard output and standard error. What exceeds the bound is dropped
/// silently, so that a talkative plugin is not stopped for it.
#[derive(Clone, Default)]
pub(crate) struct Printed(Arc<Mutex<Vec<u8>>>);

impl Printed {
    pub(crate) fn write(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MAX_BYTES - kept.len();
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// The text so far, with anything that is no UTF-8 replaced.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(message: &str) -> LogEntry {
        LogEntry { level: Level::Info, message: message.into(), fields: vec![Kv::new("a", "b")] }
    }

    #[test]
    fn a_flood_is_counted_and_dropped() {
        let mut log = Log::default();
        (0..MAX_ENTRIES + 5).for_each(|_| log.push(entry("x")));
        assert_eq!((log.entries.len(), log.dropped), (MAX_ENTRIES, 5));

        let mut log = Log::default();
        log.push(entry(&"x".repeat(MAX_BYTES)));
        log.push(entry("small"));
        assert_eq!((log.entries.len(), log.dropped), (1, 1));
    }

    #[test]
    fn printing_stops_at_the_bound() {
        let printed = Printed::default();
        (0..3).for_each(|_| printed.write(&[b'x'; MAX_BYTES / 2 + 1]));
        assert_eq!(printed.text().len(), MAX_BYTES);
    }
}
