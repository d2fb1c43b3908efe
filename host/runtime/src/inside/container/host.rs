//! Processes as the host counts them.

use std::{
    fs,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags, open};

/// The host's `/proc`.
pub(crate) struct HostProcesses(OwnedFd);

impl HostProcesses {
    /// What is mounted at `/proc` before the sandbox mounts its own.
    pub(crate) fn open() -> Option<Self> {
        open("/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok().map(Self)
    }

    /// The host's number of a child of this process.
    pub(crate) fn number_of(&self, child: i32) -> Option<u32> {
        let root = PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()));
        let own = root.join(fs::read_link(root.join("self")).ok()?);
        let tasks = fs::read_dir(own.join("task")).ok()?.flatten();
        let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        let numbers: Vec<String> = children.flat_map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
        numbers.iter().filter(|number| number_here(&root.join(number)) == Some(child)).find_map(|number| number.parse().ok())
    }
}

/// A process's number in the namespace below the host's (`NSpid` of proc_pid_status(5)).
fn number_here(process: &Path) -> Option<i32> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_whitespace().nth(1)?.parse().ok()
}
