//! Errors as the user sees them: one line, what to do next, and an exit code.

use std::{io::Write, process::ExitCode};

use crate::output::escape::visible;

/// A failure whose lines have been shown already.
#[derive(Debug, thiserror::Error)]
#[error("some arguments failed")]
pub(crate) struct Shown;

/// Whoever read standard output has gone: nothing more to do, and no failure.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
pub(crate) struct StdoutClosed;

/// The exit code of a failure where it is not 1. It says nothing itself.
#[derive(Debug, thiserror::Error)]
#[error("")]
pub(crate) struct Code(pub u8);

/// A failure ends with `code`, unless it has one of its own.
pub(crate) fn or_code<T>(code: u8, done: anyhow::Result<T>) -> anyhow::Result<T> {
    done.map_err(|error| if error.is::<Code>() { error } else { error.context(Code(code)) })
}

/// Writes `error` as one line (with `debug`, its causes below) and returns the exit code.
pub(crate) fn report(error: &anyhow::Error, debug: bool) -> ExitCode {
    if is_closed_pipe(error) {
        return ExitCode::SUCCESS;
    }
    if !error.is::<Shown>() {
        warn(&line(error));
    }
    if debug {
        for cause in error.chain().skip(1) {
            warn(&format!("  because: {cause}"));
        }
    }
    ExitCode::from(error.downcast_ref::<Code>().map_or(1, |code| code.0))
}

/// Writes one line to standard error, safe for a terminal.
pub(crate) fn warn(text: &str) {
    // Standard error that is closed leaves nobody to tell.
    let _ = writeln!(std::io::stderr(), "nacre: {}", visible(text));
}

/// The error and those of its causes that say something new.
pub(crate) fn line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// `nacre images | head -1` is no failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let broken = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    };
    error.is::<StdoutClosed>() || error.chain().take(1).any(broken)
}
