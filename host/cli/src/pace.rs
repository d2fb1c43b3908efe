//! How fast images move, and for how long: what pull, push and copy have in common.

use std::{num::NonZero, time::Duration};

use anyhow::{Result, bail};
use nacre_oci::{Options, Progress, Select};

use crate::{context::Context, output::time::parse_duration};

/// Blobs that move at a time, as in Docker and crane.
const PARALLEL: usize = 4;
/// Connections that one command may open at a time: no registry is served by more.
const MOST: u16 = 64;

/// How many blobs at a time, and for how long.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct Pace {
    /// How many blobs move at a time, 1 to 64 [default: 4]
    #[arg(long, value_name = "N", value_parser = at_a_time)]
    max_concurrent: Option<NonZero<u16>>,
    /// The most time it may take, such as 10m; what came by then is kept
    #[arg(long, value_name = "TIME", value_parser = positive)]
    timeout: Option<Duration>,
}

impl Pace {
    /// How to copy, for the user's terminal.
    pub(crate) fn options<'a>(&self, select: Select, progress: &'a dyn Progress) -> Options<'a> {
        Options { select, parallel: self.max_concurrent.map_or(PARALLEL, |count| count.get().into()), progress }
    }

    /// Ends the command, which is about `what`, when its time is over.
    pub(crate) fn begin(&self, context: &Context, what: &str) -> Result<()> {
        self.timeout.map_or(Ok(()), |limit| context.end_after(limit, what))
    }
}

fn at_a_time(text: &str) -> Result<NonZero<u16>> {
    let count = text.parse().ok().filter(|count: &NonZero<u16>| count.get() <= MOST);
    count.ok_or_else(|| anyhow::anyhow!("it is a number from 1 to {MOST}"))
}

/// A length of time that is more than none.
pub(crate) fn positive(text: &str) -> Result<Duration> {
    match Duration::try_from(parse_duration(text)?) {
        Ok(length) if !length.is_zero() => Ok(length),
        _ => bail!("'{text}' is no time to wait: write more than 0, such as 30s or 10m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_have_bounds() {
        assert_eq!(positive("1m30s").unwrap(), Duration::from_secs(90));
        for text in ["", "0", "-1s", "10", "soon"] {
            assert!(positive(text).is_err(), "{text}");
        }
        assert_eq!(at_a_time("64").unwrap().get(), 64);
        for text in ["0", "65", "-1", "x"] {
            assert!(at_a_time(text).is_err(), "{text}");
        }
    }
}
