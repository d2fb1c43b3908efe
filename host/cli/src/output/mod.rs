//! What reaches the user's eyes: formats, tables, units, filters' grammar, progress, and the escaping of all that
//! comes from outside.

pub(crate) mod build;
pub(crate) mod escape;
pub(crate) mod filter;
pub(crate) mod format;
mod functions;
mod glob;
pub(crate) mod progress;
mod table;
mod template;
pub(crate) mod time;
pub(crate) mod units;

use std::io::{self, ErrorKind, Write, stdout};

use anyhow::{Context as _, Result};

use crate::failure::StdoutClosed;

/// Writes to standard output what is safe there.
///
/// # Errors
/// [`StdoutClosed`], which is no failure of the command.
pub(crate) fn write(bytes: &[u8]) -> Result<()> {
    let mut out = stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Err(StdoutClosed.into()),
        other => other.context("cannot write to standard output"),
    }
}

/// Writes an archive to standard output. That nobody reads it to its end is no failure of the command.
///
/// # Errors
/// [`StdoutClosed`]; what `archive` says.
pub(crate) fn stream<E: Into<anyhow::Error>>(archive: impl FnOnce(&mut dyn Write) -> Result<(), E>) -> Result<()> {
    let mut out = Stdout { closed: false };
    let done = archive(&mut out).map_err(Into::into);
    if out.closed { Err(StdoutClosed.into()) } else { done }
}

/// Standard output that notices when it is closed.
struct Stdout {
    closed: bool,
}

impl Stdout {
    fn note<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        self.closed |= done.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe);
        done
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = stdout().write(bytes);
        self.note(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = stdout().flush();
        self.note(done)
    }
}
