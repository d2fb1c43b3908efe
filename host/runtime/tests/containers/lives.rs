//! Programs in containers, from start to end, and what stays.

use super::*;

#[test]
fn a_program_is_heard_and_logged_and_its_end_is_known() {
    if !can_run() {
        return;
    }
    let fleet = Fleet::new();
    let boot = fleet.create("a", "echo out; sleep 0.1; echo err >&2; sleep 0.1; printf rest; exit 3");
    assert_eq!(fleet.state(&boot), State::default());
    assert_eq!(fleet.run(&boot), said("out\nrest", "err\n", 3));
    let state = fleet.state(&boot);
    assert_eq!((state.status, state.code, state.pid, &state.error), (RunStatus::Exited, Some(3), None, &None));
    assert!(state.started < state.finished, "{state:?}");
    let pair = |stream: &str, text: &str| (stream.to_owned(), text.to_owned());
    assert_eq!(fleet.log(&boot), [pair("stdout", "out\n"), pair("stderr", "err\n"), pair("stdout", "rest")]);
    assert!(Control::connect(&fleet.root(), &boot.id).unwrap().is_none());
    assert_eq!(fleet.bench.left().len(), 0);
    fleet.remove(&boot);
    fleet.remove(&boot);
    assert_eq!(fleet.state(&boot).status, RunStatus::Dead);
}

#[test]
fn what_was_written_is_there_at_the_next_start() {
    if !can_run() {
        return;
    }
    let fleet = Fleet::new();
    let mut boot = fleet.create("a", "cat /srv/a /data/x /srv/n; echo again >> /srv/n; echo y >> /data/x; cat /etc/hostname; hostname");
    boot.run.mounts = vec![mount("/data", MountKind::Volume("v0".into())), mount("/srv/v", MountKind::Volume("v1".into()))];
    let mut layer = support::folder("data");
    (layer.0.uid, layer.0.gid, layer.0.mode) = (5, 6, 0o710);
    boot.run.layers.push(fleet.bench.layer("data.tar", &[layer, support::file("data/x", b"x\n")]));
    let host = &boot.id[..12];
    let first = fleet.run(&boot);
    assert_eq!(first.stdout, format!("lower\nx\n{host}\n{host}\n"));
    assert_eq!(fleet.run(&boot).stdout, format!("lower\nx\ny\nagain\n{host}\n{host}\n"));
    boot.run.args[2] = "stat -c '%a %u:%g' /data /srv/v; ls -A /srv".into();
    assert_eq!(fleet.run(&boot).stdout, "710 5:6\n755 0:0\na\nn\nv\n");
    assert!(container_folder(&fleet.root(), &boot.id).join("volumes/v0/x").is_file());
    // What the mounts needed is not among what was written.
    let upper = container_folder(&fleet.root(), &boot.id).join("upper");
    let names = |path: &str| {
        let mut names: Vec<_> = fs::read_dir(upper.join(path)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!((names(""), names("etc"), names("srv")), (vec!["etc".into(), "srv".into()], vec![], vec!["n".into()]));
    fleet.remove(&boot);
}

#[test]
fn what_cannot_be_started_says_why() {
    if !can_run() {
        return;
    }
    let fleet = Fleet::new();
    let mut boot = fleet.create("a", "true");
    boot.run.args = vec!["/no/such/program".into()];
    let not_started = |boot: &Boot| match fleet.sandbox.start(boot, true).unwrap().outcome {
        Outcome::NotStarted { code, why } => (code, why),
        other => panic!("{other:?}"),
    };
    let (code, why) = not_started(&boot);
    assert!(code == 127 && why.contains("/no/such/program"), "{why}");
    let state = fleet.state(&boot);
    assert_eq!((state.status, state.code, state.error, state.started), (RunStatus::Created, Some(127), Some(why), None));
    boot.run.user = "stranger".into();
    assert_eq!(not_started(&boot).0, 126);
    boot.run.user = String::new();
    boot.run.mounts = vec![mount("/x", MountKind::Bind { source: "/no/such/folder".into(), create: false })];
    let error = fleet.sandbox.start(&boot, true).unwrap_err().to_string();
    assert!(error.contains("/no/such/folder"), "{error}");
    boot.run.mounts = Vec::new();
    boot.remove = true;
    not_started(&boot);
    assert!(!container_folder(&fleet.root(), &boot.id).exists());
    assert!(fleet.sandbox.start(&boot, true).unwrap_err().to_string().contains("was not found"));
    assert_eq!(fleet.bench.left().len(), 0);
}

#[test]
fn mounts_are_the_hosts_and_the_root_may_be_readonly() {
    if !can_run() {
        return;
    }
    let fleet = Fleet::new();
    let host = fleet.bench.folder("host");
    fs::write(host.join("file"), "host\n").unwrap();
    let bind = |target: &str, path: &str, readonly| {
        let kind = MountKind::Bind { source: host.join(path), create: path == "new/folder" };
        Mount { readonly, ..mount(target, kind) }
    };
    let script = "cat /mnt/file /file; touch /mnt/x; touch /ro/x || touch /y || echo refused; touch /new/x /tmp/t /dev/shm/s /v/x; \
        echo more >> /etc/hosts || echo fixed; cat /etc/hostname";
    let mut boot = fleet.create("a", script);
    boot.run.network = Network::None;
    boot.readonly = true;
    boot.run.mounts = vec![
        bind("/mnt", "", false),
        bind("/file", "file", true),
        bind("/ro", "", true),
        bind("/new", "new/folder", false),
        mount("/tmp", MountKind::Tmpfs(0)),
        mount("/v", MountKind::Volume("0".into())),
    ];
    let done = fleet.run(&boot);
    assert_eq!((done.stdout, done.code), (format!("host\nhost\nrefused\nfixed\n{}\n", &boot.id[..12]), 0), "{}", done.stderr);
    assert!(host.join("x").is_file() && host.join("new/folder/x").is_file());
    (boot.readonly, boot.run.args[2]) = (false, "echo more >> /etc/hosts; cat /etc/hosts; touch /srv/x".into());
    let done = fleet.run(&boot);
    assert!(done.stdout.starts_with("127.0.0.1\tlocalhost\n") && done.stdout.ends_with("\nmore\n"), "{done:?}");
}

#[test]
fn with_rm_nothing_stays() {
    if !can_run() {
        return;
    }
    let fleet = Fleet::new();
    let mut boot = fleet.create("a", "mkdir -m 0 /closed; echo x > /srv/x; exit 2");
    boot.remove = true;
    boot.run.mounts = vec![mount("/v", MountKind::Volume("0".into()))];
    assert_eq!(fleet.run(&boot).code, 2);
    assert!(!container_folder(&fleet.root(), &boot.id).exists());
    assert_eq!(fleet.bench.left().len(), 0);
}
