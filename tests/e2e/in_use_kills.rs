//! Commands of containers and images that are killed: whatever they leave, the next commands clear up.

use std::{
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    fixture::store,
    in_use::{SLEEP, with_base},
    machine::Machine,
};

/// How long commands live, in milliseconds: from before they have done anything until they are done.
const LIVES: [u64; 10] = [0, 2, 4, 6, 9, 13, 20, 30, 45, 70];

const PATIENCE: Duration = Duration::from_secs(30);

/// What the killed command was about: an image `app:1`, and a container `old` of it that runs.
fn prepare(machine: &Machine) {
    machine.nacre(["import", "-q", "base.tar.gz", "app:1"]).ok();
    machine.nacre([&["run", "-d", "--name", "old", "--network", "none", "app:1"][..], &SLEEP].concat()).ok();
}

fn killed(machine: &Machine, arguments: &[&str], milliseconds: u64) {
    let mut command = machine.command(arguments);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    sleep(Duration::from_millis(milliseconds));
    // It may have ended by itself.
    _ = child.kill();
    child.wait().unwrap();
}

/// What a user does: removes all containers, and prunes. A monitor whose client was killed may be about to remove its own.
fn repair(machine: &Machine, what: &str) {
    let end = Instant::now() + PATIENCE;
    loop {
        let ids = machine.nacre(["ps", "-aq", "--no-trunc"]).ok();
        ids.lines().iter().for_each(|id| _ = machine.nacre(["rm", "-f", id]));
        for prune in [["container", "prune", "-f"], ["image", "prune", "-af"], ["builder", "prune", "-f"]] {
            machine.nacre(prune).ok();
        }
        let findings = machine.nacre(["system", "check"]);
        let folders = std::fs::read_dir(machine.root().join("containers")).map_or(0, Iterator::count);
        if (findings.code, folders, store(machine).df().unwrap().blob_count) == (Some(0), 0, 0) {
            return;
        }
        assert!(Instant::now() < end, "after {what}: {}{folders} folders are left", findings.stdout);
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn nothing_is_left_of_commands_that_were_killed() {
    let Some(machine) = with_base() else { return };
    for life in LIVES {
        for arguments in [
            &["create", "--name", "new", "--network", "none", "app:1", "/bin/busybox", "true"][..],
            &["run", "--rm", "--name", "new", "--network", "none", "app:1", "/bin/busybox", "true"],
            &["run", "-d", "--network", "none", "app:1", "/bin/busybox", "sleep", "1000"],
            &["rm", "-f", "old"],
            &["rmi", "-f", "app:1"],
        ] {
            prepare(&machine);
            killed(&machine, arguments, life);
            let what = format!("{} killed after {life} ms", arguments.join(" "));
            // What was there before is there still, or gone as a whole.
            let findings = store(&machine).check(true).unwrap();
            assert!(findings.iter().all(|finding| matches!(finding, nacre_store::Finding::LeftOver(_))), "{what}: {findings:?}");
            repair(&machine, &what);
        }
    }
}
