//! The system's git as a child process that sees nothing of the user's set-up.

use std::{
    ffi::OsString,
    io::{self, Read},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use nacre_oci::Error as Data;
use rustix::process::{Pid, Signal};

use super::remote::Remote;
use crate::{Event, Result, Stream, solve::Job};

/// The most bytes that git may say; lists of references are the longest.
const MAX_OUTPUT: u64 = 64 << 20;
/// The most bytes of an error that are shown.
const MAX_ERROR: usize = 400;
/// How long to wait between two looks at whether git has ended or the build is given up.
const PAUSE: Duration = Duration::from_millis(5);

/// Settings that no repository, user or system may change: no hooks, no helpers, no prompts, files as they are.
const SETTINGS: [&str; 9] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.autocrlf=false",
    "core.symlinks=true",
    "core.sshCommand=ssh -F /dev/null -o BatchMode=yes",
    "credential.helper=",
    "protocol.allow=never",
    "advice.detachedHead=false",
    "gc.auto=0",
];
/// How repositories may be fetched. No local ones, and nothing that runs a program of the URL's choice.
const PROTOCOLS: &str = "git:http:https:ssh";

/// Runs git for one remote.
pub(super) struct Git<'a> {
    job: &'a Job<'a>,
    shown: String,
    agent: Option<OsString>,
}

impl<'a> Git<'a> {
    pub(super) fn new(job: &'a Job<'a>, remote: &Remote) -> Self {
        let agent = job.solver.lent.ssh.get("default").map(|path| path.clone().into_os_string());
        Self { job, shown: remote.shown(), agent }
    }

    /// Runs git in a folder and returns what it wrote to its output.
    ///
    /// # Errors
    /// If it is not installed or fails; with what it said.
    pub(super) fn run(&self, folder: &Path, args: &[&str]) -> Result<String> {
        let mut command = self.command(folder, args);
        let mut child = command.spawn().map_err(|error| self.not_started(error))?;
        let output = child.stdout.take().map(|pipe| thread::spawn(move || read(pipe)));
        let errors = child.stderr.take().map(|pipe| thread::spawn(move || read(pipe)));
        let status = self.wait(&mut child)?;
        let take = |reader: Option<thread::JoinHandle<String>>| reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
        let (output, errors) = (take(output), take(errors));
        if status.success() {
            return Ok(output);
        }
        self.job.tell(Event::Output { id: self.job.id, stream: Stream::Error, bytes: errors.as_bytes() });
        Err(self.failed(args, &errors, status))
    }

    fn command(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.env_clear().env("PATH", &self.job.solver.environment.runtime.path).envs([
            ("GIT_ALLOW_PROTOCOL", PROTOCOLS),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_TEMPLATE_DIR", ""),
            ("HOME", "/dev/null"),
            ("LC_ALL", "C"),
        ]);
        command.envs(self.job.solver.environment.proxies.iter().map(|(name, value)| (name, value)));
        if let Some(agent) = &self.agent {
            command.env("SSH_AUTH_SOCK", agent);
        }
        SETTINGS.iter().for_each(|setting| _ = command.args(["-c", setting]));
        if self.job.solver.reach.is_some() {
            // Nobody could check where they lead.
            command.args(["-c", "http.followRedirects=false"]);
        }
        command.args(args).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // So that its helpers end with it.
        command.process_group(0);
        command
    }

    fn wait(&self, child: &mut Child) -> Result<ExitStatus> {
        loop {
            if let Some(status) = child.try_wait().map_err(Data::io("wait for git"))? {
                return Ok(status);
            }
            if self.job.solver.cancelled() {
                if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                    // It may just have ended.
                    _ = rustix::process::kill_process_group(group, Signal::KILL);
                }
                child.wait().map_err(Data::io("wait for git"))?;
                return Err(Data::Cancelled.into());
            }
            thread::sleep(PAUSE);
        }
    }

    fn not_started(&self, error: io::Error) -> crate::Error {
        if error.kind() != io::ErrorKind::NotFound {
            return Data::io("run git")(error).into();
        }
        let why = "git is not installed; install it with 'apt-get install git', 'dnf install git' or 'apk add git'";
        Data::Unsupported { what: format!("the repository {}", self.shown), why: why.into() }.into()
    }

    fn failed(&self, args: &[&str], errors: &str, status: ExitStatus) -> crate::Error {
        let doing = format!("git {} of {}", args.first().unwrap_or(&""), self.shown);
        let said = errors.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
        let said: String = said.chars().take(MAX_ERROR).collect();
        Data::Transport { doing, why: if said.is_empty() { status.to_string() } else { said } }.into()
    }
}

/// All that comes out of a pipe, or as much as is believable.
fn read(pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    // What cannot be read was not said.
    _ = pipe.take(MAX_OUTPUT).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
