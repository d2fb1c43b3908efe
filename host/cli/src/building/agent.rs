//! Agents that serve the keys of files, for `--ssh ID=KEY`.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// What runs beside the agent: tells the agent's process, adds the keys, and waits until nobody holds its input any more. So
/// the agent ends with nacre, however that ends.
const BESIDE: &str = r#"echo "$SSH_AGENT_PID"; ssh-add -q "$@" && echo added && exec cat"#;

/// An agent of OpenSSH's that runs until this is dropped.
pub(super) struct Agent {
    child: Child,
    agent: Option<Pid>,
    folder: TempDir,
}

impl Agent {
    /// Starts an agent that has these keys, and no others. A passphrase is asked for on the terminal.
    ///
    /// # Errors
    /// If OpenSSH is not installed; if a key is none, is open to others, or its passphrase cannot be asked for.
    pub(super) fn start(keys: &[&Path]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("nacre-ssh-").tempdir().context("cannot make a folder for an agent's socket")?;
        let mut command = Command::new("ssh-agent");
        command.arg("-a").arg(folder.path().join("agent")).args(["sh", "-c", BESIDE, "sh"]).args(keys);
        command.env("SSH_ASKPASS_REQUIRE", "never").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().context("cannot run ssh-agent: install openssh-client, or name the socket of an agent")?;
        let mut agent = Self { child, agent: None, folder };
        let mut told = agent.child.stdout.take().map(BufReader::new).context("ssh-agent has no output")?;
        let mut line = || -> Result<String> {
            let mut line = String::new();
            told.read_line(&mut line).context("cannot hear from ssh-agent")?;
            Ok(line.trim().to_owned())
        };
        agent.agent = line()?.parse().ok().and_then(Pid::from_raw);
        if line()? != "added" {
            bail!("ssh-add: {}; add the key to an agent yourself, and name that", agent.complaint());
        }
        Ok(agent)
    }

    /// Where it listens.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("agent")
    }

    /// What was said before it ended.
    fn complaint(&mut self) -> String {
        let mut said = String::new();
        if let Some(errors) = self.child.stderr.take() {
            // Nothing said is what is told then.
            _ = errors.take(1 << 16).read_to_string(&mut said);
        }
        let lines: Vec<&str> = said.lines().map(|line| line.trim().trim_matches('@').trim()).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() { "it failed".into() } else { lines.join("; ") }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // What runs beside it is there as long as its input is, so the number is still the agent's.
        if let Some(agent) = self.agent {
            _ = kill_process(agent, Signal::TERM);
        }
        drop(self.child.stdin.take());
        _ = self.child.wait();
    }
}
