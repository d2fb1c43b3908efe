//! What nacre pushed and saved, skopeo, Podman and Docker read digest for digest, and the other way round.

use std::fs;

use nacre_oci::{Descriptor, Digest, Document, Memory, Select, read_document, validate};
use nacre_tests::{
    dockerd::Docker,
    images::{self, Recipe},
    peers::{Options, Registry, available},
    sandbox::{Sandbox, Server},
};

use crate::support::{peer, place, place_multi_platform, skopeo_digest, store, whole};

/// Lets skopeo put an image for two platforms at `target`, with layers that it compresses on the way.
fn seed(sandbox: &Sandbox, target: &str) -> Digest {
    place_multi_platform(sandbox, "seed:1");
    sandbox.nacre(["copy", "-q", "seed:1", "oci:seed:1"]).ok();
    let target = format!("docker://{target}");
    peer(sandbox, "skopeo", &["copy", "--all", "--dest-tls-verify=false", "oci:seed:1", &target]);
    skopeo_digest(sandbox, &target)
}

/// The index under a name in the sandbox's store.
fn descriptor(sandbox: &Sandbox, name: &str) -> Descriptor {
    store(sandbox).find(name).unwrap().image.descriptor
}

/// The manifest for amd64 of an image in the sandbox's store: its config's and its layers' digests.
fn parts(sandbox: &Sandbox, name: &str) -> Vec<Digest> {
    let (store, root) = (store(sandbox), descriptor(sandbox, name));
    let (_, document) = read_document(&store, &root).unwrap();
    let (_, document) = match &document {
        Document::Index(index) => read_document(&store, &index.manifests[0]).unwrap(),
        Document::Manifest(_) => read_document(&store, &root).unwrap(),
    };
    document.children().into_iter().map(|child| child.digest.clone()).collect()
}

/// The config's digest and the diff ids, as `nacre inspect` tells them.
fn identity(sandbox: &Sandbox, name: &str) -> (String, String) {
    let layers = sandbox.nacre(["inspect", "-f", "{{json .RootFS.Layers}}", name]).ok().stdout;
    (parts(sandbox, name)[0].to_string(), layers.trim().to_owned())
}

/// Pull, save, load and push between two names; every document has to be at both ends, byte for byte.
fn survives(from: &str, to: &str, index: &Digest) {
    let (sandbox, fresh) = (Sandbox::new(), Sandbox::new());
    sandbox.nacre(["pull", "-q", "--all-platforms", from]).ok();
    sandbox.nacre(["save", "-o", "out.tar", from]).ok();
    fresh.nacre(["load", "-q", "-i", sandbox.path("out.tar").to_str().unwrap()]).ok();
    fresh.nacre(["tag", from, to]).ok();
    fresh.nacre(["push", "-q", to]).ok();
    let (near, far) = (format!("docker://{from}"), format!("docker://{to}"));
    assert_eq!((&skopeo_digest(&fresh, &near), &skopeo_digest(&fresh, &far)), (index, index));
    let (_, Document::Index(children)) = read_document(&store(&fresh), &descriptor(&fresh, to)).unwrap() else { panic!("no index") };
    assert_eq!(children.manifests.len(), 2);
    let bare = to.rsplit_once(':').unwrap().0;
    for child in children.manifests {
        assert_eq!(skopeo_digest(&fresh, &format!("docker://{bare}@{}", child.digest)), child.digest);
    }
    // skopeo checks every layer on its way.
    peer(&fresh, "skopeo", &["copy", "--all", "--src-tls-verify=false", &far, "dir:checked"]);
    assert!(
        fs::read(fresh.path("checked/manifest.json")).unwrap()
            == peer(&fresh, "skopeo", &["inspect", "--raw", "--tls-verify=false", &near])
    );
    validate(&store(&fresh), &descriptor(&fresh, to), &Select::All).unwrap();
    whole(&sandbox);
}

#[test]
fn an_index_survives_pull_save_load_and_push_over_debians_registry() {
    let Some(registry) = Registry::start(&Options::default()) else { return };
    if !available("skopeo") {
        return;
    }
    let name = |image: &str| format!("{}/{image}", registry.address());
    let index = seed(&Sandbox::new(), &name("from:1"));
    survives(&name("from:1"), &name("team/to:2"), &index);
}

#[test]
fn an_index_survives_pull_save_load_and_push_over_nacre_serve() {
    if !available("skopeo") {
        return;
    }
    let served = Sandbox::new();
    let server = served.serve();
    let index = seed(&Sandbox::new(), &server.name("from:1"));
    survives(&server.name("from:1"), &server.name("team/to:2"), &index);
    whole(&served);
}

/// A server with `gzip:1`, an image for two platforms with compressed layers, and a sandbox that pulled it.
fn compressed() -> (Sandbox, Server, Sandbox, String) {
    let (served, sandbox) = (Sandbox::new(), Sandbox::new());
    let server = served.serve();
    let name = server.name("gzip:1");
    seed(&Sandbox::new(), &name);
    sandbox.nacre(["pull", "-q", "--all-platforms", &name]).ok();
    let shown = sandbox.nacre(["inspect", "-f", "{{json .Layers}}", &name]).ok();
    assert!(shown.stdout.contains("gzip"), "skopeo did not compress: {}", shown.stdout);
    (served, server, sandbox, name)
}

#[test]
fn skopeo_reads_what_nacre_saved_and_nacre_what_skopeo_wrote() {
    if !available("skopeo") {
        return;
    }
    let (_served, _server, sandbox, name) = compressed();
    sandbox.nacre(["save", "-o", "saved.tar", &name]).ok();
    peer(&sandbox, "skopeo", &["copy", "docker-archive:saved.tar", "dir:read"]);
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(sandbox.path("read/manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["config"]["digest"], identity(&sandbox, &name).0);

    let index = descriptor(&sandbox, &name).digest;
    sandbox.nacre(["copy", "-q", &name, "oci:layout:v1"]).ok();
    peer(&sandbox, "skopeo", &["copy", "--all", "oci:layout:v1", "oci-archive:theirs.tar:v2"]);
    assert_eq!(sandbox.nacre(["copy", "-q", "oci-archive:theirs.tar:v2", "theirs:1"]).ok().stdout, format!("{index}\n"));
    let fresh = Sandbox::new();
    let theirs = sandbox.path("theirs.tar");
    fresh.nacre(["load", "-q", "-i", theirs.to_str().unwrap()]).ok();
    assert_eq!(fresh.nacre(["images", "-a", "-q", "--no-trunc"]).ok().stdout, format!("{index}\n"));

    peer(&sandbox, "skopeo", &["copy", "oci:layout:v1", "docker-archive:old.tar:example.com/old:1"]);
    let old = sandbox.path("old.tar");
    assert_eq!(fresh.nacre(["load", "-q", "-i", old.to_str().unwrap()]).ok().stdout, "Loaded image: example.com/old:1\n");
    assert_eq!(identity(&fresh, "example.com/old:1"), identity(&sandbox, &name));
    whole(&fresh);
    whole(&sandbox);
}

/// Runs Podman with a storage of the sandbox's own.
fn podman(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let (graph, state) = (sandbox.path("peer/graph").display().to_string(), sandbox.path("peer/run").display().to_string());
    let own = ["--root", &graph, "--runroot", &state, "--storage-driver", "vfs"];
    String::from_utf8(peer(sandbox, "podman", &[&own, arguments].concat())).unwrap()
}

#[test]
fn podman_loads_pulls_and_saves() {
    if !available("podman") || !available("skopeo") {
        return;
    }
    let (_served, server, sandbox, name) = compressed();
    let podman = |arguments: &[&str]| podman(&sandbox, arguments);
    let (config, layers) = identity(&sandbox, &name);
    let known = |image: &str| {
        let id = podman(&["image", "inspect", "--format", "{{.Id}}", image]);
        assert_eq!(format!("sha256:{}", id.trim()), config);
    };
    sandbox.nacre(["save", "-o", "saved.tar", &name]).ok();
    podman(&["load", "-q", "-i", "saved.tar"]);
    known(&name);
    podman(&["rmi", "--all", "--force"]);
    podman(&["pull", "-q", "--tls-verify=false", &name]);
    known(&name);
    for format in ["docker-archive", "oci-archive"] {
        let file = format!("{format}.tar");
        podman(&["save", "-q", "--format", format, "-o", &file, &name]);
        let fresh = Sandbox::new();
        assert_eq!(fresh.nacre(["load", "-q", "-i", sandbox.path(&file).to_str().unwrap()]).ok().stdout, format!("Loaded image: {name}\n"));
        assert_eq!(identity(&fresh, &name), (config.clone(), layers.clone()), "{format}");
        whole(&fresh);
    }
    podman(&["push", "-q", "--tls-verify=false", &name, &server.name("from/podman:1")]);
    sandbox.nacre(["pull", "-q", &server.name("from/podman:1")]).ok();
    assert_eq!(identity(&sandbox, &server.name("from/podman:1")).0, config);
    podman(&["rmi", "--all", "--force"]);
    whole(&sandbox);
}

#[test]
fn docker_loads_pulls_and_saves() {
    let Some(docker) = Docker::start() else { return };
    if !available("skopeo") {
        return;
    }
    let (served, server, sandbox, name) = compressed();
    let (config, layers) = identity(&sandbox, &name);
    let known = |image: &str| {
        assert_eq!(
            docker.ok(&["image", "inspect", "--format", "{{.Id}} {{json .RootFS.Layers}}", image]).trim(),
            format!("{config} {layers}")
        );
    };
    let file = |name: &str| sandbox.path(name).display().to_string();
    sandbox.nacre(["save", "-o", "saved.tar", &name]).ok();
    assert_eq!(docker.ok(&["load", "-i", &file("saved.tar")]), format!("Loaded image: {name}\n"));
    known(&name);
    docker.ok(&["rmi", "--force", &name]);
    docker.ok(&["pull", "-q", &name]);
    known(&name);

    docker.ok(&["save", "-o", &file("docker.tar"), &name]);
    let fresh = Sandbox::new();
    assert_eq!(fresh.nacre(["load", "-q", "-i", &file("docker.tar")]).ok().stdout, format!("Loaded image: {name}\n"));
    assert_eq!(identity(&fresh, &name), (config.clone(), layers.clone()));
    fresh.nacre(["save", "-o", "again.tar", &name]).ok();
    docker.ok(&["rmi", "--force", &name]);
    docker.ok(&["load", "-i", fresh.path("again.tar").to_str().unwrap()]);
    known(&name);

    let pushed = server.name("from/docker:1");
    docker.ok(&["tag", &name, &pushed]);
    let said = docker.ok(&["push", &pushed]);
    let there = store(&served).find("from/docker:1").unwrap().image.id.to_string();
    assert!(said.contains(&there), "{said}");
    fresh.nacre(["pull", "-q", &pushed]).ok();
    assert_eq!(identity(&fresh, &pushed).0, config);
    whole(&fresh);
    whole(&served);
}

/// An image with Debian's static busybox in it.
fn with_busybox(sandbox: &Sandbox, name: &str) {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_path_with_name("/usr/bin/busybox", "bin/sh").unwrap();
    let memory = Memory::new();
    let root = images::image(&memory, &Recipe { layers: vec![tar.into_inner().unwrap()], ..Recipe::default() });
    place(sandbox, &memory, &root, name);
}

#[test]
fn podman_runs_what_nacre_pulled() {
    if !available("podman") || !available("busybox") || nacre_oci::Platform::host().to_string() != "linux/amd64" {
        return;
    }
    let (served, sandbox) = (Sandbox::new(), Sandbox::new());
    with_busybox(&served, "busybox:1");
    let server = served.serve();
    let name = server.name("busybox:1");
    sandbox.nacre(["pull", "-q", &name]).ok();
    sandbox.nacre(["save", "-o", "saved.tar", &name]).ok();
    podman(&sandbox, &["load", "-q", "-i", "saved.tar"]);
    let run =
        ["run", "--rm", "--network=none", "--ulimit=nofile=512:512", "--ulimit=nproc=512:512", &name, "/bin/sh", "-c", "echo it runs"];
    assert_eq!(podman(&sandbox, &run), "it runs\n");
    podman(&sandbox, &["rmi", "--all", "--force"]);
    whole(&sandbox);
}
