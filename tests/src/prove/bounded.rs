//! A command that has to end in time, and how much memory it took.

use std::{
    fs,
    io::Read,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How often a running command is looked at.
const LOOK: Duration = Duration::from_millis(4);

/// No line of error is longer than this.
const LONGEST: usize = 2000;

/// What a command did.
#[derive(Debug)]
pub(super) struct Run {
    /// The exit code; `None` if it had to be killed, or a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) took: Duration,
    /// The most memory it had, in KiB, as far as it was seen.
    pub(super) memory: u64,
}

/// Runs a command, and kills it after `limit`.
pub(super) fn run(mut command: Command, limit: Duration) -> Run {
    let begin = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let status = format!("/proc/{}/status", child.id());
    let mut memory = 0;
    thread::scope(|scope| {
        let (stdout, stderr) = (scope.spawn(|| text(stdout)), scope.spawn(|| text(stderr)));
        let ended = loop {
            memory = memory.max(high_water(&status));
            match child.try_wait().unwrap() {
                Some(ended) => break ended,
                None if begin.elapsed() > limit => {
                    // It may end by itself just now.
                    _ = child.kill();
                    break child.wait().unwrap();
                }
                None => thread::sleep(LOOK),
            }
        };
        let took = begin.elapsed();
        Run { code: ended.code(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap(), took, memory }
    })
}

impl Run {
    /// What a user must not see happen, in words: one line of error at the end, exit code 1, notes of retries before it.
    pub(super) fn complaint(&self) -> Option<String> {
        let lines: Vec<&str> = self.stderr.lines().collect();
        let notes = |line: &&str| !line.contains("; trying again in ") && !line.starts_with("nacre: the image is for ");
        match (self.code, &lines[..]) {
            (Some(0), _) => None,
            (Some(1), [.., last]) if last.len() > LONGEST => Some(format!("the error is {} bytes long", last.len())),
            (Some(1), [before @ .., last]) if last.starts_with("nacre: ") => {
                before.iter().copied().find(notes).map(|line| format!("it said more than one line: {line}"))
            }
            (Some(1), _) => Some(format!("it did not say what failed: {:?}", self.stderr)),
            (Some(code), _) => Some(format!("the exit code was {code}: {}", self.stderr)),
            (None, _) => Some(format!("it did not end by itself within {:?}: {}", self.took, self.stderr)),
        }
    }

    /// The last line of standard error.
    pub(super) fn error(&self) -> &str {
        self.stderr.lines().last().unwrap_or_default()
    }
}

fn text(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap_or_else(|error| format!("NOT UTF-8: {:?}", error.into_bytes()))
}

/// `VmHWM` in KiB; 0 once the process is gone.
fn high_water(status: &str) -> u64 {
    let text = fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or_default()
}
