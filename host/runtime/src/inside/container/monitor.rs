//! What the monitor knows of its container, for all that serve its clients.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};

use jiff::Timestamp;
use nacre_oci::{Error, Result};

use crate::{
    boot::Boot,
    inside::{
        accounts::Accounts,
        beneath,
        container::{crowd::Crowd, program::Program},
        folder::Place,
        root::Root,
        start::Oci,
    },
    state::{self, RunStatus, State},
};

/// A running container.
pub(crate) struct Monitor {
    pub(crate) boot: Boot,
    /// The container's folder.
    pub(crate) home: PathBuf,
    pub(crate) place: Arc<Place>,
    pub(crate) root: Root,
    pub(crate) oci: Oci,
    pub(crate) main: Arc<Program>,
    /// Clients that have not heard all.
    pub(crate) crowd: Crowd,
    /// How many want it paused.
    pub(crate) holds: Mutex<usize>,
    state: Mutex<State>,
    execs: Mutex<Execs>,
    over: RwLock<bool>,
}

#[derive(Default)]
struct Execs {
    last: u64,
    running: BTreeMap<u64, Arc<Program>>,
}

impl Monitor {
    pub(crate) fn new(boot: Boot, home: PathBuf, place: Arc<Place>, root: Root, oci: Oci, main: Arc<Program>, state: State) -> Self {
        let (crowd, holds, execs, over) = (Crowd::default(), Mutex::default(), Mutex::default(), RwLock::default());
        Self { boot, home, place, root, oci, main, crowd, holds, state: Mutex::new(state), execs, over }
    }

    pub(crate) fn write_state(&self) -> Result<()> {
        state::write(&self.home, &self.state())
    }

    /// Notes that it is paused, or that it is no more.
    pub(crate) fn paused(&self, paused: bool) -> Result<()> {
        let mut state = self.state();
        if state.is_live() {
            state.status = if paused { RunStatus::Paused } else { RunStatus::Running };
            state::write(&self.home, &state)?;
        }
        Ok(())
    }

    /// Notes that the program has ended, after those who use the container's files just now.
    pub(crate) fn ended(&self, code: u8) -> Result<()> {
        let finished = Some(state::text(Timestamp::now()));
        {
            let mut state = self.state();
            *state = State { status: RunStatus::Exited, pid: None, finished, code: Some(code), ..state.clone() };
            state::write(&self.home, &state)?;
        }
        *self.over.write().unwrap_or_else(PoisonError::into_inner) = true;
        let _ = fs::remove_file(self.home.join("control"));
        Ok(())
    }

    /// Whether the program has not ended yet.
    pub(crate) fn is_live(&self) -> bool {
        self.state().is_live()
    }

    /// The container's files stay where they are as long as this is held.
    pub(crate) fn hold_open(&self) -> Result<RwLockReadGuard<'_, bool>> {
        let over = self.over.read().unwrap_or_else(PoisonError::into_inner);
        if *over { Err(Error::Conflict(format!("container {} is not running", self.boot.id))) } else { Ok(over) }
    }

    /// The program that a client means.
    pub(crate) fn program(&self, exec: Option<u64>) -> Result<Arc<Program>> {
        let Some(number) = exec else { return Ok(Arc::clone(&self.main)) };
        let found = self.execs().running.get(&number).cloned();
        found.ok_or_else(|| Error::Conflict("the program has ended".into()))
    }

    /// A number for another program.
    pub(crate) fn next_exec(&self) -> u64 {
        let mut execs = self.execs();
        execs.last += 1;
        execs.last
    }

    pub(crate) fn add_exec(&self, number: u64, program: &Arc<Program>) {
        self.execs().running.insert(number, Arc::clone(program));
    }

    pub(crate) fn remove_exec(&self, number: u64) {
        self.execs().running.remove(&number);
    }

    pub(crate) fn signal(&self, exec: Option<u64>, number: i32) -> Result<()> {
        if self.program(exec)?.process.signal(number)? {
            return Ok(());
        }
        match exec {
            // Those without a name, such as SIGRTMIN+3 for systemd.
            None => self.oci.order(&["kill", &self.oci.id, &number.to_string()]),
            Some(_) => Err(Error::Unsupported { what: format!("signal {number}"), why: "only those with a name can be sent here".into() }),
        }
    }

    /// Who may be in the container, as its files say now.
    pub(crate) fn accounts(&self) -> Result<Accounts> {
        let root = beneath::open_root(&self.root.path).map_err(Error::io("open the container's root filesystem"))?;
        Ok(Accounts::of(root.as_fd()))
    }

    /// The root filesystem as the program sees it, with all that is mounted.
    pub(crate) fn eyes(&self) -> Result<OwnedFd> {
        let path = format!("/proc/{}/root", self.main.process.pid());
        beneath::open_root(path.as_ref()).map_err(Error::io("open the container's root filesystem"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn execs(&self) -> MutexGuard<'_, Execs> {
        self.execs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
