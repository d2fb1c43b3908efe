//! What `run` and `create` ask for, as data. [`crate::parse`] reads the texts that flags come with.

use std::path::PathBuf;

use nacre_runtime::{Limit, Network};
use serde::{Deserialize, Serialize};

/// The flags of `run` and `create`.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The container's name; one is made up if it is not given.
    pub name: Option<String>,
    /// What follows the image; empty for the image's own command.
    pub args: Vec<String>,
    /// `--entrypoint`: the program, or nothing to take the image's away. Either way the image's command does not count.
    pub entrypoint: Option<Vec<String>>,
    /// `NAME=value`, in their order; a `NAME` alone takes the variable away.
    pub env: Vec<String>,
    /// `--label`.
    pub labels: Vec<(String, String)>,
    /// `user`, `uid`, `user:group`.
    pub user: Option<String>,
    /// The working folder, absolute.
    pub cwd: Option<String>,
    /// The host's name as the program sees it.
    pub hostname: Option<String>,
    /// `-v` and `--mount`.
    pub mounts: Vec<Mounting>,
    /// Which network the program sees.
    pub network: Network,
    /// `--add-host`: name and address.
    pub hosts: Vec<(String, String)>,
    /// A terminal.
    pub tty: bool,
    /// Standard input stays open (`-i`).
    pub stdin: bool,
    /// It is started in the background (`-d`): nothing is attached.
    pub detach: bool,
    /// It is removed when it ends (`--rm`).
    pub remove: bool,
    /// The root filesystem cannot be written.
    pub readonly: bool,
    /// The size of `/dev/shm` in bytes.
    pub shm_size: Option<u64>,
    /// `--ulimit`.
    pub limits: Vec<Limit>,
    /// The signal that stops it.
    pub stop_signal: Option<String>,
    /// Seconds between that signal and `SIGKILL`; less than 0 for ever.
    pub stop_timeout: Option<i64>,
}

/// Something mounted into a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mounting {
    /// Where: absolute, without `.`, `..` and empty parts.
    pub target: String,
    /// Whether it cannot be written.
    pub readonly: bool,
    /// What.
    pub source: MountSource,
    /// What `-v` says after the second colon, as inspect shows it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mode: String,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountSource {
    /// A folder or file of the host's.
    Bind {
        /// Absolute.
        path: PathBuf,
        /// Whether it is made, as a folder, if it is not there (`-v`).
        create: bool,
    },
    /// A file system in memory, of at most so many bytes; 0 for no limit of its own.
    Tmpfs(u64),
    /// A folder of the container's own, which is a copy of the image's there at first and never part of a commit.
    Anonymous,
}
