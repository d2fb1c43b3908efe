//! The monitor of a container: the sandbox process, when it stays.
//!
//! It starts the container's program, keeps what that prints, and serves clients until the program has ended. All of that is
//! written down before anybody is told; killed, it takes the container's processes and mounts with it.

mod client;
mod crowd;
mod exec;
mod host;
mod log;
mod monitor;
mod pause;
mod process;
mod program;
mod serve;
mod streams;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use nacre_oci::{Error, Result};
use rustix::mount::{UnmountFlags, unmount};
use serde_json::json;

pub(crate) use crate::inside::container::{host::HostProcesses, program::Program};
use crate::{
    boot::Boot,
    inside::{
        accounts::{Account, Accounts},
        beneath::Missing,
        container::{log::Log, monitor::Monitor, program::NotStarted, streams::Wanted},
        first::Bond,
        folder::{Folder, Place},
        mounts::Mounts,
        network,
        port::Port,
        root::{Home, Root, Roots},
        run::memory,
        spec::{Parts, Terminal, spec},
        start::Oci,
        stubs::Stubs,
        trees::Trees,
    },
    lock::{Locked, delete_locked, lock},
    state::{self, RunStatus, State},
    wire::Message,
};

/// A container that is being started.
struct Start<'a> {
    boot: Boot,
    /// The container's folder.
    home: PathBuf,
    place: &'a Arc<Place>,
    port: &'a Port,
    bond: &'a Bond,
    host: Option<HostProcesses>,
    /// How it was before.
    before: State,
}

/// What came of it.
enum Came {
    NotStarted(NotStarted),
    Ended(Arc<Monitor>, u8),
}

/// Starts a container, and watches it until it ends. If asked to, the connection to the parent becomes a client's.
pub(crate) fn start(mut boot: Boot, attach: bool, place: Place, port: &Port, bond: &Bond, host: Option<HostProcesses>) -> Result<()> {
    // What the parent's terminal says, or its end, is nothing to this process.
    let _ = rustix::process::setsid();
    let home = place.container(&boot.id);
    let Locked::Own(lock) = lock(&home)? else { return port.tell(&Message::Already) };
    let before = state::read(&home)?;
    if before.status == RunStatus::Dead {
        return Err(Error::Conflict("container is marked for removal and cannot be started".into()));
    }
    if boot.run.hostname.is_empty() {
        boot.run.hostname = boot.id.chars().take(12).collect();
    }
    place.sweep()?;
    let folder = Folder::new(&place)?;
    let place = Arc::new(place);
    let start = Start { boot, home, place: &place, port, bond, host, before };
    let came = start.in_folder(&folder, attach);
    // Whatever cannot be removed now is swept by the next run.
    let _ = folder.remove(&place);
    start.end(came, lock)
}

impl Start<'_> {
    fn in_folder(&self, folder: &Folder, attach: bool) -> Result<Came> {
        rustix::process::chdir(&folder.path).map_err(|error| Error::io("enter the run's folder")(error.into()))?;
        let trees = Trees::new(self.place, folder);
        let mut roots = Roots::new(self.place, folder, &trees, self.port);
        roots.home = Some(Home { path: self.home.clone(), volatile: self.boot.remove });
        let root = roots.container(&self.boot.run.layers)?;
        let mut stubs = Stubs::new(&root.path)?;
        let came = match Accounts::of(stubs.root()).find(&self.boot.run.user) {
            Ok(account) => self.in_root(root, &account, &roots, &mut stubs, attach),
            Err(why) => Ok(Came::NotStarted(NotStarted { code: 126, why })),
        };
        stubs.remove();
        came
    }

    fn in_root(&self, root: Root, account: &Account, roots: &Roots<'_>, stubs: &mut Stubs, attach: bool) -> Result<Came> {
        let memory = memory(roots.folder)?;
        let (spec, mounts) = self.spec(&root, account, roots, stubs, &memory)?;
        let oci = Oci::new(&spec, &memory, roots.folder, self.place)?;
        let bundle = memory.to_string_lossy();
        let Boot { tty, stdin, stdin_once, size, .. } = self.boot;
        let wanted = if tty { Wanted::Terminal(size) } else { Wanted::Pipes { stdin } };
        let program = match Program::start(&oci, "run", &["run", "--bundle", &bundle], wanted, stdin_once)? {
            Ok(program) => Arc::new(program),
            Err(not_started) => {
                oci.delete();
                return Ok(Came::NotStarted(not_started));
            }
        };
        let monitor = self.monitor(root, oci, program)?;
        let code = self.watch(&monitor, attach)?;
        monitor.oci.delete();
        mounts.end()?;
        unmount(&memory, UnmountFlags::DETACH).map_err(|error| Error::io("unmount what a program used")(error.into()))?;
        Ok(Came::Ended(monitor, code))
    }

    /// The container's configuration, and the mounts that were made ready for it.
    fn spec(
        &self,
        root: &Root,
        account: &Account,
        roots: &Roots<'_>,
        stubs: &mut Stubs,
        memory: &Path,
    ) -> Result<(serde_json::Value, Mounts)> {
        let run = &self.boot.run;
        for standard in ["/proc", "/dev", "/sys"] {
            stubs.point(Path::new(standard), Missing::Folder)?;
        }
        stubs.folder(&run.cwd, 0, 0, self.place.owners)?;
        network::of_container(&self.home, run)?;
        let access = if self.boot.readonly { "ro" } else { "rw" };
        let mut mounts = Vec::new();
        for name in ["hosts", "hostname", "resolv.conf"] {
            let target = stubs.point(&Path::new("/etc").join(name), Missing::File)?;
            let options = ["rbind", "rprivate", access];
            mounts.push(json!({"destination": target, "type": "bind", "source": self.home.join(name), "options": options}));
        }
        let ready = Mounts::ready(run, roots, stubs, memory)?;
        mounts.extend(ready.specs.iter().cloned());
        let terminal = if self.boot.tty { Terminal::Sized(self.boot.size) } else { Terminal::None };
        let parts = Parts { readonly: self.boot.readonly, terminal, ..Parts::new(account, &root.path, mounts, self.place) };
        Ok((spec(run, parts), ready))
    }

    fn monitor(&self, root: Root, oci: Oci, program: Arc<Program>) -> Result<Arc<Monitor>> {
        let state = State {
            status: RunStatus::Running,
            pid: self.host.as_ref().and_then(|host| host.number_of(program.process.pid())),
            started: Some(state::text(Timestamp::now())),
            ..State::default()
        };
        let monitor = Arc::new(Monitor::new(self.boot.clone(), self.home.clone(), Arc::clone(self.place), root, oci, program, state));
        serve::listen(&monitor)?;
        Ok(monitor)
    }

    /// From here on the container runs, whatever becomes of the parent, until its program ends.
    fn watch(&self, monitor: &Arc<Monitor>, attach: bool) -> Result<u8> {
        let log = Log::open(&self.home.join("log"))?;
        self.bond.loosen(attach.then(|| Arc::clone(&monitor.main)));
        monitor.write_state()?;
        let started = Message::Started { exec: None };
        if attach {
            monitor.main.listen(self.port.socket()?, &started, &monitor.crowd)?;
        } else {
            // It may be gone already.
            let _ = self.port.tell(&started);
        }
        let code = monitor.main.watch(Some(&log))?;
        monitor.ended(code)?;
        Ok(code)
    }

    /// Writes down what came of it, and only then tells.
    fn end(&self, came: Result<Came>, lock: File) -> Result<()> {
        let failed = match &came {
            Ok(Came::Ended(..)) => None,
            Ok(Came::NotStarted(NotStarted { code, why })) => Some((*code, why.clone())),
            // Docker's code for all else that keeps a container from starting.
            Err(error) => Some((128, error.to_string())),
        };
        if self.boot.remove {
            delete_locked(&self.home)?;
        } else if let Some((code, error)) = failed {
            state::write(&self.home, &State { code: Some(code), error: Some(error), ..self.before.clone() })?;
        }
        drop(lock);
        match came? {
            Came::NotStarted(NotStarted { code, why }) => self.port.tell(&Message::NotStarted { code, why }),
            Came::Ended(monitor, code) => {
                monitor.main.end(code);
                monitor.crowd.wait();
                Ok(())
            }
        }
    }
}
