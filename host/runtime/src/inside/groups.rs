//! The control groups of runs. OCI runtimes delete those that they have made, unless they or the container's monitor were
//! killed.

use std::{
    ffi::OsStr,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Where the system has them, of both versions (`cgroups(7)`).
const GROUPS: &str = "/sys/fs/cgroup";
/// How far below they are looked for.
const MAX_DEPTH: usize = 8;
/// How often it is tried while processes that were killed still end, and how long it is waited in between.
const TRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// Deletes the control groups with the name of a run that is gone, and ends whatever is still in them. What cannot be deleted
/// has processes of somebody else's.
pub(crate) fn delete(run: &OsStr) {
    delete_below(Path::new(GROUPS), run);
}

/// The control groups of a container, if the OCI runtime has noted them in its folder of the container as runc does.
pub(crate) fn noted(state: &Path) -> Option<Vec<PathBuf>> {
    let noted: Value = serde_json::from_slice(&fs::read(state.join("state.json")).ok()?).ok()?;
    let paths = noted.get("cgroup_paths")?.as_object()?.values().filter_map(Value::as_str);
    Some(
        paths.map(PathBuf::from).filter(|path| path.starts_with(GROUPS) && path.ends_with(state.file_name().unwrap_or_default())).collect(),
    )
}

/// Deletes control groups without processes. False if one cannot be deleted.
pub(crate) fn delete_all(groups: &[PathBuf]) -> bool {
    groups.iter().all(|group| !group.exists() || remove(group).is_ok())
}

fn delete_below(groups: &Path, run: &OsStr) {
    let mut found = Vec::new();
    find(groups, run, MAX_DEPTH, &mut found);
    for group in found {
        // Who is killed ends on its own time.
        let busy = || {
            end_all(&group);
            remove(&group).is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy)
        };
        (0..TRIES).take_while(|_| busy()).for_each(|_| sleep(PAUSE));
    }
}

/// Kills the processes of a group, as far as they are of this namespace, and lets those go on that are frozen: the kernel
/// has killed them with their namespace's first one, but they would never end (cgroup-v1/freezer-subsystem; cgroup-v2).
fn end_all(group: &Path) {
    folders(group).iter().for_each(|below| end_all(below));
    let listed = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    for process in listed.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)) {
        let _ = kill_process(process, Signal::KILL);
    }
    for (file, value) in [("cgroup.kill", "1"), ("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
        let _ = fs::OpenOptions::new().write(true).open(group.join(file)).and_then(|mut file| file.write_all(value.as_bytes()));
    }
}

fn find(folder: &Path, run: &OsStr, depth: usize, found: &mut Vec<PathBuf>) {
    for group in folders(folder) {
        if group.file_name() == Some(run) {
            found.push(group);
        } else if depth > 0 {
            find(&group, run, depth - 1, found);
        }
    }
}

/// The files of a group go with its folder.
fn remove(group: &Path) -> io::Result<()> {
    folders(group).iter().try_for_each(|below| remove(below))?;
    fs::remove_dir(group)
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(path).into_iter().flatten().flatten();
    listed.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn only_a_containers_own_groups_count() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("nacre-a");
        fs::create_dir(&state).unwrap();
        assert_eq!(noted(&state), None);
        fs::write(state.join("state.json"), r#"{"id": "nacre-a"}"#).unwrap();
        assert_eq!(noted(&state), None);
        let paths = r#"{"cgroup_paths": {"a": "/sys/fs/cgroup/cpu/nacre-a", "b": "/sys/fs/cgroup/cpu", "c": "/etc/nacre-a"}}"#;
        fs::write(state.join("state.json"), paths).unwrap();
        assert_eq!(noted(&state), Some(vec!["/sys/fs/cgroup/cpu/nacre-a".into()]));
    }

    #[test]
    fn groups_of_one_name_go_wherever_they_are() {
        let dir = tempfile::tempdir().unwrap();
        for group in ["cpu/nacre-a/below", "pids/x/nacre-a", "pids/nacre-b", "unified/other"] {
            fs::create_dir_all(dir.path().join(group)).unwrap();
        }
        delete_below(dir.path(), OsStr::new("nacre-a"));
        let left = |group: &str| dir.path().join(group).exists();
        assert!(!left("cpu/nacre-a") && !left("pids/x/nacre-a"));
        assert!(left("cpu") && left("pids/x") && left("pids/nacre-b") && left("unified/other"));
    }
}
