//! `nacre serve`: starting, stopping, and a store that others use at the same time.

use std::{
    net::TcpListener,
    process::{Command, Stdio},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use nacre_tests::sandbox::Sandbox;

use crate::support::{place_multi_platform, store, whole};

#[test]
fn says_where_it_is_and_each_request() {
    let sandbox = Sandbox::new();
    place_multi_platform(&sandbox, "busybox:1");
    let (server, quiet) = (sandbox.serve(), sandbox.serve_with(["--quiet"]));
    let expected = format!("nacre: serving {} on http://{}\n", sandbox.root().display(), server.address());
    assert_eq!(server.log(), expected);
    for server in [&server, &quiet] {
        Sandbox::new().nacre(["pull", "-q", &server.name("busybox:1")]).ok();
    }
    assert!(
        server.log().contains("/v2/library/busybox/manifests/1") || server.log().contains("/v2/busybox/manifests/1"),
        "{}",
        server.log()
    );
    assert_eq!(quiet.log().lines().count(), 1);
}

#[test]
fn a_signal_ends_it_in_good_order() {
    for signal in ["-TERM", "-INT"] {
        let sandbox = Sandbox::new();
        let server = sandbox.serve();
        let pid = server.pid();
        Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
        let (stat, end) = (format!("/proc/{pid}/stat"), Instant::now() + Duration::from_secs(10));
        // It stays as a zombie until its `Server` is dropped.
        while !std::fs::read_to_string(&stat).unwrap().contains(") Z ") {
            assert!(Instant::now() < end, "{signal} did not end it");
            sleep(Duration::from_millis(10));
        }
        whole(&sandbox);
    }
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let sandbox = Sandbox::new();
    let failed = sandbox.nacre(["serve", "--addr", &address]).fails(1);
    assert!(failed.stderr.contains(&address) && failed.stderr.lines().count() == 1, "{}", failed.stderr);
    let bad = sandbox.nacre(["serve", "--addr", "nonsense"]).fails(1);
    assert!(bad.stderr.contains("nonsense"), "{}", bad.stderr);
}

#[test]
fn the_store_can_be_used_and_pruned_meanwhile() {
    let sandbox = Sandbox::new();
    let server = sandbox.serve();
    let origin = Sandbox::new();
    let digest = place_multi_platform(&origin, &server.name("busybox:1"));
    thread::scope(|scope| {
        for number in 0..4 {
            let (origin, server, sandbox) = (&origin, &server, &sandbox);
            scope.spawn(move || {
                let name = server.name(&format!("busybox:{number}"));
                if number != 1 {
                    origin.nacre(["tag", &server.name("busybox:1"), &name]).ok();
                }
                origin.nacre(["push", "-q", &name]).ok();
                sandbox.nacre(["image", "prune", "-f"]).ok();
                Sandbox::new().nacre(["pull", "-q", &name]).ok();
            });
        }
    });
    let tags = store(&sandbox).tags("docker.io/library/busybox").unwrap();
    assert_eq!(tags, ["0", "1", "2", "3"]);
    assert_eq!(store(&sandbox).find("busybox:3").unwrap().image.id, digest);
    whole(&sandbox);
}

#[test]
fn a_killed_push_leaves_a_store_that_works() {
    let (sandbox, origin) = (Sandbox::new(), Sandbox::new());
    let server = sandbox.serve();
    let name = server.name("busybox:1");
    place_multi_platform(&origin, &name);
    for pause in [0, 5, 20, 60] {
        let mut push = origin.command(["push", "-q", &name]);
        let mut push = push.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_millis(pause));
        push.kill().unwrap();
        push.wait().unwrap();
        whole(&sandbox);
    }
    origin.nacre(["push", "-q", &name]).ok();
    Sandbox::new().nacre(["pull", "-q", "--all-platforms", &name]).ok();
    whole(&sandbox);
}
