//! Docker, Podman and skopeo pull from a nacre store and push to it, with every digest unchanged.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use nacre_oci::{Descriptor, Memory, Select, Source, validate};
use nacre_tests::{
    dockerd::Docker,
    images::{self, Recipe},
    peers::available,
};
use tempfile::TempDir;

use crate::harness::Server;

fn run(program: &str, args: &[&str], folder: &Path) -> String {
    // Nobody's credentials; Podman wants the file to be there.
    std::fs::write(folder.join("auth.json"), "{}").unwrap();
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).env("HOME", folder).env("TMPDIR", folder).env("REGISTRY_AUTH_FILE", folder.join("auth.json"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A server with the image `busybox:1` for two platforms.
async fn with_busybox() -> (Server, Descriptor) {
    let server = Server::start().await;
    let memory = Memory::new();
    let root = images::multi_platform(&memory);
    server.place(&memory, &root, "docker.io/library/busybox:1");
    (server, root)
}

fn whole(server: &Server, name: &str) -> Descriptor {
    let root = server.store.resolve(name).unwrap();
    validate(&server.store, &root, &Select::All).unwrap();
    root
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_copies_all_platforms_out_and_in() {
    if !available("skopeo") {
        return;
    }
    let (server, root) = with_busybox().await;
    let other = Server::start().await;
    let folder = TempDir::new().unwrap();
    let dir = format!("dir:{}", folder.path().join("image").display());
    let copy = |from: &str, to: &str| {
        let flags = ["copy", "--all", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"];
        run("skopeo", &[&flags[..], &[from, to]].concat(), folder.path());
    };
    let here = |server: &Server, name: &str| format!("docker://{}/{name}", server.address);
    copy(&here(&server, "busybox:1"), &dir);
    copy(&dir, &here(&other, "team/copy:1"));
    assert_eq!(whole(&other, "docker.io/team/copy:1").digest, root.digest);
    // Straight from one to the other; and again within one, where everything is mounted.
    copy(&here(&server, "busybox:1"), &here(&other, "ghcr.io/o/r:2"));
    copy(&here(&other, "ghcr.io/o/r:2"), &here(&other, "team/again:3"));
    for name in ["ghcr.io/o/r:2", "docker.io/team/again:3"] {
        assert_eq!(whole(&other, name).digest, root.digest);
    }
    let tags = run("skopeo", &["list-tags", "--tls-verify=false", &here(&other, "team/copy")], folder.path());
    assert_eq!(serde_json::from_str::<serde_json::Value>(&tags).unwrap()["Tags"], serde_json::json!(["1"]));
    run("skopeo", &["delete", "--tls-verify=false", &here(&other, "team/copy:1")], folder.path());
    assert!(other.store.resolve("docker.io/team/copy:1").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_pulls_pushes_and_searches() {
    if !available("podman") {
        return;
    }
    let (server, root) = with_busybox().await;
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (graph, state) = (path("graph"), path("run"));
    let podman =
        |args: &[&str]| run("podman", &[&["--root", &graph, "--runroot", &state, "--storage-driver", "vfs"], args].concat(), folder.path());
    let name = |name: &str| format!("{}/{name}", server.address);
    podman(&["pull", "--quiet", "--tls-verify=false", &name("busybox:1")]);
    let digests = podman(&["image", "inspect", "--format", "{{.RepoDigests}}", &name("busybox:1")]);
    assert!(digests.contains(&root.digest.to_string()), "{digests}");
    let file = path("digest");
    podman(&["push", "--quiet", "--tls-verify=false", "--digestfile", &file, &name("busybox:1"), &name("team/podman:1")]);
    assert_eq!(whole(&server, "docker.io/team/podman:1").digest.to_string(), std::fs::read_to_string(file).unwrap());
    let found = podman(&["search", "--tls-verify=false", "--format", "{{.Name}}", &name("busy")]);
    assert!(found.contains("busybox"), "{found}");
    podman(&["rmi", "--all", "--force"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_pulls_pushes_and_searches() {
    let Some(docker) = Docker::start() else { return };
    let (server, root) = with_busybox().await;
    let name = |name: &str| format!("{}/{name}", server.address);
    let pulled = docker.ok(&["pull", &name("busybox:1")]);
    assert!(pulled.contains(&root.digest.to_string()), "{pulled}");
    docker.ok(&["tag", &name("busybox:1"), &name("team/docker:1")]);
    let pushed = docker.ok(&["push", &name("team/docker:1")]);
    let digest = whole(&server, "docker.io/team/docker:1").digest.to_string();
    assert!(pushed.contains(&digest), "{pushed}");
    docker.ok(&["rmi", "--force", &name("busybox:1"), &name("team/docker:1")]);
    docker.ok(&["pull", &format!("{}@{digest}", name("team/docker"))]);
    let memory = Memory::new();
    let old = images::image(&memory, &Recipe { docker: true, ..Recipe::default() });
    server.place(&memory, &old, "docker.io/team/schema2:1");
    assert!(docker.ok(&["pull", &name("team/schema2:1")]).contains(&old.digest.to_string()));
    let found = docker.ok(&["search", "--format", "{{.Name}} {{.IsOfficial}}", &name("busy")]);
    assert!(found.contains("busybox [OK]"), "{found}");
}
