//! `HEALTHCHECK`.

use super::flags::{Flags, Kind};
use super::number::{duration, integer};
use super::{CommandLine, Mistake, quoted};

/// `HEALTHCHECK`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `HEALTHCHECK NONE`: not even the base image's.
    None,
    /// `HEALTHCHECK CMD`
    Check(Check),
}

/// How a container's health is checked. Times are nanoseconds; 0 means that nothing is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is run: `CMD` with words, or `CMD-SHELL` with one line.
    pub test: CommandLine,
    /// `--interval`
    pub interval: u64,
    /// `--timeout`
    pub timeout: u64,
    /// `--start-period`
    pub start_period: u64,
    /// `--start-interval`
    pub start_interval: u64,
    /// `--retries`; 0 means that nothing is said.
    pub retries: u32,
}

const FLAGS: [(&str, Kind); 5] = [
    ("interval", Kind::Text),
    ("retries", Kind::Text),
    ("start-interval", Kind::Text),
    ("start-period", Kind::Text),
    ("timeout", Kind::Text),
];

/// Nanoseconds in a millisecond: no time may be shorter.
const SHORTEST: i64 = 1_000_000;

/// Reads it by its first word and the rest. `NONE` does not look at flags.
pub(super) fn parse(kind: &str, rest: &CommandLine, flags: &[String]) -> Result<Healthcheck, Mistake> {
    let empty = match rest {
        CommandLine::Exec(words) => words.is_empty(),
        CommandLine::Shell(line) => line.is_empty(),
    };
    match kind.to_uppercase().as_str() {
        "" => Err(bad("HEALTHCHECK requires at least one argument")),
        "NONE" if empty => Ok(Healthcheck::None),
        "NONE" => Err(bad("HEALTHCHECK NONE takes no arguments")),
        kind => {
            let flags = Flags::check(flags, &FLAGS)?;
            match kind {
                "CMD" if empty => Err(bad("Missing command after HEALTHCHECK CMD")),
                "CMD" => check(rest, &flags).map(Healthcheck::Check),
                _ => Err(bad(format!("Unknown type {} in HEALTHCHECK (try CMD)", quoted(kind)))),
            }
        }
    }
}

fn check(test: &CommandLine, flags: &Flags) -> Result<Check, Mistake> {
    Ok(Check {
        test: test.clone(),
        interval: time(flags, "interval")?,
        timeout: time(flags, "timeout")?,
        start_period: time(flags, "start-period")?,
        start_interval: time(flags, "start-interval")?,
        retries: retries(flags)?,
    })
}

fn time(flags: &Flags, name: &str) -> Result<u64, Mistake> {
    let Some(text) = flags.filled(name) else { return Ok(0) };
    match duration(&text).map_err(bad)? {
        time @ (0 | SHORTEST..) => Ok(time.unsigned_abs()),
        _ => Err(bad(format!("Interval {} cannot be less than 1ms", quoted(name)))),
    }
}

fn retries(flags: &Flags) -> Result<u32, Mistake> {
    let Some(text) = flags.filled("retries") else { return Ok(0) };
    let number = integer(&text).map_err(bad)?;
    u32::try_from(number).map_err(|_| bad(format!("--retries cannot be negative ({number})")))
}

fn bad(message: impl Into<String>) -> Mistake {
    Mistake::new("bad-healthcheck", message)
}
