//! Programs in root filesystems: unpacked layers, overlay mounts, namespaces and an OCI runtime (runc, crun or youki).
//!
//! [`Sandbox::open`] finds what running needs and names all that is missing. [`Sandbox::run`] runs one program: nacre
//! executes itself again, in namespaces of its own, and that process ([`serve`]) unpacks layers under `ROOT/trees`, mounts
//! them, has the OCI runtime run the program, and sends back what the program printed and the layer it made. It is the
//! first process of a pid namespace and lives as long as the socket to its parent: when nacre is killed the kernel ends
//! all of its processes and mounts. The folders that then stay are swept by the next sandbox.
//!
//! [`Sandbox::start`] starts a container: there that process stays when its parent is gone, keeps what the program prints,
//! and serves [`Control`]s, until the program has ended. It holds the lock of the container's folder, `ROOT/containers/ID`,
//! so that [`state`](fn@state) tells running containers from those that ended or were killed. [`Sandbox::files`] looks into
//! containers that run or do not.

mod boot;
mod control;
mod files;
mod find;
mod ids;
mod inside;
mod left_over;
mod lock;
mod preflight;
mod request;
mod sandbox;
mod session;
mod starting;
mod state;
mod wire;

pub use boot::{Boot, Exec, Outcome, Started};
pub use control::Control;
pub use files::{CopyIn, Files, PathStat};
pub use inside::serve;
pub use left_over::left_over;
pub use nacre_layer::{Change, ChangeKind};
pub use request::{Cache, Kept, Limit, Mount, MountKind, Network, Reclaim, Run, Secret, Sharing, TreeLayer};
pub use sandbox::{Ran, Sandbox, Settings, Status, Stream, Watch, reclaim};
pub use session::{Event, Input, Output, Session};
pub use starting::remove_container;
pub use state::{RunStatus, State, container_folder, log_path, state};
