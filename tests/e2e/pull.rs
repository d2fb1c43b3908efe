//! `nacre pull`, from Debian's docker-registry and from `nacre serve`.

use std::{fs, path::Path};

use nacre_oci::{Digest, Memory};
use nacre_tests::{
    images::{self, Recipe},
    peers::{Options, Registry},
    sandbox::{Sandbox, Server},
};

use crate::{
    proxy::Proxy,
    support::{place, place_multi_platform, store, whole},
};

/// A server with `busybox:1` for two platforms.
fn serving() -> (Sandbox, Server, Digest) {
    let origin = Sandbox::new();
    let digest = place_multi_platform(&origin, "busybox:1");
    let server = origin.serve();
    (origin, server, digest)
}

#[test]
fn by_tag_says_what_docker_says() {
    let (_origin, server, digest) = serving();
    let (sandbox, name) = (Sandbox::new(), server.name("busybox:1"));
    let pulled = sandbox.nacre(["pull", &name]).ok();
    assert_eq!(pulled.stdout, format!("Digest: {digest}\nStatus: Downloaded newer image for {name}\n{name}\n"));
    assert!(pulled.stderr.contains("Pull complete"), "{}", pulled.stderr);
    let again = sandbox.nacre(["pull", &name]).ok();
    assert_eq!(again.stdout, format!("Digest: {digest}\nStatus: Image is up to date for {name}\n{name}\n"));
    assert_eq!(sandbox.nacre(["pull", "-q", &name]).ok().stdout, format!("{name}\n"));
    whole(&sandbox);
}

#[test]
fn quiet_says_the_name_alone() {
    let (_origin, server, _) = serving();
    let (sandbox, name) = (Sandbox::new(), server.name("busybox:1"));
    let pulled = sandbox.nacre(["pull", "--quiet", &name]).ok();
    assert_eq!((pulled.stdout, pulled.stderr), (format!("{name}\n"), String::new()));
}

#[test]
fn by_digest_makes_no_tag() {
    let (_origin, server, digest) = serving();
    let name = server.name("busybox");
    for given in [format!("{name}@{digest}"), format!("{name}:1@{digest}"), format!("{name}:other@{digest}")] {
        let sandbox = Sandbox::new();
        let pulled = sandbox.nacre(["pull", "-q", &given]).ok();
        assert_eq!(pulled.stdout, format!("{given}\n"));
        let images = sandbox.nacre(["images", "-a", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}"]).ok();
        assert_eq!(images.stdout, format!("{name} <none> {digest}\n"));
        sandbox.nacre(["inspect", &given]).ok();
        whole(&sandbox);
    }
    let wrong = Sandbox::new().nacre(["pull", &format!("{name}@{}", Digest::of(b"nothing"))]).fails(1);
    assert!(wrong.stderr.contains("was not found"), "{}", wrong.stderr);
}

#[test]
fn all_tags_come_with_all_their_names() {
    let (origin, server, _) = serving();
    let memory = Memory::new();
    let other = images::image(&memory, &Recipe::default());
    place(&origin, &memory, &other, "busybox:2");
    let (sandbox, name) = (Sandbox::new(), server.name("busybox"));
    let pulled = sandbox.nacre(["pull", "-a", "-q", &name]).ok();
    assert_eq!(pulled.stdout, format!("{name}:1\n{name}:2\n"));
    assert_eq!(store(&sandbox).tags(&name).unwrap(), ["1", "2"]);
    let refused = sandbox.nacre(["pull", "-a", &format!("{name}:1")]).fails(1);
    assert_eq!(refused.stderr, "nacre: a tag or digest can't be used with --all-tags/-a\n");
    whole(&sandbox);
}

#[test]
fn platforms_come_as_asked_for() {
    let (_origin, server, digest) = serving();
    let name = server.name("busybox:1");
    let present = |arguments: &[&str]| {
        let sandbox = Sandbox::new();
        sandbox.nacre([&["pull", "-q"], arguments, &[&name]].concat()).ok();
        whole(&sandbox);
        let image = store(&sandbox).find(&name).unwrap().image;
        assert_eq!(image.id, digest, "the index is kept, whatever was fetched of it");
        image.platforms.iter().filter(|(_, present)| *present).map(|(platform, _)| platform.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(present(&["--platform", "linux/arm64"]), ["linux/arm64"]);
    assert_eq!(present(&["--platform", "linux/amd64,linux/arm64"]).len(), 2);
    assert_eq!(present(&["--all-platforms"]).len(), 2);
    assert_eq!(present(&[]).len(), 1);
}

#[test]
fn a_platform_that_is_not_there_is_refused_with_those_that_are() {
    let (_origin, server, _) = serving();
    let (sandbox, name) = (Sandbox::new(), server.name("busybox:1"));
    let refused = sandbox.nacre(["pull", "--platform", "linux/s390x", &name]).fails(1);
    assert!(
        refused.stderr.contains("no manifest for linux/s390x") && refused.stderr.contains("linux/amd64, linux/arm64"),
        "{}",
        refused.stderr
    );
    assert_eq!(sandbox.nacre(["images", "-a", "-q"]).ok().stdout, "");
    let bad = sandbox.nacre(["pull", "--platform", "linux/", &name]).fails(2);
    assert!(bad.stderr.contains("OS/ARCHITECTURE"), "{}", bad.stderr);
}

#[test]
fn an_image_for_another_machine_comes_with_a_warning() {
    let origin = Sandbox::new();
    let memory = Memory::new();
    place(&origin, &memory, &images::image(&memory, &Recipe { platform: "linux/s390x", ..Recipe::default() }), "big:1");
    let server = origin.serve();
    let pulled = Sandbox::new().nacre(["pull", "-q", &server.name("big:1")]).ok();
    assert!(pulled.stderr.contains("linux/s390x") && pulled.stderr.starts_with("nacre: "), "{}", pulled.stderr);
}

#[test]
fn what_is_not_there_is_named_on_one_line() {
    let (_origin, server, _) = serving();
    for name in [server.name("busybox:no"), server.name("no/such")] {
        let failed = Sandbox::new().nacre(["pull", &name]).fails(1);
        assert!(failed.stderr.contains("was not found") && failed.stderr.lines().count() == 1, "{}", failed.stderr);
        assert_eq!(failed.stdout, "");
    }
    let gone = Sandbox::new().nacre(["pull", "127.0.0.1:1/busybox"]).fails(1);
    assert!(gone.stderr.contains("127.0.0.1:1") && gone.stderr.contains("refused"), "{}", gone.stderr);
    let bad = Sandbox::new().nacre(["pull", "Busy box"]).fails(1);
    assert!(bad.stderr.contains("invalid reference"), "{}", bad.stderr);
    Sandbox::new().nacre(["pull"]).fails(2);
}

#[test]
fn a_tag_that_moved_leaves_the_old_image_dangling() {
    let (origin, server, digest) = serving();
    let (sandbox, name) = (Sandbox::new(), server.name("busybox:1"));
    sandbox.nacre(["pull", &name]).ok();
    let memory = Memory::new();
    place(&origin, &memory, &images::image(&memory, &Recipe::default()), "busybox:1");
    let pulled = sandbox.nacre(["pull", &name]).ok();
    assert!(pulled.stdout.contains("Downloaded newer image"), "{}", pulled.stdout);
    assert!(store(&sandbox).image(&digest).unwrap().unwrap().is_dangling());
    whole(&sandbox);
}

#[test]
fn progress_is_what_was_asked_for_and_never_on_stdout() {
    let (_origin, server, _) = serving();
    let name = server.name("busybox:1");
    let pull = |mode: &str| {
        let pulled = Sandbox::new().nacre(["pull", "--progress", mode, &name]).ok();
        assert_eq!(pulled.lines().len(), 3, "{mode}: {}", pulled.stdout);
        pulled.stderr
    };
    assert!(pull("plain").contains(": Pull complete\n"));
    assert_eq!(pull("quiet"), "");
    let json = pull("json");
    let events: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().any(|event| event["event"] == "end" && event["outcome"] == "copied"), "{json}");
    Sandbox::new().nacre(["pull", "--progress", "no", &name]).fails(2);
}

/// Trusts an authority for a host, as Docker and containers do by `certs.d`.
fn trust(sandbox: &Sandbox, folder: &str, host: &str, authority: &Path) {
    let folder = sandbox.path("home").join(folder).join(host);
    fs::create_dir_all(&folder).unwrap();
    fs::copy(authority, folder.join("ca.crt")).unwrap();
}

#[test]
fn debians_registry_has_it_as_it_was() {
    let Some(registry) = Registry::start(&Options::default()) else { return };
    let name = format!("{}/busybox:1", registry.address());
    let (origin, sandbox) = (Sandbox::new(), Sandbox::new());
    let digest = place_multi_platform(&origin, &name);
    origin.nacre(["push", &name]).ok();
    let pulled = sandbox.nacre(["pull", "--all-platforms", &name]).ok();
    assert!(pulled.stdout.starts_with(&format!("Digest: {digest}\n")), "{}", pulled.stdout);
    whole(&sandbox);
}

#[test]
fn an_authority_in_certs_d_is_trusted_for_its_host_alone() {
    let tls = Options { tls: true, ..Options::default() };
    let (Some(registry), Some(other)) = (Registry::start(&tls), Registry::start(&tls)) else { return };
    let (address, name) = (registry.address(), format!("{}/busybox:1", registry.address()));
    let origin = Sandbox::new();
    place_multi_platform(&origin, &name);
    fs::create_dir_all(origin.path("home/.config/containers/certs.d").join(&address)).unwrap();
    trust(&origin, ".docker/certs.d", &address, &registry.authority());
    origin.nacre(["push", &name]).ok();
    let sandbox = Sandbox::new();
    trust(&sandbox, ".config/containers/certs.d", &address, &other.authority());
    let refused = sandbox.nacre(["pull", &name]).fails(1);
    assert!(refused.stderr.contains("certificate") && refused.stderr.contains("--insecure-registry"), "{}", refused.stderr);
    assert_eq!(refused.stderr.lines().count(), 1);
    sandbox.nacre(["pull", "--insecure-registry", &address, &name]).ok();
    fs::write(sandbox.config(), format!("[registries]\ninsecure = ['{address}']\n")).unwrap();
    sandbox.nacre(["pull", &name]).ok();
    whole(&sandbox);
}

#[test]
fn a_mirror_is_asked_first_and_the_registry_when_it_fails() {
    let (_origin, server, digest) = serving();
    let (sandbox, name) = (Sandbox::new(), server.name("busybox:1"));
    let mirrored =
        |mirror: &str| fs::write(sandbox.config(), format!("registries.mirrors.'{}' = ['{mirror}']\n", server.address())).unwrap();
    mirrored("http://127.0.0.1:1");
    let pulled = sandbox.nacre(["pull", &name]).ok();
    assert!(pulled.stderr.contains("mirror 127.0.0.1:1"), "{}", pulled.stderr);
    let proxy = Proxy::start(server.address(), u64::MAX);
    mirrored(&format!("http://{}", proxy.name("")));
    sandbox.nacre(["rmi", &name]).ok();
    let pulled = sandbox.nacre(["pull", &name]).ok();
    assert!(pulled.stdout.contains(&format!("{digest}")) && pulled.stdout.contains(&name), "{}", pulled.stdout);
    assert!(proxy.answered() > 70_000, "the mirror was not asked");
    whole(&sandbox);
}

#[test]
fn a_single_image_for_another_platform_than_asked_for_is_refused() {
    let (origin, memory) = (Sandbox::new(), Memory::new());
    place(&origin, &memory, &images::image(&memory, &Recipe::default()), "one:1");
    let server = origin.serve();
    let (sandbox, name) = (Sandbox::new(), server.name("one:1"));
    let refused = sandbox.nacre(["pull", "--platform", "linux/s390x", &name]).fails(1);
    assert_eq!(refused.stderr, format!("nacre: no manifest for linux/s390x in {name}; it has linux/amd64\n"));
    assert_eq!(sandbox.nacre(["images", "-a", "-q"]).ok().stdout, "");
    sandbox.nacre(["pull", "-q", "--platform", "linux/s390x,linux/amd64", &name]).ok();
    whole(&sandbox);
}
