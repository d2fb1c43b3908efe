//! Plugins' logs: shown as far as the user wants, and kept in a file for each plugin.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use nacre_plugin::{Level, Log, LogEntry, Stats};

use crate::{
    failure::warn,
    output::{escape::visible, units::size},
    plugins::now,
};

/// Bytes of a plugin's log: beyond this the oldest half goes.
const MOST: u64 = 256 << 10;

/// The level of a word of `NACRE_LOG`; `Ok(None)` is `off`.
pub(crate) fn level(word: &str) -> Result<Option<Level>> {
    Ok(match word {
        "off" => None,
        "error" => Some(Level::Error),
        "warn" => Some(Level::Warn),
        "info" => Some(Level::Info),
        "debug" => Some(Level::Debug),
        other => anyhow::bail!("NACRE_LOG is '{other}': want off, error, warn, info or debug"),
    })
}

/// Shows what is of `shown` or above, with what each call used at `debug`.
pub(crate) fn show(plugin: &str, log: &Log, shown: Option<Level>) {
    let Some(shown) = shown else { return };
    log.entries.iter().filter(|entry| entry.level >= shown).for_each(|entry| warn(&format!("plugin {plugin}: {}", text(entry))));
    if log.dropped > 0 {
        warn(&format!("plugin {plugin}: {} more log entries were dropped", log.dropped));
    }
    if shown == Level::Debug {
        log.stats.iter().for_each(|stats| warn(&format!("plugin {plugin}: {}", used(stats))));
    }
}

/// Adds to the plugin's file what it logged. A disk that is full or read-only is no reason to fail.
pub(crate) fn keep(cache: &Path, plugin: &str, log: &Log) {
    if !log.entries.is_empty() || log.dropped > 0 {
        let _ = append(&file(cache, plugin), log);
    }
}

/// The plugin's file; empty if it never logged anything.
pub(crate) fn read(cache: &Path, plugin: &str) -> Result<String> {
    let path = file(cache, plugin);
    match fs::read(&path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(e).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn file(cache: &Path, plugin: &str) -> PathBuf {
    cache.join("logs").join(format!("{}.log", plugin.replace('/', "+")))
}

fn append(path: &Path, log: &Log) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let now = now();
    let mut lines: String = log.entries.iter().map(|entry| format!("{now} {}\n", visible(&text(entry)))).collect();
    if log.dropped > 0 {
        lines += &format!("{now} warn: {} more entries were dropped\n", log.dropped);
    }
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.write_all(lines.as_bytes())?;
    if file.metadata()?.len() > MOST { halve(path) } else { Ok(()) }
}

/// Leaves the newer half, from the start of a line on.
fn halve(path: &Path) -> std::io::Result<()> {
    let bytes = fs::read(path)?;
    let from = bytes.len().saturating_sub(usize::try_from(MOST / 2).unwrap_or(usize::MAX));
    let from = bytes[from..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |end| from + end + 1);
    let mut new = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(path))?;
    new.write_all(&bytes[from..])?;
    new.persist(path)?;
    Ok(())
}

fn text(entry: &LogEntry) -> String {
    let level = format!("{:?}", entry.level).to_lowercase();
    let fields: String = entry.fields.iter().map(|field| format!(" {}={}", field.key, field.value)).collect();
    format!("{level}: {}{fields}", entry.message)
}

/// What a call used, in a line.
fn used(stats: &Stats) -> String {
    let ms = |time: std::time::Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    let Stats { call, wall, guest, memory, host_calls, bytes_in, bytes_out, .. } = stats;
    let across = format!("{host_calls} calls of nacre, {} in, {} out", size(*bytes_in), size(*bytes_out));
    format!("{call}: {}, {} of its own, {} of memory, {across}", ms(*wall), ms(*guest), size(*memory))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn log(messages: &[&str]) -> Log {
        let entry = |message: &&str| LogEntry { level: Level::Warn, message: (*message).into(), fields: Vec::new() };
        let mut log = Log::default();
        log.entries = messages.iter().map(entry).collect();
        log
    }

    #[test]
    fn what_is_logged_is_kept_bounded_and_safe_for_a_terminal() {
        let cache = tempfile::tempdir().unwrap();
        assert_eq!(read(cache.path(), "a/x").unwrap(), "");
        keep(cache.path(), "a/x", &log(&["one", "\u{1b}[2Jtwo"]));
        let text = read(cache.path(), "a/x").unwrap();
        let lines: Vec<&str> = text.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        assert_eq!(lines, ["warn: one", "warn: \\x1b[2Jtwo"]);
        for n in 0..200 {
            keep(cache.path(), "a/x", &log(&[&format!("{n} {}", "x".repeat(4_000))]));
        }
        let text = read(cache.path(), "a/x").unwrap();
        assert!(text.len() as u64 <= MOST + 5_000 && text.len() > 100_000, "{}", text.len());
        assert!(text.lines().all(|line| line.contains(" warn: ")) && text.contains("warn: 199 x"));
    }

    #[test]
    fn levels_are_words() {
        assert_eq!(level("off").unwrap(), None);
        assert!(level("info").unwrap() > level("debug").unwrap());
        assert_eq!(level("all").unwrap_err().to_string(), "NACRE_LOG is 'all': want off, error, warn, info or debug");
    }
}
