//! `nacre plugin bench`: how long a plugin takes to compile, to load and to answer.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Error;
use crate::call::Subject;
use crate::case::{self, Case};

/// One measurement. Times are in nanoseconds, sizes in bytes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Row {
    /// The case.
    pub case: String,
    /// The first call of all: compiling included.
    pub cold: u64,
    /// The first call of a process that finds the compiled code.
    pub warm: u64,
    /// The fastest of the calls after it, the host's work included.
    pub min: u64,
    /// The median of these.
    pub median: u64,
    /// The most memory that one call had.
    pub memory: u64,
    /// What the plugin read from nacre in one call.
    pub bytes_in: u64,
    /// What it wrote.
    pub bytes_out: u64,
}

/// Measures every case of the project in `folder`, `calls` times each, with a cache of its own.
///
/// # Errors
/// There is no plugin or no case, or a call fails.
pub fn bench(folder: &Path, calls: usize) -> Result<Vec<Row>, Error> {
    case::all(folder)?.iter().map(|case| measure(folder, case, calls.max(1))).collect()
}

fn measure(folder: &Path, case: &Case, calls: usize) -> Result<Row, Error> {
    let cache = tempfile::tempdir().map_err(Error::writing(&case.folder))?;
    let cache = cache.path().join("cache");
    let first = || {
        let begun = Instant::now();
        let subject = Subject::open(folder, &cache, case)?;
        subject.call(case)?;
        Ok::<_, Error>((begun.elapsed(), subject))
    };
    let (cold, _) = first()?;
    let (warm, subject) = first()?;
    let mut times = Vec::with_capacity(calls);
    let mut stats = Vec::new();
    for _ in 0..calls {
        let begun = Instant::now();
        stats = subject.call(case)?.stats;
        times.push(begun.elapsed());
    }
    times.sort();
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    Ok(Row {
        case: case.name.clone(),
        cold: nanos(cold),
        warm: nanos(warm),
        min: nanos(times[0]),
        median: nanos(times[times.len() / 2]),
        memory: stats.iter().map(|stats| stats.memory).max().unwrap_or_default(),
        bytes_in: stats.iter().map(|stats| stats.bytes_in).sum(),
        bytes_out: stats.iter().map(|stats| stats.bytes_out).sum(),
    })
}
