//! The user's terminal while a program in a container has it.

use std::io::{IsTerminal, stdin, stdout};

use anyhow::{Context as _, Result, bail};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// A terminal whose keys go to the program as they are, Ctrl-C too. Dropping it makes the terminal what it was.
#[derive(Clone)]
pub(crate) struct Raw(Termios);

impl Raw {
    /// Standard input.
    pub(crate) fn new() -> Result<Self> {
        let before = tcgetattr(stdin()).context("cannot read the terminal's settings")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw).context("cannot set up the terminal")?;
        Ok(Self(before))
    }

    /// Makes the terminal what it was.
    pub(crate) fn restore(&self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.restore();
    }
}

/// Ends with Docker's error if a program is to have both a terminal (`-t`) and standard input (`-i`), and that is no terminal.
pub(crate) fn check(tty: bool, stdin_too: bool) -> Result<()> {
    if tty && stdin_too && !stdin().is_terminal() {
        bail!("the input device is not a TTY");
    }
    Ok(())
}

/// Rows and columns of the user's terminal, if standard output is one.
pub(crate) fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(stdout()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}
