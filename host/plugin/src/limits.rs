//! What one call may use, and the part of it that wasmtime asks about: memory and tables.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmtime::{ResourceLimiter, bail};

const MIB: u64 = 1 << 20;
const MAX_MEMORY: u64 = 1024 * MIB;
const MAX_TIME: Duration = Duration::from_secs(60);

/// Table elements of a store, all tables together.
const MAX_TABLE_ELEMENTS: usize = 200_000;
/// Core instances of a store: a guest and its adapters need about ten, an interpreter about fifty.
const MAX_INSTANCES: usize = 200;

/// The limits of every call of a plugin: `[limits]` of its `plugin.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Limits {
    /// Bytes of linear memory; 64 MiB unless set, at most 1 GiB.
    pub memory: u64,
    /// Time on the wall; 2 s unless set, at most 60 s.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { memory: 64 * MIB, time: Duration::from_secs(2) }
    }
}

/// The limits as `plugin.toml` writes them: `memory = "64MiB"`, `time = "2s"`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    memory: Option<String>,
    time: Option<String>,
}

impl TryFrom<Written> for Limits {
    type Error = String;

    fn try_from(written: Written) -> Result<Limits, String> {
        let default = Limits::default();
        let memory = written.memory.map_or(Ok(default.memory), |text| parse_memory(&text))?;
        let time = written.time.map_or(Ok(default.time), |text| parse_time(&text))?;
        Ok(Limits { memory, time })
    }
}

impl From<Limits> for Written {
    fn from(limits: Limits) -> Written {
        Written { memory: Some(show_memory(limits.memory)), time: Some(show_time(limits.time)) }
    }
}

pub(crate) fn parse_memory(text: &str) -> Result<u64, String> {
    let units = [("KiB", 1 << 10), ("MiB", MIB), ("GiB", 1 << 30)];
    let parse = |(unit, scale)| text.strip_suffix(unit)?.trim().parse::<u64>().ok()?.checked_mul(scale);
    let memory = units.into_iter().find_map(parse);
    let valid = memory.filter(|memory| (1..=MAX_MEMORY).contains(memory));
    valid.ok_or_else(|| format!("memory = {text:?}: want a size from \"64KiB\" to \"{}\"", show_memory(MAX_MEMORY)))
}

pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000)];
    let parse = |(unit, scale)| text.strip_suffix(unit)?.trim().parse::<u64>().ok()?.checked_mul(scale);
    let time = units.into_iter().find_map(parse).map(Duration::from_millis);
    let valid = time.filter(|time| !time.is_zero() && *time <= MAX_TIME);
    valid.ok_or_else(|| format!("time = {text:?}: want a time from \"1ms\" to \"{}\"", show_time(MAX_TIME)))
}

/// A size in the largest binary unit that divides it: `64 MiB`.
pub(crate) fn show_memory(bytes: u64) -> String {
    match bytes {
        _ if bytes.is_multiple_of(1 << 30) => format!("{} GiB", bytes >> 30),
        _ if bytes.is_multiple_of(MIB) => format!("{} MiB", bytes / MIB),
        _ => format!("{} KiB", bytes >> 10),
    }
}

/// A time in seconds or milliseconds: `2 s`.
pub(crate) fn show_time(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{} s", time.as_secs()),
        _ => format!("{} ms", time.as_millis()),
    }
}

/// Counts the memory and tables of one store. Unlike `wasmtime::StoreLimits` it counts all
/// memories together, and remembers that it was the memory that was too small.
pub(crate) struct Limiter {
    memory: u64,
    memory_left: u64,
    table_elements_left: usize,
    /// The plugin asked for more memory than it may have.
    pub(crate) out_of_memory: bool,
    /// The plugin asked for more table elements than it may have.
    pub(crate) out_of_table: bool,
}

impl Limiter {
    pub(crate) fn new(limits: Limits) -> Limiter {
        let memory = limits.memory;
        Limiter { memory, memory_left: memory, table_elements_left: MAX_TABLE_ELEMENTS, out_of_memory: false, out_of_table: false }
    }

    /// The bytes of memory that the plugin has. Memory never shrinks, so it is the most that it had.
    pub(crate) fn used(&self) -> u64 {
        self.memory - self.memory_left
    }
}

/// A refusal ends the call: a guest that is told of it could only crash with a worse message.
impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current) as u64;
        let Some(left) = self.memory_left.checked_sub(more) else {
            self.out_of_memory = true;
            bail!("needs more than {} of memory", show_memory(self.memory));
        };
        self.memory_left = left;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let Some(left) = self.table_elements_left.checked_sub(desired.saturating_sub(current)) else {
            self.out_of_table = true;
            bail!("needs more than {MAX_TABLE_ELEMENTS} table elements");
        };
        self.table_elements_left = left;
        Ok(true)
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_INSTANCES
    }

    fn memories(&self) -> usize {
        MAX_INSTANCES
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn written(memory: &str, time: &str) -> Result<Limits, String> {
        Limits::try_from(Written { memory: Some(memory.into()), time: Some(time.into()) })
    }

    #[test]
    fn limits_are_written_with_units_and_have_a_ceiling() {
        let limits = written("256 MiB", "1500ms").unwrap();
        assert_eq!(limits, Limits { memory: 256 * MIB, time: Duration::from_millis(1500) });
        assert_eq!((show_memory(limits.memory), show_time(limits.time)), ("256 MiB".into(), "1500 ms".into()));
        for (memory, time) in [("64", "2s"), ("2GiB", "2s"), ("0MiB", "2s"), ("64MiB", "2"), ("64MiB", "0s"), ("64MiB", "2m")] {
            assert!(written(memory, time).is_err(), "{memory} {time}");
        }
        assert_eq!(written("64MiB", "61s").unwrap_err(), "time = \"61s\": want a time from \"1ms\" to \"60 s\"");
    }

    #[test]
    fn all_memories_count_together() {
        let mut limiter = Limiter::new(Limits { memory: 3 * MIB, ..Limits::default() });
        assert!(limiter.memory_growing(0, 2 << 20, None).unwrap());
        assert!(limiter.memory_growing(0, 1 << 20, None).unwrap());
        assert!(!limiter.out_of_memory);
        limiter.memory_growing(1 << 20, (1 << 20) + 1, None).unwrap_err();
        assert!(limiter.out_of_memory);
    }
}
