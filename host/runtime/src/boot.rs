//! What is to be started in a container, and what came of it.

use serde::{Deserialize, Serialize};

use crate::{request::Run, session::Session};

/// A container to start: what stays the same from start to start, and the size of the terminal that starts it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Boot {
    /// The container's id: 64 hexadecimal digits, the name of its folder.
    pub id: String,
    /// The program and its surroundings. An empty host name means the id's first twelve digits.
    pub run: Run,
    /// Whether the program has a terminal (`--tty`).
    pub tty: bool,
    /// Whether it has a standard input that clients write to (`--interactive`); otherwise it reads nothing.
    pub stdin: bool,
    /// Whether the standard input ends with that of the first client (Docker's `StdinOnce`).
    pub stdin_once: bool,
    /// Whether the root filesystem cannot be written (`--read-only`).
    pub readonly: bool,
    /// Whether the container's folder is deleted when the program has ended (`--rm`).
    pub remove: bool,
    /// The terminal's rows and columns at first.
    pub size: Option<(u16, u16)>,
}

/// Another program to run in a running container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// The program, looked for in the `PATH` of its environment, and its arguments.
    pub args: Vec<String>,
    /// Variables besides the container's own, or instead of them.
    pub env: Vec<(String, String)>,
    /// The working folder; none for the container's.
    pub cwd: Option<String>,
    /// As in [`Run::user`]; none for the container's.
    pub user: Option<String>,
    /// Whether it has a terminal of its own.
    pub tty: bool,
    /// Whether it has a standard input.
    pub stdin: bool,
    /// Whether nobody listens to it: what it prints is thrown away.
    pub detach: bool,
    /// The terminal's rows and columns at first.
    pub size: Option<(u16, u16)>,
}

/// What came of a start.
#[derive(Debug)]
pub struct Started {
    /// Whether it runs.
    pub outcome: Outcome,
    /// Worth telling the user.
    pub warnings: Vec<String>,
}

/// Whether a program was started.
#[derive(Debug)]
pub enum Outcome {
    /// It runs, or has run already. The session, if one was asked for, hears all that it prints.
    Running(Option<Session>),
    /// The container was running before, so nothing was started.
    Already,
    /// It could not be started.
    NotStarted {
        /// What a shell would give: 127 if the program is not there, else 126.
        code: u8,
        /// Why, in the OCI runtime's or moby's words.
        why: String,
    },
}
