use std::io::{self, ErrorKind, Write};

use anyhow::{Context as _, Result, bail};
use jiff::{Timestamp, tz::TimeZone};
use nacre_container::{LogLine, LogOptions};
use nacre_runtime::Stream;

use crate::{containers::engine, context::Context, failure::StdoutClosed, output::time};

/// Show what a container's program has printed
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A name or an id
    container: String,
    /// Go on until it ends
    #[arg(short, long)]
    follow: bool,
    /// Only so many of the last lines, or all
    #[arg(short = 'n', long, value_name = "LINES", default_value = "all", allow_negative_numbers = true)]
    tail: String,
    /// Nothing before this: a time, or a duration back from now such as 10m
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Nothing after this
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// With the time of each line
    #[arg(short, long)]
    timestamps: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let options =
        LogOptions { follow: args.follow, tail: tail(&args.tail)?, since: at(args.since.as_deref())?, until: at(args.until.as_deref())? };
    let mut closed = None;
    engine(context)?.logs(&args.container, &options, &mut |line| {
        closed = write(&line, args.timestamps).err();
        Ok(closed.is_none())
    })?;
    closed.map_or(Ok(()), Err)
}

/// A number of lines. As in Docker, less than 0 means all.
fn tail(text: &str) -> Result<Option<usize>> {
    match text.parse::<i64>() {
        Ok(lines) => Ok(usize::try_from(lines).ok()),
        Err(_) if text == "all" || text.is_empty() => Ok(None),
        Err(_) => bail!("--tail {text}: want a number of lines, or all"),
    }
}

/// A time to the nanosecond as RFC 3339 has it, or in seconds as `--filter until` takes it.
fn at(text: Option<&str>) -> Result<Option<Timestamp>> {
    let Some(text) = text else { return Ok(None) };
    if let Ok(exact) = text.parse() {
        return Ok(Some(exact));
    }
    let seconds = time::parse(text, Timestamp::now().as_second(), &TimeZone::system())?;
    Timestamp::from_second(seconds).map(Some).with_context(|| format!("{text} is too far away"))
}

/// As the program wrote it, to where it did.
fn write(line: &LogLine, timestamps: bool) -> Result<()> {
    let time = if timestamps { format!("{} ", line.time) } else { String::new() };
    let text = format!("{time}{}", line.text);
    let written = match line.stream {
        Stream::Stdout => io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()),
        Stream::Stderr => io::stderr().write_all(text.as_bytes()),
    };
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(StdoutClosed.into()),
        other => other.context("cannot write what the program printed"),
    }
}
