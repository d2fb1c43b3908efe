//! `nacre serve` for as long as something needs it.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};

/// A registry, ended with this.
pub struct Server {
    child: Child,
    /// `HOST:PORT`
    pub address: String,
}

impl Server {
    /// Starts a command of nacre's own as a registry at `address`.
    pub fn start(mut command: Command, address: &str) -> Result<Self> {
        let mut child = command.args(["serve", "--quiet", "--addr", address]).stderr(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stderr.take().context("no standard error")?).read_line(&mut line)?;
        let address = line.trim().rsplit_once("http://").with_context(|| format!("nacre serve said: {line}"))?.1.to_owned();
        Ok(Self { child, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
