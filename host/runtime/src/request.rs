//! What is to be run, and in what: plain data, which goes to the sandbox process as it is.

use std::path::PathBuf;

use nacre_oci::Digest;
use serde::{Deserialize, Serialize};

/// A layer of a root filesystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeLayer {
    /// The digest of the layer uncompressed.
    pub diff_id: Digest,
    /// The file that holds the layer, plain or compressed. It is read only if the layer was not unpacked before.
    pub blob: PathBuf,
}

/// A program to run in a root filesystem.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Run {
    /// The root filesystem, base first. Empty for one without files.
    pub layers: Vec<TreeLayer>,
    /// The program, looked for in the `PATH` of `env`, and its arguments.
    pub args: Vec<String>,
    /// The environment. Nothing of nacre's own is added but `HOME`, from the root filesystem's `/etc/passwd`, where it is
    /// missing.
    pub env: Vec<(String, String)>,
    /// The working folder. It is made, as the user's, if it is not there.
    pub cwd: String,
    /// As in `USER`: `user`, `uid`, `user:group`; empty for root.
    pub user: String,
    /// What is mounted over the root filesystem.
    pub mounts: Vec<Mount>,
    /// Which network the program sees.
    pub network: Network,
    /// The host's name as the program sees it; empty for BuildKit's `buildkitsandbox`.
    pub hostname: String,
    /// Names and addresses for `/etc/hosts`.
    pub hosts: Vec<(String, String)>,
    /// The size of `/dev/shm` in bytes; 64 MiB if it is not given, as in Docker.
    pub shm_size: Option<u64>,
    /// Resource limits.
    pub limits: Vec<Limit>,
}

/// Which network a program sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// The host's.
    #[default]
    Host,
    /// Only a loopback device of its own.
    None,
}

/// A resource limit (`setrlimit(2)`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Such as `nofile`.
    pub name: String,
    /// In the limit's own unit.
    pub soft: u64,
    /// In the limit's own unit.
    pub hard: u64,
}

/// Something mounted over the root filesystem. What is written to it does not belong to the layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where, relative to the working folder. Mount points that are not there are made, and removed afterwards.
    pub target: String,
    /// Whether it cannot be written.
    pub readonly: bool,
    /// What.
    pub kind: MountKind,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountKind {
    /// A folder or file of another root filesystem. What is written to it is thrown away.
    Tree {
        /// That root filesystem, base first.
        layers: Vec<TreeLayer>,
        /// The path in it; symbolic links never lead out of it.
        source: String,
    },
    /// A folder that lasts.
    Cache(Cache),
    /// A file system in memory, of at most so many bytes; 0 for no limit of its own.
    Tmpfs(u64),
    /// A file that only ever lies in memory.
    Secret(Secret),
    /// A socket that leads to this one of the host's.
    Socket {
        /// The host's socket.
        path: PathBuf,
        /// The permission bits.
        mode: u32,
        /// The owner.
        uid: u32,
        /// The group.
        gid: u32,
    },
    /// A folder or file of the host's.
    Bind {
        /// Its absolute path.
        source: PathBuf,
        /// Whether a folder is made where nothing is (`--volume`). Otherwise that is an error (`--mount`).
        create: bool,
    },
    /// A folder of a container's own, by its name there (letters, digits, `-`, `_`). A new one is filled with what the image
    /// has at the target. Only containers that are started by [`Sandbox::start`](crate::Sandbox::start) have any.
    Volume(String),
}

/// A folder that lasts from run to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// Which one. Any text; it never becomes a path.
    pub id: String,
    /// Who else may use it meanwhile.
    pub sharing: Sharing,
    /// The root filesystem, and the path in it, that it is a copy of when it is new.
    pub initial: Option<(Vec<TreeLayer>, String)>,
    /// The permission bits of a new one.
    pub mode: u32,
    /// The owner of a new one.
    pub uid: u32,
    /// The group of a new one.
    pub gid: u32,
}

/// Who may use a cache at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sharing {
    /// Any number.
    #[default]
    Shared,
    /// One; others get a cache of their own.
    Private,
    /// One; others wait.
    Locked,
}

/// A secret file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Its content.
    pub content: Vec<u8>,
    /// The permission bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// Never shows the content.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({} bytes)", self.content.len())
    }
}

/// What is to be deleted of what sandboxes keep. What a run uses stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reclaim {
    /// Nothing: it is only measured.
    Nothing,
    /// Unpacked layers, which are made anew when they are needed.
    Trees,
    /// Also what cache mounts hold.
    TreesAndCaches,
}

/// What sandboxes keep, in bytes on the disk; after deleting, what was there before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Unpacked layers.
    pub trees: u64,
    /// What cache mounts hold.
    pub caches: u64,
    /// Either, while a run uses it.
    pub in_use: u64,
    /// The folders of containers that do not run.
    pub stopped: u64,
    /// Those of containers that run.
    pub running: u64,
}
