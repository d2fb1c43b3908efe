//! Pulls that break: killed, interrupted, cut, damaged, and several at once.

use std::{
    fs,
    process::{Command, Stdio},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use nacre_oci::Memory;
use nacre_tests::{
    images::{self, Recipe},
    peers::{Options, Registry},
    sandbox::{Sandbox, Server},
};

use crate::{
    proxy::Proxy,
    support::{place, place_multi_platform, store, whole},
};

/// An image with a layer of this many bytes.
fn large(bytes: usize) -> (Sandbox, Server) {
    let (origin, memory) = (Sandbox::new(), Memory::new());
    let layers = vec![images::layer("large", &images::noise(bytes, 7))];
    place(&origin, &memory, &images::image(&memory, &Recipe { layers, ..Recipe::default() }), "large:1");
    let server = origin.serve();
    (origin, server)
}

const LAYER: u64 = 16 << 20;

#[test]
fn a_killed_pull_from_nacre_serve_goes_on_where_it_was() {
    let (_origin, server) = large(LAYER as usize);
    goes_on(server.address());
}

#[test]
fn a_killed_pull_from_debians_registry_goes_on_where_it_was() {
    let Some(registry) = Registry::start(&Options::default()) else { return };
    let ((origin, _server), name) = (large(LAYER as usize), format!("{}/large:1", registry.address()));
    origin.nacre(["tag", "large:1", &name]).ok();
    origin.nacre(["push", "-q", &name]).ok();
    goes_on(&registry.address());
}

/// Kills a pull of `large:1` from this registry in the middle, and counts what the next one asks for.
fn goes_on(registry: &str) {
    let proxy = Proxy::start(registry, u64::MAX);
    let (sandbox, name) = (Sandbox::new(), proxy.name("large:1"));
    proxy.stall_at(LAYER * 3 / 4);
    let mut command = sandbox.command(["pull", "-q", &name]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while proxy.answered() < LAYER * 3 / 4 {
        assert_eq!(child.try_wait().unwrap(), None, "the pull ended by itself");
        sleep(Duration::from_millis(5));
    }
    sleep(Duration::from_millis(200));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(sandbox.nacre(["images", "-a", "-q"]).ok().stdout, "", "half an image is none");
    whole(&sandbox);

    proxy.stall_at(u64::MAX);
    let before = proxy.answered();
    sandbox.nacre(["pull", "-q", &name]).ok();
    let asked = proxy.answered() - before;
    assert!(asked < LAYER / 2, "the second pull asked for {asked} of {LAYER} bytes");
    whole(&sandbox);
    let left = fs::read_dir(sandbox.root().join("ingest")).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file()).count();
    assert_eq!(left, 0, "a partial download was left behind");
}

#[test]
fn a_registry_that_cuts_connections_is_read_to_the_end() {
    const LAYER: u64 = 4 << 20;
    let (_origin, server) = large(LAYER as usize);
    let proxy = Proxy::start(server.address(), LAYER / 3);
    let sandbox = Sandbox::new();
    let pulled = sandbox.nacre(["pull", &proxy.name("large:1")]).ok();
    assert!(pulled.stdout.contains("Downloaded newer image"), "{}", pulled.stdout);
    let answered = proxy.answered();
    assert!(answered < LAYER + LAYER / 2, "{answered} bytes were asked for, of {LAYER}");
    whole(&sandbox);
}

#[test]
fn an_interrupt_ends_a_pull_even_while_nothing_comes() {
    const LAYER: u64 = 4 << 20;
    let (_origin, server) = large(LAYER as usize);
    let proxy = Proxy::start(server.address(), u64::MAX);
    let sandbox = Sandbox::new();
    proxy.stall_at(LAYER / 2);
    let mut child = sandbox.command(["pull", "-q", &proxy.name("large:1")]).stderr(Stdio::piped()).spawn().unwrap();
    while proxy.answered() < LAYER / 2 {
        sleep(Duration::from_millis(5));
    }
    sleep(Duration::from_millis(100));
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < end, "it goes on");
        sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(1), "nacre: cancelled\n"));
    proxy.stall_at(u64::MAX);
    let before = proxy.answered();
    sandbox.nacre(["pull", "-q", &proxy.name("large:1")]).ok();
    assert!(proxy.answered() - before < LAYER * 3 / 4, "it began anew");
    whole(&sandbox);
}

#[test]
fn a_time_limit_ends_a_pull_and_the_next_goes_on() {
    const LAYER: u64 = 4 << 20;
    let (_origin, server) = large(LAYER as usize);
    let proxy = Proxy::start(server.address(), u64::MAX);
    let (sandbox, name) = (Sandbox::new(), proxy.name("large:1"));
    proxy.stall_at(LAYER / 2);
    let ended = sandbox.nacre(["pull", "-q", "--timeout", "2s", &name]).fails(1);
    let said = format!("nacre: pull of {name} did not end within 2s: what came is kept, so try again, or with a longer --timeout\n");
    assert_eq!(ended.stderr, said);
    proxy.stall_at(u64::MAX);
    let before = proxy.answered();
    sandbox.nacre(["pull", "-q", "--timeout", "1m", "--max-concurrent", "1", &name]).ok();
    assert!(proxy.answered() - before < LAYER * 3 / 4, "it began anew");
    whole(&sandbox);
    for wrong in [["--timeout", "0"], ["--timeout", "soon"], ["--max-concurrent", "0"], ["--max-concurrent", "65"]] {
        sandbox.nacre(["pull"].into_iter().chain(wrong).chain([&*name])).fails(2);
    }
}

#[test]
fn after_a_silence_the_rest_is_asked_for_again() {
    const LAYER: u64 = 4 << 20;
    let (_origin, server) = large(LAYER as usize);
    let proxy = Proxy::start(server.address(), u64::MAX);
    let sandbox = Sandbox::new();
    fs::write(sandbox.config(), "registries.stall = '500ms'\n").unwrap();
    proxy.stall_at(LAYER / 2);
    let pulled = thread::scope(|scope| {
        scope.spawn(|| {
            sleep(Duration::from_millis(1500));
            proxy.stall_at(u64::MAX);
        });
        sandbox.nacre(["pull", &proxy.name("large:1")]).ok()
    });
    assert!(pulled.stderr.contains("; trying again in"), "{}", pulled.stderr);
    whole(&sandbox);
}

#[test]
fn many_pulls_of_one_image_at_once_all_succeed() {
    let (_origin, server) = large(4 << 20);
    let (sandbox, name) = (Sandbox::new(), server.name("large:1"));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| sandbox.nacre(["pull", "-q", &name]).ok());
        }
    });
    assert_eq!(store(&sandbox).images().unwrap().len(), 1);
    whole(&sandbox);
}

#[test]
fn damage_at_the_registry_is_found_and_not_kept() {
    let origin = Sandbox::new();
    let digest = place_multi_platform(&origin, "busybox:1");
    let server = origin.serve();
    let store_there = store(&origin);
    let image = store_there.image(&digest).unwrap().unwrap();
    let plan = nacre_oci::plan(&store_there, &image.descriptor, &nacre_oci::Select::All).unwrap();
    let layer = &plan.blobs[0].digest;
    let path = origin.root().join("blobs/sha256").join(layer.hex());
    let mut bytes = fs::read(&path).unwrap();
    bytes[1000] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    let sandbox = Sandbox::new();
    let refused = sandbox.nacre(["pull", "-q", &server.name("busybox:1")]).fails(1);
    assert!(refused.stderr.contains("damaged") && refused.stderr.contains(&layer.to_string()), "{}", refused.stderr);
    assert!(!sandbox.root().join("blobs/sha256").join(layer.hex()).exists());
    assert_eq!(sandbox.nacre(["images", "-a", "-q"]).ok().stdout, "");
    whole(&sandbox);
}
