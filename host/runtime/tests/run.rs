//! Programs in sandboxes, as root. Skipped without root, runc and a static busybox.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixListener,
    process::Command,
    thread,
};

use nacre_layer::Kind;
use nacre_runtime::{Cache, Limit, Mount, MountKind, Network, Secret, Sharing, TreeLayer};
use support::{Bench, can_run, file, folder, link, prepared};

fn mount(target: &str, kind: MountKind) -> Mount {
    Mount { target: target.into(), readonly: false, kind }
}

fn cache(id: &str) -> Cache {
    Cache { id: id.into(), sharing: Sharing::Shared, initial: None, mode: 0o755, uid: 0, gid: 0 }
}

#[test]
fn a_program_sees_its_own_world_only() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let mut run = bench.script(
        "id; env | sort; pwd; hostname; wc -c; ls /proc/self/fd | wc -l; ls /proc | grep -c '^[0-9]'; \
         grep -E '^(CapEff|CapBnd|CapInh|NoNewPrivs|Sig[BI]..):' /proc/self/status; ulimit -n; test -t 0 || test -t 1 || echo no terminal",
    );
    run.env.push(("A".into(), "x y".into()));
    run.limits = vec![Limit { name: "nofile".into(), soft: 77, hard: 99 }];
    // What nacre's caller had open is not open there.
    let output = prepared(&bench, "exec 9</etc", &bench.command("own", run.clone())).output().unwrap();
    let text = bench.ended("own", output).text();
    let expected = "uid=0(root) gid=0(root) groups=0(root)\nA=x y\nHOME=/root\nPATH=/bin\nPWD=/\nSHLVL=1\n/\nsandbox\n0\n4\n";
    assert!(text.starts_with(expected), "{text}");
    for line in
        ["CapEff:\t00000000a80425fb", "CapBnd:\t00000000a80425fb", "CapInh:\t0000000000000000", "NoNewPrivs:\t0", "77", "no terminal"]
    {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    run.user = "diver".into();
    run.cwd = "/made/here".into();
    let ended = bench.run("diver", &run);
    assert!(
        ended.text().starts_with("uid=1000(diver) gid=1000(diver) groups=33(web),1000(diver)\nA=x y\nHOME=/home/diver\n"),
        "{}",
        ended.text()
    );
    let made: Vec<_> =
        ended.layer.iter().filter(|entry| entry.path.starts_with(b"made")).map(|entry| (entry.uid, entry.gid, entry.mode)).collect();
    assert_eq!(made, [(1000, 1000, 0o755), (1000, 1000, 0o755)]);
}

#[test]
fn a_layer_has_what_was_changed_and_the_next_run_stands_on_it() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let first = bench.run(
        "first",
        &bench
            .script("echo new > /srv/b; rm /srv/a; mkdir -m 0750 /data; chown 5:6 /data; chmod 4755 /bin/busybox; mknod /data/null c 1 3"),
    );
    first.text();
    assert_eq!(first.paths(), ["bin", "bin/busybox", "data", "data/null", "srv", "srv/a", "srv/b"]);
    let of = |path: &str| first.layer.iter().find(|entry| entry.name() == path).unwrap();
    assert_eq!(of("srv/a").kind, Kind::Whiteout);
    assert_eq!((of("data").uid, of("data").gid, of("data").mode), (5, 6, 0o750));
    assert_eq!((of("data/null").kind, of("data/null").device), (Kind::CharDevice, Some((1, 3))));
    assert_eq!(of("bin/busybox").mode, 0o4755);
    // The tree of what was written is there already: nobody reads the layer again.
    let mut second = bench.script("cat /srv/b; ls /srv; stat -c '%a %u:%g' /data /bin/busybox");
    second.layers.push(TreeLayer { blob: "/no/such/blob".into(), ..first.tree });
    let second = bench.run("second", &second);
    assert_eq!(second.text(), "new\nb\n750 5:6\n4755 0:0\n");
    assert!(second.layer.is_empty(), "{:?}", second.layer);
    assert_eq!(bench.left(), [""; 0].map(std::path::PathBuf::from));
}

#[test]
fn mount_points_leave_nothing_behind() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let mut run =
        bench.script("cat /etc/hosts > /dev/null; cat /file/for/word; echo kept > /half/kept; rm -r /half/way; ls -d /made/for/mount");
    run.cwd = "/home".into();
    let secret = Secret { content: b"word".to_vec(), mode: 0o400, uid: 0, gid: 0 };
    run.mounts = vec![
        mount("/made/for/mount", MountKind::Tmpfs(0)),
        mount("/half/point", MountKind::Tmpfs(0)),
        mount("/half/way/x", MountKind::Secret(secret.clone())),
        mount("diver/ctx", MountKind::Cache(cache("c"))),
        mount("/file/for/word", MountKind::Secret(secret)),
    ];
    let ended = bench.run("job", &run);
    assert_eq!(String::from_utf8_lossy(&ended.output.stdout), "word/made/for/mount\n");
    // What a program puts beside a mount point stays, with the folder around it.
    assert_eq!(ended.paths(), ["half", "half/kept"]);
}

#[test]
fn mounts_are_what_they_say() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let tree = bench.layer(
        "tree.tar",
        &[folder("sub"), file("sub/b", b"b\n"), file("a", b"a\n"), link("out", "../../../../etc"), link("there", "/sub/b")],
    );
    let tree = |source: &str| MountKind::Tree { layers: vec![tree.clone()], source: source.into() };
    let mut run = bench.script(
        "cat /t/a /sub/b /one; echo changed > /t/a; cat /t/a; touch /sub/x 2>/dev/null || echo refused; ls /t; \
         stat -c '%a %u:%g' /run/s /cache; cat /run/s; stat -c %a /srv; dd if=/dev/zero of=/srv/big bs=4096 count=30 2>/dev/null; wc -c < /srv/big",
    );
    run.mounts = vec![
        mount("/t", tree("")),
        Mount { readonly: true, ..mount("/sub", tree("/sub")) },
        mount("/one", tree("there")),
        mount("/srv", MountKind::Tmpfs(65536)),
        mount("/run/s", MountKind::Secret(Secret { content: b"s3cret\n".to_vec(), mode: 0o440, uid: 3, gid: 4 })),
        mount("/cache", MountKind::Cache(Cache { mode: 0o711, uid: 1, gid: 2, ..cache("../../x") })),
    ];
    let text = bench.run("job", &run).text();
    assert_eq!(text, "a\nb\nb\nchanged\nrefused\na\nout\nsub\nthere\n440 3:4\n711 1:2\ns3cret\n755\n65536\n");
    // What was written to a tree is gone.
    run.args[2] = "cat /t/a".into();
    assert_eq!(bench.run("again", &run).text(), "a\n");
    run.mounts = vec![mount("/x", tree("out"))];
    let error = bench.run("out", &run).report["error"].to_string();
    assert!(error.contains("/x") && error.contains("find out"), "{error}");
}

#[test]
fn caches_last_and_begin_as_copies() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let mut begin = folder("begin");
    (begin.0.uid, begin.0.mode) = (9, 0o700);
    let layer = bench.layer("tree.tar", &[begin, file("begin/b", b"b\n")]);
    let mut run = bench.script("cat /c/b; echo more >> /c/b; stat -c %u /c");
    run.mounts = vec![mount("/c", MountKind::Cache(Cache { initial: Some((vec![layer], "begin".into())), ..cache("c") }))];
    assert_eq!(bench.run("one", &run).text(), "b\n0\n");
    assert_eq!(bench.run("two", &run).text(), "b\nmore\n0\n");
    run.mounts[0].readonly = true;
    run.args[2] = "touch /c/x 2> /dev/null || echo refused".into();
    assert_eq!(bench.run("three", &run).text(), "refused\n");
    let locked = Cache { sharing: Sharing::Locked, ..cache("another") };
    run.mounts = vec![mount("/c", MountKind::Cache(locked.clone())), mount("/d", MountKind::Cache(locked))];
    run.args[2] = "ls /c; touch /c/both; ls /d".into();
    assert_eq!(bench.run("four", &run).text(), "both\n");
    run.mounts = vec![mount("..", MountKind::Tmpfs(0))];
    assert!(bench.run("five", &run).report["error"].to_string().contains("whole root filesystem"));
    assert_eq!(bench.left().len(), 0);
}

#[test]
fn a_socket_leads_to_the_hosts() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let host = bench.path().join("agent");
    let listener = UnixListener::bind(&host).unwrap();
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client.write_all(b"from the host\n").unwrap();
    });
    let mut run = bench.script("stat -c '%F %a %u' /run/agent.0; nc local:/run/agent.0 < /dev/null");
    run.mounts = vec![mount("/run/agent.0", MountKind::Socket { path: host, mode: 0o600, uid: 7, gid: 7 })];
    let text = bench.run("job", &run);
    assert!(String::from_utf8_lossy(&text.output.stdout).starts_with("socket 600 7\n"), "{text:?}", text = text.output);
    if text.report["code"] == 0 {
        assert_eq!(text.text(), "socket 600 7\nfrom the host\n");
        server.join().unwrap();
    }
}

#[test]
fn programs_end_as_they_end() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let code = |name: &str, script: &str| bench.run(name, &bench.script(script)).report["code"].clone();
    assert_eq!(code("three", "exit 3"), 3);
    assert_eq!(code("missing", "nothing-of-that-name"), 127);
    assert_eq!(code("killed", "sh -c 'kill -9 $$'; exit $?"), 137);
    assert_eq!(code("itself", "kill -9 $$; exit 7"), 7);
    let mut run = bench.script("true");
    run.args = vec!["/no/such/program".into(), "x".into()];
    let report = bench.run("none", &run).report;
    assert_eq!(report["code"], 127);
    assert!(report["not_started"].as_str().unwrap().contains("/no/such/program"), "{report}");
    assert_eq!(report["diff_id"], serde_json::Value::Null);
    run.user = "stranger".into();
    assert_eq!(bench.run("stranger", &run).report["not_started"], "unable to find user stranger: no matching entries in passwd file");
    // Nothing of nacre's own is open there (CVE-2024-21626).
    let mut run = bench.script("pwd; ls");
    for number in 3..12 {
        run.cwd = format!("/proc/self/fd/{number}");
        let ended = bench.run(&format!("fd{number}"), &run);
        assert_ne!(ended.report["code"], 0, "{:?}", ended.output);
    }
    assert_eq!(bench.left().len(), 0);
}

#[test]
fn all_that_is_printed_arrives_in_order() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let ended = bench.run("job", &bench.script("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; echo error >&2"));
    let text = ended.text();
    let expected: String = (0..20_000).map(|number| format!("line {number}\n")).collect();
    assert!(text == expected, "{} bytes", text.len());
    assert_eq!(ended.output.stderr, b"error\n");
}

#[test]
fn no_network_is_only_a_loopback_device() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let mut run = bench.script("ls /sys/class/net; ip -o link show up | wc -l");
    run.network = Network::None;
    let text = bench.run("none", &run).text();
    assert!(text.lines().all(|line| line != "eth0") && text.ends_with("\n1\n"), "{text}");
    run.network = Network::Host;
    run.args[2] = "readlink /proc/self/ns/net; cat /etc/hosts".into();
    run.hosts = vec![("db".into(), "10.0.0.7".into())];
    let host = fs::read_link("/proc/self/ns/net").unwrap();
    let text = bench.run("host", &run).text();
    assert!(text.starts_with(&format!("{}\n", host.display())) && text.ends_with("10.0.0.7\tdb\n"), "{text}");
}

#[test]
fn a_kill_leaves_nothing_and_the_next_run_works() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    bench.run("before", &bench.script("true")).text();
    let mut run = bench.script("echo begun; sleep 1000071");
    run.env.push(("TOKEN".into(), "s3cret".into()));
    let secret = Secret { content: b"s3cret".to_vec(), mode: 0o400, uid: 0, gid: 0 };
    run.mounts = vec![mount("/c", MountKind::Cache(cache("c"))), mount("/run/s", MountKind::Secret(secret))];
    let mut child = bench.spawn("killed", &run);
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    child.kill().unwrap();
    child.wait().unwrap();
    support::wait_for_end_of("1000071");
    let root = bench.path().to_str().unwrap().to_owned();
    assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains(&root));
    let left = bench.left();
    assert_eq!(left.len(), 1);
    let grep = Command::new("grep").args(["-r", "s3cret"]).arg(bench.path().join("root")).output().unwrap();
    assert!(grep.stdout.is_empty(), "{}", String::from_utf8_lossy(&grep.stdout));
    bench.run("after", &bench.script("true")).text();
    assert_eq!(bench.left().len(), 0);
    let id = left[0].file_name().unwrap();
    let groups = Command::new("find").args(["/sys/fs/cgroup", "-maxdepth", "6", "-name"]).arg(id).output().unwrap();
    assert!(groups.stdout.is_empty(), "{}", String::from_utf8_lossy(&groups.stdout));
}

#[test]
fn a_run_can_be_cancelled() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let child = bench.spawn("job", &bench.script("sleep 1000"));
    fs::write(bench.path().join("job/cancel"), "").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(bench.ended("job", output).report["error"], "cancelled");
    assert_eq!(bench.left().len(), 0);
    bench.run("after", &bench.script("true")).text();
    assert_eq!(bench.left().len(), 0);
}

#[test]
fn what_a_run_uses_is_not_reclaimed() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let mut run = bench.script("echo begun; until test -e /c/go; do sleep 0.05; done; cat /srv/a");
    run.mounts = vec![mount("/c", MountKind::Cache(cache("c")))];
    let mut child = bench.spawn("running", &run);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    let kept = bench.reclaim("reclaim");
    assert!(kept["trees"] == 0 && kept["caches"] == 0 && kept["in_use"].as_u64().unwrap() > 1_000_000, "{kept}");
    run.args[2] = "touch /c/go".into();
    bench.run("go", &run).text();
    let mut text = String::new();
    stdout.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(text, "lower\n");
    let kept = bench.reclaim("after");
    assert!(kept["trees"].as_u64().unwrap() > 1_000_000 && kept["caches"].as_u64().unwrap() > 0, "{kept}");
    bench.run("anew", &bench.script("true")).text();
}

#[test]
fn runs_at_once_make_one_tree() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    // Who ends early must not be in the way of who begins late.
    thread::scope(|scope| {
        for number in 0..4 {
            let bench = &bench;
            scope.spawn(move || {
                for round in 0..5 {
                    let script = format!("echo {number} > /srv/mine; cat /srv/a");
                    assert_eq!(bench.run(&format!("job{number}-{round}"), &bench.script(&script)).text(), "lower\n");
                }
            });
        }
    });
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let trees = fs::read_dir(bench.path().join("root/trees/root/layers").join(boot.trim())).unwrap();
    // The base's, and those of the layers that the runs made, each at a time of its own.
    assert_eq!(trees.count(), 1 + 20);
    assert_eq!(bench.left().len(), 0);
}

#[test]
fn three_hundred_layers_are_mounted() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let mut run = bench.script("ls /many | wc -l; cat /many/x299; ls /srv");
    run.layers.push(bench.layer("gone.tar", &[folder("srv"), (nacre_layer::Entry::new("srv/a", Kind::Whiteout), b"")]));
    for number in 0..300 {
        let name = format!("many/x{number}");
        run.layers.push(bench.layer(&format!("{number}.tar"), &[folder("many"), file(&name, name.as_bytes())]));
    }
    assert_eq!(bench.run("job", &run).text(), "300\nmany/x299");
}

#[test]
fn a_damaged_layer_is_refused() {
    if !can_run() {
        return;
    }
    let bench = Bench::new();
    let mut run = bench.script("true");
    run.layers.push(TreeLayer { diff_id: nacre_oci::Digest::of(b"another"), ..bench.layer("x.tar", &[file("x", b"x")]) });
    let error = bench.run("job", &run).report["error"].to_string();
    assert!(error.contains("is damaged"), "{error}");
    run.layers.pop();
    bench.run("after", &run).text();
    assert_eq!(bench.left().len(), 0);
}
