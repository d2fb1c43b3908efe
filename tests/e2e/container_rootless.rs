//! Containers of ordinary users. Skipped without root, which is needed to become another.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    process::Stdio,
};

use nacre_tests::{peers::available, sandbox::Output};

use crate::{
    build_rootless::{User, as_user, give},
    machine::{Machine, eventually, processes},
};

/// A user's machine. Its containers are removed as the user, before the folder goes.
struct Theirs {
    machine: Machine,
    user: User,
}

impl Theirs {
    fn new(which: &str) -> Option<Self> {
        if !available("newuidmap") || !available("useradd") || !available("setpriv") {
            return None;
        }
        let machine = Machine::new()?;
        let user = User::new(which);
        fs::set_permissions(machine.path(""), PermissionsExt::from_mode(0o755)).unwrap();
        give(&machine.path(""), user.uid);
        Some(Self { machine, user })
    }

    fn nacre(&self, words: &[&str]) -> Output {
        self.machine.run(as_user(&self.machine, self.user.uid, words), b"")
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let ids = self.nacre(&["ps", "-aq", "--no-trunc"]);
        ids.lines().iter().for_each(|id| _ = self.nacre(&["rm", "-f", id]));
    }
}

#[test]
fn a_users_containers_live_as_roots_do() {
    let Some(theirs) = Theirs::new("life") else { return };
    let ok = |words: &[&str]| theirs.nacre(words).ok().stdout;
    assert_eq!(
        ok(&["run", "--rm", "sea", "sh", "-c", "id -u; stat -c %u /root; chown 1000:50 /data && stat -c %u:%g /data"]),
        "0\n0\n1000:50\n"
    );
    assert_eq!(theirs.nacre(&["run", "--rm", "sea", "sh", "-c", "exit 7"]).code, Some(7));
    assert_eq!(theirs.nacre(&["run", "--rm", "sea", "nope"]).code, Some(127));
    assert_eq!(ok(&["run", "--rm", "-u", "diver", "--network", "none", "sea", "id", "-un"]), "diver\n");
    let traps = "chown -R diver /data; echo new > /data/new; trap 'exit 5' TERM; while :; do sleep 0.05; done";
    ok(&["run", "-d", "--name", "boat", "-v", "/data/old", "sea", "sh", "-c", traps]);
    eventually("it has written", || theirs.nacre(&["exec", "boat", "cat", "/data/new"]).stdout == "new\n");
    assert_eq!(ok(&["exec", "-u", "diver", "boat", "id", "-u"]), "1000\n");
    assert_eq!(theirs.nacre(&["exec", "boat", "sh", "-c", "exit 9"]).code, Some(9));
    ok(&["cp", "boat:/data/new", "out"]);
    assert_eq!(fs::metadata(theirs.machine.path("out")).unwrap().uid(), theirs.user.uid);
    ok(&["cp", "out", "boat:/tmp"]);
    assert_eq!(ok(&["exec", "boat", "cat", "/tmp/out"]), "new\n");
    assert_eq!(ok(&["diff", "boat"]), "C /data\nC /data/gone\nA /data/new\nC /tmp\nA /tmp/out\n");
    ok(&["commit", "boat", "made:1"]);
    assert_eq!(ok(&["run", "--rm", "made:1", "sh", "-c", "cat /data/new; stat -c %U /data/new /data/gone"]), "new\nroot\ndiver\n");
    ok(&["stop", "boat"]);
    assert_eq!(ok(&["wait", "boat"]), "5\n");
    assert_eq!(ok(&["diff", "boat"]), "C /data\nC /data/gone\nA /data/new\nC /tmp\nA /tmp/out\n");
    ok(&["start", "boat"]);
    ok(&["rm", "-f", "boat"]);
    assert_eq!(ok(&["ps", "-a"]).lines().count(), 1);
    assert_eq!(fs::read_dir(theirs.machine.root().join("containers")).unwrap().flatten().filter(|entry| entry.path().is_dir()).count(), 0);
}

#[test]
fn a_killed_monitor_of_a_users_leaves_nothing_that_cannot_be_removed() {
    let Some(theirs) = Theirs::new("kills") else { return };
    let ok = |words: &[&str]| theirs.nacre(words).ok().stdout;
    ok(&["run", "-d", "--name", "boat", "sea", "sh", "-c", "mkdir -m 0 /closed; chown diver /closed; sleep 1000078"]);
    let mut client = as_user(&theirs.machine, theirs.user.uid, &["start", "-a", "boat"]).stdout(Stdio::null()).spawn().unwrap();
    eventually("it has begun", || theirs.nacre(&["exec", "boat", "ls", "-d", "/closed"]).code == Some(0));
    let lock = theirs.machine.root().join("containers").join(ok(&["container", "inspect", "-f", "{{.Id}}", "boat"]).trim()).join("lock");
    let holder = std::process::Command::new("fuser").arg(&lock).output();
    if let Ok(holder) = holder
        && holder.status.success()
    {
        for pid in String::from_utf8_lossy(&holder.stdout).split_whitespace() {
            std::process::Command::new("kill").args(["-9", pid]).status().unwrap();
        }
        assert_eq!(client.wait().unwrap().code(), Some(137));
        eventually("its program has ended", || processes("1000078").iter().all(|line| line.contains("nacre")));
        assert_eq!(ok(&["wait", "boat"]), "137\n");
        assert!(ok(&["ps", "-a", "--format", "{{.Status}}"]).starts_with("Exited (137)"));
    }
    ok(&["rm", "-f", "boat"]);
    _ = client.wait();
    eventually("its program has ended", || processes("1000078").is_empty());
}
