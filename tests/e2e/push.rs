//! `nacre push`, to Debian's docker-registry and to `nacre serve`; skopeo says what is there afterwards.

use nacre_oci::{Digest, Memory};
use nacre_tests::{
    images::{self, Recipe},
    peers::{Options, Registry, available},
    sandbox::Sandbox,
};

use crate::{
    proxy::Proxy,
    support::{place, place_multi_platform, skopeo_digest, whole},
};

#[test]
fn a_whole_index_arrives_as_it_is() {
    let (target, sandbox) = (Sandbox::new(), Sandbox::new());
    let server = target.serve();
    let name = server.name("team/busybox:1");
    let digest = place_multi_platform(&sandbox, &name);
    let pushed = sandbox.nacre(["push", &name]).ok();
    let size = pushed.stdout.rsplit(' ').next().unwrap().to_owned();
    assert_eq!(pushed.stdout, format!("1: digest: {digest} size: {size}"));
    assert!(pushed.stderr.contains(": Pushed\n"), "{}", pushed.stderr);
    let again = sandbox.nacre(["push", &name]).ok();
    assert!(again.stderr.contains("Layer already exists") && !again.stderr.contains(": Pushed"), "{}", again.stderr);
    let quiet = sandbox.nacre(["push", "-q", &name]).ok();
    assert_eq!((quiet.stdout, quiet.stderr), (format!("{name}\n"), String::new()));
    if available("skopeo") {
        assert_eq!(skopeo_digest(&sandbox, &format!("docker://{name}")), digest);
    }
    whole(&target);
    whole(&sandbox);
}

#[test]
fn debians_registry_takes_it_in_every_way() {
    let Some(registry) = Registry::start(&Options::default()) else { return };
    if !available("skopeo") {
        return;
    }
    let (sandbox, name) = (Sandbox::new(), format!("{}/team/busybox", registry.address()));
    let digest = place_multi_platform(&sandbox, &format!("{name}:1"));
    let memory = Memory::new();
    let docker = images::image(&memory, &Recipe { docker: true, ..Recipe::default() });
    place(&sandbox, &memory, &docker, &format!("{name}:2"));
    let pushed = sandbox.nacre(["push", "-q", "-a", &name]).ok();
    assert_eq!(pushed.stdout, format!("{name}:1\n{name}:2\n"));
    let there = |tag: &str| skopeo_digest(&sandbox, &format!("docker://{name}:{tag}"));
    assert_eq!((there("1"), there("2")), (digest, docker.digest));
    let refused = sandbox.nacre(["push", "-a", &format!("{name}:1")]).fails(1);
    assert_eq!(refused.stderr, "nacre: a tag can't be used with --all-tags/-a\n");
    whole(&sandbox);
}

#[test]
fn an_index_with_holes_goes_as_its_image_with_a_note() {
    let (origin, target, sandbox) = (Sandbox::new(), Sandbox::new(), Sandbox::new());
    let (from, to) = (origin.serve(), target.serve());
    let index = place_multi_platform(&origin, "busybox:1");
    let (source, name) = (from.name("busybox:1"), to.name("busybox:1"));
    sandbox.nacre(["pull", "-q", "--platform", "linux/amd64", &source]).ok();
    sandbox.nacre(["tag", &source, &name]).ok();
    let pushed = sandbox.nacre(["push", "--platform", "linux/amd64", &name]).ok();
    assert!(!pushed.stdout.contains(&index.to_string()), "{}", pushed.stdout);
    assert!(!pushed.stderr.contains("nacre: "), "{}", pushed.stderr);
    let noted = sandbox.nacre(["push", &name]).ok();
    assert_eq!(noted.stdout, pushed.stdout);
    assert!(noted.stderr.contains("only a part of the index is here: pushing its image for linux/amd64 alone"), "{}", noted.stderr);
    let whole_one = sandbox.nacre(["push", "--all-platforms", &name]).fails(1);
    assert!(whole_one.stderr.contains("pull it with --all-platforms first"), "{}", whole_one.stderr);
    let missing = sandbox.nacre(["push", "--platform", "linux/arm64", &name]).fails(1);
    assert!(missing.stderr.contains("linux/arm64") && missing.stderr.contains("pull"), "{}", missing.stderr);
    let back = Sandbox::new();
    back.nacre(["pull", &name]).ok();
    for place in [&back, &target, &sandbox] {
        whole(place);
    }
}

#[test]
fn what_is_not_here_is_named() {
    let sandbox = Sandbox::new();
    let failed = sandbox.nacre(["push", "127.0.0.1:1/no/such:1"]).fails(1);
    assert!(failed.stderr.contains("127.0.0.1:1/no/such:1") && failed.stderr.lines().count() == 1, "{}", failed.stderr);
    let none = sandbox.nacre(["push", "-a", "127.0.0.1:1/no/such"]).fails(1);
    assert_eq!(none.stderr, "nacre: no image of 127.0.0.1:1/no/such is here\n");
    let digest = sandbox.nacre(["push", &format!("127.0.0.1:1/a@{}", Digest::of(b"x"))]).fails(1);
    assert!(digest.stderr.contains("digest"), "{}", digest.stderr);
}

#[test]
fn a_layer_that_the_registry_has_elsewhere_is_mounted() {
    let Some(registry) = Registry::start(&Options::default()) else { return };
    let (sandbox, fresh) = (Sandbox::new(), Sandbox::new());
    let (one, two) = (format!("{}/one:1", registry.address()), format!("{}/two:1", registry.address()));
    let (memory, layers) = (Memory::new(), vec![images::layer("large", &images::noise(1 << 20, 3))]);
    place(&sandbox, &memory, &images::image(&memory, &Recipe { layers, ..Recipe::default() }), &one);
    sandbox.nacre(["push", &one]).ok();
    fresh.nacre(["pull", "-q", &one]).ok();
    fresh.nacre(["tag", &one, &two]).ok();
    let pushed = fresh.nacre(["push", &two]).ok();
    assert!(pushed.stderr.contains("Mounted from another repository"), "{}", pushed.stderr);
    whole(&fresh);
}

#[test]
fn a_read_only_registry_says_so_and_a_gone_one_too() {
    let target = Sandbox::new();
    let server = target.serve_with(["--read-only"]);
    let (sandbox, name) = (Sandbox::new(), server.name("busybox:1"));
    place_multi_platform(&sandbox, &name);
    let refused = sandbox.nacre(["push", "-q", &name]).fails(1);
    assert!(refused.stderr.contains("read-only") && refused.stderr.lines().count() == 1, "{}", refused.stderr);
    let gone = "127.0.0.1:1/busybox:1";
    sandbox.nacre(["tag", &name, gone]).ok();
    let failed = sandbox.nacre(["push", "-q", gone]).fails(1);
    assert!(failed.stderr.contains("refused") && failed.stderr.lines().count() == 1, "{}", failed.stderr);
    whole(&sandbox);
    whole(&target);
}

#[test]
fn a_connection_that_breaks_in_the_middle_of_a_layer_is_made_again() {
    const LAYER: u64 = 8 << 20;
    let target = Sandbox::new();
    let (server, registry) = (target.serve(), Registry::start(&Options::default()));
    for address in [Some(server.address().to_owned()), registry.as_ref().map(Registry::address)].into_iter().flatten() {
        let proxy = Proxy::start(&address, u64::MAX);
        let (sandbox, memory, name) = (Sandbox::new(), Memory::new(), proxy.name("large:1"));
        let layers = vec![images::layer("large", &images::noise(LAYER as usize, 9))];
        place(&sandbox, &memory, &images::image(&memory, &Recipe { layers, ..Recipe::default() }), &name);
        proxy.cut_asking_at(LAYER * 3 / 4);
        let pushed = sandbox.nacre(["push", &name]).ok();
        assert!(pushed.stderr.contains(": Pushed\n"), "{}", pushed.stderr);
        assert!(proxy.asked() < LAYER * 2, "{} bytes were sent for {LAYER}", proxy.asked());
        Sandbox::new().nacre(["pull", "-q", &format!("{address}/large:1")]).ok();
    }
    whole(&target);
}

#[test]
fn an_attestation_that_was_not_fetched_is_no_obstacle() {
    let (origin, target, sandbox) = (Sandbox::new(), Sandbox::new(), Sandbox::new());
    let (from, to, memory) = (origin.serve(), target.serve(), Memory::new());
    let image = images::image(&memory, &Recipe::default());
    // As BuildKit makes them.
    let mut attestation = images::image(&memory, &Recipe { platform: "unknown/unknown", labels: &[("a", "b")], ..Recipe::default() });
    attestation.annotations.insert("vnd.docker.reference.type".into(), "attestation-manifest".into());
    attestation.annotations.insert("vnd.docker.reference.digest".into(), image.digest.to_string());
    let index = images::index(&memory, &[image.clone(), attestation]);
    place(&origin, &memory, &index, "built:1");
    let (source, name) = (from.name("built:1"), to.name("built:1"));
    sandbox.nacre(["pull", "-q", "--platform", "linux/amd64", &source]).ok();
    sandbox.nacre(["tag", &source, &name]).ok();
    let pushed = sandbox.nacre(["push", &name]).ok();
    assert!(
        pushed.stdout.contains(&image.digest.to_string()) && pushed.stderr.contains("only a part of the index is here"),
        "{}",
        pushed.stderr
    );
    sandbox.nacre(["pull", "-q", "--all-platforms", &source]).ok();
    assert!(sandbox.nacre(["push", &name]).ok().stdout.contains(&index.digest.to_string()));
    for place in [&sandbox, &target] {
        whole(place);
    }
}
