//! Running the languages' own tools.

use std::io::ErrorKind;
use std::process::{Command, Stdio};

use crate::Error;

/// A program, and what to type where it is missing.
#[derive(Clone, Copy)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) install: &'static str,
}

impl Tool {
    /// Runs a command of this tool and returns its standard output; what it says on standard error the author sees at
    /// once.
    pub(crate) fn run(self, command: &mut Command) -> Result<Vec<u8>, Error> {
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::Missing { tool: self.name, install: self.install },
            _ => Error::Failed { tool: self.name, status: error.to_string() },
        })?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(Error::Failed { tool: self.name, status: output.status.to_string() }),
        }
    }
}
