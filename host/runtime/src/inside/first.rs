//! The first process of the sandbox's namespaces.

use std::{
    fs,
    os::unix::net::UnixStream,
    process::{ExitCode, exit},
    sync::{Arc, OnceLock},
    thread,
};

use nacre_oci::{Error, Result};
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
};

use crate::{
    inside::{
        container::{self, HostProcesses, Program},
        files,
        folder::Place,
        port::Port,
        reclaim, run,
    },
    lock::delete,
    wire::{Message, Request, Task},
};

/// Does what the parent asks for, and ends.
pub(crate) fn first() -> ExitCode {
    let Ok(port) = Port::own() else { return ExitCode::FAILURE };
    let told = match obey(&port) {
        Ok(()) => port.tell(&Message::Done),
        Err(error) => port.tell(&Message::Failed(error.to_string())),
    };
    if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn obey(port: &Port) -> Result<()> {
    let host = HostProcesses::open();
    own_mounts()?;
    let request: Request = port.hear()?;
    if let Task::Visit(boot) = request.task {
        // It ends when the parent says no more.
        return files::visit(&boot, &Place::of(request.place)?, port);
    }
    let bond = Bond::default();
    bond.watch(port.socket()?);
    match request.task {
        Task::Probe => Ok(()),
        Task::Sweep => Place::of(request.place)?.sweep_now(),
        Task::Reclaim(what) => port.tell(&Message::Kept(reclaim::reclaim(what, &Place::of(request.place)?)?)),
        Task::Start { boot, attach } => container::start(*boot, attach, Place::of(request.place)?, port, &bond, host),
        Task::Remove(id) => delete(&Place::of(request.place)?.container(&id)),
        Task::Run(run) => run::run(*run, &Place::of(request.place)?, port),
        Task::Visit(_) => Ok(()),
    }
}

/// What is mounted here is seen nowhere else, and `/proc` shows the processes of this namespace.
fn own_mounts() -> Result<()> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(|error| Error::io("separate the mounts from the host's")(error.into()))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None).map_err(|error| Error::Unsupported {
        what: "mounting /proc".into(),
        why: format!("{error}: a container around nacre hides a part of its own; run nacre outside of it, or with its /proc unmasked"),
    })
}

/// What the parent's end means to this process: its own end, whatever else it is doing, until the bond is loosened. The
/// kernel ends all others of the namespace with it.
#[derive(Clone, Default)]
pub(crate) struct Bond(Arc<OnceLock<Option<Arc<Program>>>>);

impl Bond {
    /// From now on this process outlives its parent. What the parent sends is for the program, if there is one.
    pub(crate) fn loosen(&self, program: Option<Arc<Program>>) {
        let _ = self.0.set(program);
    }

    #[allow(clippy::exit, reason = "the parent is gone, so there is nobody to whom anything could be returned")]
    fn watch(&self, mut parent: UnixStream) {
        let bond = self.clone();
        thread::spawn(move || {
            // Nothing is sent before the bond is loosened.
            let first = wait_readable(&parent);
            match bond.0.get() {
                None => exit(1),
                Some(Some(program)) if first.is_ok() => program.feed(&mut parent),
                Some(_) => {}
            }
        });
    }
}

/// Returns when there is something to read, or the other end is closed.
fn wait_readable(socket: &UnixStream) -> rustix::io::Result<()> {
    loop {
        match poll(&mut [PollFd::new(socket, PollFlags::IN)], None) {
            Err(Errno::INTR) => {}
            other => return other.map(drop),
        }
    }
}

/// Whether all of the host's ids are there: whether this is no user namespace.
pub(crate) fn has_all_ids() -> bool {
    fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]))
}
