//! Starting containers, and deleting what they leave.

use std::path::PathBuf;

use nacre_layer::Compression;
use nacre_oci::{Error, Result};

use crate::{
    boot::{Boot, Outcome, Started},
    ids::Ids,
    left_over::left_over,
    lock::delete,
    sandbox::{Host, Sandbox, Settings, Status},
    session::Session,
    state::container_folder,
    wire::Task,
};

impl Sandbox {
    /// Starts a container whose folder with its lock is there, and returns as soon as its program runs. From then on a process
    /// of its own watches it, until it ends. To `attach` is to get a session that hears all that the program prints.
    ///
    /// # Errors
    /// If there is no such container, or it is being removed; if the root filesystem or a mount cannot be made, or the sandbox
    /// process dies. That the program could not be started is no error.
    pub fn start(&self, boot: &Boot, attach: bool) -> Result<Started> {
        let mut running = self.host.start(Task::Start { boot: Box::new(boot.clone()), attach }, Compression::None)?;
        let (socket, heard) = running.converse()?;
        let outcome = match (socket, heard.status) {
            (Some(socket), _) if attach => Outcome::Running(Some(Session::new(socket, self.host.root(), boot.id.clone(), None)?)),
            (Some(_), _) => Outcome::Running(None),
            (None, Some(Status::NotStarted { code, why })) => Outcome::NotStarted { code, why },
            (None, _) if heard.already => Outcome::Already,
            (None, _) => return Err(Error::Other("the sandbox process did not say whether the container runs".into())),
        };
        Ok(Started { outcome, warnings: heard.warnings })
    }
}

/// Deletes the folder of a container that does not run, and all files of the container. It is no error if there is none.
/// That needs no OCI runtime, but the same ids.
///
/// # Errors
/// [`Error::Conflict`] if the container runs; if there can be no sandbox process, or something cannot be deleted.
pub fn remove_container(settings: Settings, id: &str) -> Result<()> {
    let ask = |task| Host::new(settings.clone(), PathBuf::new(), Ids::of_this_process(&settings.path).0).ask(task).map(drop);
    match delete(&container_folder(&settings.root, id)) {
        // Files of subordinate ids are nobody's here.
        Err(Error::Io { .. }) => ask(Task::Remove(id.into()))?,
        other => other?,
    }
    // Mount points and control groups, if its monitor was killed. What cannot be deleted now is by the next run.
    if !left_over(&settings.root).is_empty() {
        let _ = ask(Task::Sweep);
    }
    Ok(())
}
