//! Out of the host's namespaces.

use std::{
    fs, io,
    os::fd::{BorrowedFd, RawFd},
    process::{Command, ExitCode},
};

use nacre_oci::{Error, Result};
use nix::sched::{CloneFlags, unshare};
use rustix::{
    fs::Mode,
    io::{FdFlags, fcntl_setfd},
    process::umask,
};

use crate::{
    inside::{FIRST, port::Port},
    wire::{Mapped, Message},
};

/// Makes the namespaces, and in them the first process. Ends when that ends, or at once.
pub(crate) fn enter(as_user: bool, wait: bool) -> ExitCode {
    let Ok(port) = Port::own() else { return ExitCode::FAILURE };
    match namespaces(as_user, &port).and_then(|()| start(wait)) {
        Ok(code) => code,
        Err(error) => {
            let _ = port.tell(&Message::Failed(error.to_string()));
            ExitCode::FAILURE
        }
    }
}

fn namespaces(as_user: bool, port: &Port) -> Result<()> {
    close_on_exec().map_err(Error::io("close inherited files"))?;
    // Files have the modes that programs give them, whatever the user's own mask is.
    umask(Mode::from_raw_mode(0o022));
    if as_user {
        unshare(CloneFlags::CLONE_NEWUSER).map_err(|why| refused("a user namespace", why))?;
        port.tell(&Message::Unmapped)?;
        port.hear::<Mapped>()?;
    }
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID).map_err(|why| refused("mount and process namespaces", why))
}

fn refused(what: &str, why: nix::Error) -> Error {
    Error::Unsupported {
        what: format!("making {what}"),
        why: format!(
            "{why}: the system or a container around nacre forbids it; run nacre as root outside of containers, or in a privileged one"
        ),
    }
}

/// The first process of a pid namespace has to be a child of whoever made it.
fn start(wait: bool) -> Result<ExitCode> {
    let doing = || Error::io("start the sandbox's first process");
    let mut first = Command::new("/proc/self/exe").arg(FIRST).env_clear().spawn().map_err(doing())?;
    let well = !wait || first.wait().map_err(doing())?.success();
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// No file that nacre inherited from its caller reaches any program in the sandbox (CVE-2024-21626).
fn close_on_exec() -> io::Result<()> {
    for entry in fs::read_dir("/proc/self/fd")? {
        let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()) else { continue };
        if number > 2 {
            set_close_on_exec(number)?;
        }
    }
    Ok(())
}

#[allow(unsafe_code, reason = "a file that was inherited has only a number")]
fn set_close_on_exec(number: RawFd) -> io::Result<()> {
    // SAFETY: The number was just listed among this process's open files, and the process has one thread, which closes none
    // in between: the listing's own file is still open too.
    let file = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(fcntl_setfd(file, FdFlags::CLOEXEC)?)
}
