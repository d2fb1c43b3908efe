//! What reaches the user's eyes: formats, tables, units, filters' grammar, progress, and the escaping of all that
//! comes from outside.

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

use std::io::{ErrorKind, Write, stdout};

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
