//! Programs in sandboxes of ordinary users. Skipped without root, runc and a static busybox.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::process::Command;

use nacre_runtime::{Cache, Exec, Mount, MountKind, Network, Secret, Sharing, TreeLayer};
use nacre_tests::peers::available;
use support::{Bench, can_run, prepared};

/// A user of the system, with subordinate ids, for as long as a test needs one.
struct User {
    name: String,
    uid: u32,
}

impl User {
    fn new(which: &str) -> Self {
        let name = format!("nacre-{which}-{}", std::process::id());
        let added = Command::new("useradd").args(["--no-create-home", "--shell", "/bin/sh", &name]).output().unwrap();
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let id = Command::new("id").args(["-u", &name]).output().unwrap();
        let uid = String::from_utf8(id.stdout).unwrap().trim().parse().unwrap();
        let user = Self { name, uid };
        let subordinate = std::fs::read_to_string("/etc/subuid").unwrap_or_default();
        if !subordinate.lines().any(|line| line.starts_with(&format!("{}:", user.name))) {
            user.modify(&["--add-subuids", "2000000-2065535", "--add-subgids", "2000000-2065535"]);
        }
        user
    }

    fn modify(&self, options: &[&str]) {
        assert!(Command::new("usermod").args(options).arg(&self.name).status().unwrap().success());
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = Command::new("userdel").arg(&self.name).output();
    }
}

fn mount(target: &str, kind: MountKind) -> Mount {
    Mount { target: target.into(), readonly: false, kind }
}

#[test]
fn subordinate_ids_are_other_users() {
    if !can_run() || !available("newuidmap") || !available("useradd") {
        return;
    }
    let user = User::new("sub");
    let bench = Bench::of_user(user.uid);
    let first = bench.run(
        "first",
        &bench.script(
            "id -u; echo new > /srv/b; rm /srv/a; mkdir -m 0700 /data; touch /data/x; chown -R 1000:33 /data; chmod 4755 /bin/busybox",
        ),
    );
    assert_eq!(first.text(), "0\n");
    assert_eq!(first.report["warnings"].as_array().unwrap().len(), 0, "{}", first.report);
    assert_eq!(first.paths(), ["bin", "bin/busybox", "data", "data/x", "srv", "srv/a", "srv/b"]);
    let data = first.layer.iter().find(|entry| entry.name() == "data/x").unwrap();
    assert_eq!((data.uid, data.gid), (1000, 33));
    let mut second =
        bench.script("id; cat /srv/b; ls /srv /data; cat /run/s; touch /c/x; stat -c '%u %a' /c; ls /sys/class/net; ls /sys/fs/cgroup");
    second.user = "diver".into();
    second.cwd = "/opt/here".into();
    second.network = Network::None;
    second.layers.push(TreeLayer { blob: "/no/such/blob".into(), ..first.tree });
    second.mounts = vec![
        mount("/run/s", MountKind::Secret(Secret { content: b"word\n".to_vec(), mode: 0o400, uid: 1000, gid: 1000 })),
        mount("/c", MountKind::Cache(Cache { id: "c".into(), sharing: Sharing::Locked, initial: None, mode: 0o711, uid: 1000, gid: 33 })),
    ];
    let second = bench.run("second", &second);
    let text = second.text();
    assert!(
        text.starts_with("uid=1000(diver) gid=1000(diver) groups=33(web),1000(diver)\nnew\n/data:\nx\n\n/srv:\nb\nword\n1000 711\n"),
        "{text}"
    );
    assert!(!text.contains("eth0"), "{text}");
    assert_eq!(second.paths(), ["opt", "opt/here"]);
    let kept = bench.reclaim("reclaim");
    assert!(kept["trees"].as_u64().unwrap() > 1_000_000 && kept["caches"].as_u64().unwrap() > 0 && kept["in_use"] == 0, "{kept}");
    assert_eq!(bench.reclaim("again"), serde_json::json!({"trees": 0, "caches": 0, "in_use": 0, "stopped": 0, "running": 0}));
    assert_eq!(bench.left().len(), 0);
}

#[test]
fn a_kill_leaves_nothing_of_a_users() {
    if !can_run() || !available("newuidmap") || !available("useradd") {
        return;
    }
    let user = User::new("kill");
    let bench = Bench::of_user(user.uid);
    let mut child = bench.spawn("killed", &bench.script("echo begun; mkdir -m 0 /closed; sleep 1000072"));
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    assert_eq!(line, "begun\n");
    child.kill().unwrap();
    child.wait().unwrap();
    support::wait_for_end_of("1000072");
    assert_eq!(bench.left().len(), 1);
    bench.run("after", &bench.script("true")).text();
    assert_eq!(bench.left().len(), 0);
}

#[test]
fn without_subordinate_ids_all_is_roots() {
    if !can_run() {
        return;
    }
    // Nobody has this id, so nothing is said about it in /etc/subuid.
    let bench = Bench::of_user(54_321);
    let mut run = bench.script("id; touch /x; chown 1000 /x 2>/dev/null || echo refused; stat -c %u /srv/a /etc/passwd; cat /run/s");
    run.mounts = vec![mount("/run/s", MountKind::Secret(Secret { content: b"word\n".to_vec(), mode: 0o400, uid: 1000, gid: 1000 }))];
    let ended = bench.run("job", &run);
    assert_eq!(ended.text(), "uid=0(root) gid=0(root)\nrefused\n0\n0\nword\n");
    let warnings = ended.report["warnings"].to_string();
    assert!(warnings.contains("/etc/subuid") && warnings.contains("usermod --add-subuids"), "{warnings}");
    assert_eq!(ended.paths(), ["x"]);
    assert_eq!(bench.left().len(), 0);
}

/// Two starts of a container, with another program in the first.
fn container(bench: &Bench) -> (String, String) {
    let mut boot = bench.container(
        &"c".repeat(64),
        "test -e /srv/n || exec sleep 1000; cat /srv/n /v/m; stat -c %u:%g /srv/n; touch /ro/x 2> /dev/null || echo fixed; mkdir -m 0 /closed; exit 3",
    );
    // Its flags cannot be taken away by users.
    let source = bench.folder("nosuid");
    let ro = Mount { readonly: true, ..mount("/ro", MountKind::Bind { source, create: false }) };
    boot.run.mounts = vec![mount("/v", MountKind::Volume("0".into())), ro];
    let mut exec = Exec { tty: true, size: Some((5, 6)), ..Exec::default() };
    exec.args = ["sh", "-c", "echo n > /srv/n; echo m > /v/m; chown 1000:33 /srv/n 2> /dev/null; busybox stty size; id -u"]
        .map(String::from)
        .into();
    let prepare = "mount -t tmpfs -o nosuid,nodev,noexec t \"$1/nosuid\"";
    let output = prepared(bench, prepare, &bench.lives("job", &boot, exec)).output().unwrap();
    let ended = bench.ended("job", output);
    assert_eq!((&ended.report["error"], &ended.report["not_started"]), (&serde_json::Value::Null, &serde_json::Value::Null));
    assert_eq!(ended.report["code"], 3, "{}", ended.report);
    (String::from_utf8(ended.output.stdout).unwrap(), ended.report["not_paused"].to_string())
}

#[test]
fn containers_are_users_own() {
    if !can_run() || !available("newuidmap") || !available("useradd") {
        return;
    }
    let user = User::new("own");
    let bench = Bench::of_user(user.uid);
    let (said, not_paused) = container(&bench);
    assert_eq!(said, "5 6\r\n0\r\nn\nm\n1000:33\nfixed\n");
    // Where users cannot have control groups the OCI runtime says so.
    assert!(not_paused == "null" || not_paused.contains("cgroup"), "{not_paused}");
    assert!(!bench.path().join("root/containers").read_dir().unwrap().any(|_| true));
    assert_eq!(bench.left().len(), 0);
}

#[test]
fn containers_of_one_id() {
    if !can_run() {
        return;
    }
    let bench = Bench::of_user(54_321);
    let (said, _) = container(&bench);
    assert_eq!(said, "5 6\r\n0\r\nn\nm\n0:0\nfixed\n");
    assert!(!bench.path().join("root/containers").read_dir().unwrap().any(|_| true));
    assert_eq!(bench.left().len(), 0);
}
