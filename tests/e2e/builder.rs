//! `nacre builder`, and what builds leave for others: caches, compressed layers, provenance.

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt};

use nacre_tests::{
    peers::available,
    sandbox::{Output, Sandbox},
};
use serde_json::Value;

use crate::{
    support::{skopeo_digest, whole},
    trees::shell,
};

const CONTEXT: &str = "
    mkdir -p context && cd context
    seq 1 20000 > numbers.txt
    printf 'FROM scratch AS one\\nCOPY numbers.txt /there/\\nFROM scratch\\nCOPY --from=one /there /again\\n' > Dockerfile";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    shell(&sandbox, CONTEXT);
    sandbox
}

fn build(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    sandbox.nacre(["build", "--progress", "plain"].iter().chain(arguments).chain(&["context"])).ok()
}

fn records(sandbox: &Sandbox) -> usize {
    sandbox.nacre(["builder", "df", "--format", "{{.ID}}"]).ok().lines().len()
}

#[test]
fn the_cache_is_seen_and_pruned() {
    let sandbox = sandbox();
    build(&sandbox, &["-t", "app"]);
    let before = records(&sandbox);
    assert!(before >= 2, "{before}");
    assert!(sandbox.nacre(["builder", "df"]).ok().stdout.contains("COPY numbers.txt /there/"));
    assert!(sandbox.nacre(["system", "df"]).ok().stdout.contains("Build Cache"));
    // What was used just now is not a week old.
    sandbox.nacre(["builder", "prune", "-f"]).ok();
    sandbox.nacre(["builder", "prune", "-f", "--filter", "until=1h"]).ok();
    sandbox.nacre(["builder", "prune", "-f", "--keep-storage", "10g"]).ok();
    assert_eq!(records(&sandbox), before);
    let refused = sandbox.nacre(["builder", "prune", "-a"]).fails(1);
    assert!(refused.stderr.contains("use -f"), "{}", refused.stderr);
    sandbox.nacre(["builder", "prune", "-a", "-f"]).ok();
    assert_eq!(records(&sandbox), 0);
    whole(&sandbox);
    // The image stays, and the next build works.
    assert!(!build(&sandbox, &["-t", "app"]).stderr.contains("CACHED"));
    assert!(records(&sandbox) >= 2);
}

#[test]
fn policies_decide_on_records_too() {
    let sandbox = sandbox();
    build(&sandbox, &["-t", "app"]);
    let before = records(&sandbox);
    sandbox.nacre(["builder", "prune", "-f", "--policy", "least-recently-used,budget=1GB"]).ok();
    assert_eq!(records(&sandbox), before);
    sandbox.nacre(["builder", "prune", "-f", "--policy", "least-recently-used,budget=1KB"]).ok();
    assert!(records(&sandbox) < before);
    whole(&sandbox);
}

#[test]
fn another_machine_uses_the_cache() {
    let (target, sandbox) = (Sandbox::new(), sandbox());
    let server = target.serve();
    let name = server.name("team/cache:1");
    let registry = format!("type=registry,ref={name},mode=max");
    build(&sandbox, &["-t", "app", "--cache-to", "type=local,dest=cache,mode=max", "--cache-to", &registry]);
    for from in [format!("type=local,src={}", sandbox.path("cache").display()), format!("type=registry,ref={name}")] {
        let fresh = self::sandbox();
        let built = build(&fresh, &["-t", "app", "--cache-from", &from]);
        assert_eq!(built.stderr.matches(" CACHED\n").count(), 2, "{from}: {}", built.stderr);
        whole(&fresh);
    }
    let fresh = self::sandbox();
    let warned = build(&fresh, &["--cache-from", "type=local,src=nothing", "--cache-from", &server.name("team/none")]);
    assert_eq!(warned.stderr.matches("is not used").count(), 2, "{}", warned.stderr);
    whole(&target);
}

#[test]
fn what_is_pushed_is_compressed_and_others_can_pull_it() {
    let (target, sandbox) = (Sandbox::new(), sandbox());
    let server = target.serve();
    let name = server.name("team/app:1");
    build(&sandbox, &["-t", &name]);
    let pushed = sandbox.nacre(["push", &name]).ok().stdout;
    let digest = pushed.split_whitespace().nth(2).unwrap().to_owned();
    assert_eq!(sandbox.nacre(["push", &name]).ok().stdout, pushed, "the same layers become the same bytes");
    let plain = sandbox.nacre(["push", "--compression", "none", &name]).ok().stdout;
    assert_ne!(plain, pushed);
    assert!(sandbox.nacre(["push", "--compression", "zstd", &name]).ok().stdout.starts_with("1: digest: sha256:"));
    sandbox.nacre(["push", &name]).ok();
    if available("skopeo") {
        assert_eq!(skopeo_digest(&sandbox, &format!("docker://{name}")).to_string(), digest);
        let to = format!("oci:{}:x", sandbox.path("pulled").display());
        let mut skopeo = std::process::Command::new("skopeo");
        let copied = skopeo.args(["copy", "--src-tls-verify=false", &format!("docker://{name}"), &to]).output().unwrap();
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    }
    // What was pulled is pushed as it is.
    let other = Sandbox::new();
    other.nacre(["pull", &name]).ok();
    assert!(other.nacre(["push", &name]).ok().stdout.contains(&digest));
    whole(&sandbox);
}

/// The blobs of a store, and what changes when one is written again.
fn blobs(sandbox: &Sandbox) -> BTreeMap<String, (u64, i64)> {
    let held = fs::read_dir(sandbox.root().join("blobs/sha256")).unwrap().map(Result::unwrap);
    held.map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap()))
        .map(|(name, meta)| (name, (meta.ino(), meta.mtime_nsec())))
        .collect()
}

#[test]
fn a_push_leaves_nothing_over_and_is_remembered() {
    let (target, sandbox) = (Sandbox::new(), sandbox());
    let server = target.serve();
    let (name, other) = (server.name("team/app:1"), server.name("team/other:1"));
    build(&sandbox, &["-t", &name, "-t", &other, "--provenance=mode=max"]);
    let digest = |sandbox: &Sandbox, name: &str| {
        let line = sandbox.nacre(["images", "--format", "{{.Repository}}:{{.Tag}} {{.Digest}}"]).ok().stdout;
        line.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
    };
    let (own, before) = (digest(&sandbox, &other), blobs(&sandbox).len());
    let pushed = sandbox.nacre(["push", &name]).ok().stdout.split_whitespace().nth(2).unwrap().to_owned();
    assert_ne!(pushed, own);
    sandbox.nacre(["system", "check", "--deep"]).ok();
    // What the registry has is what it is known by there; of where it was not sent to nothing is known.
    assert_eq!((digest(&sandbox, &name), digest(&sandbox, &other)), (pushed.clone(), own.clone()));
    let repository = name.rsplit_once(':').unwrap().0;
    let by_digest = format!("{repository}@{pushed}");
    let inspected: Value = serde_json::from_str(&sandbox.nacre(["inspect", &by_digest]).ok().stdout).unwrap();
    assert_eq!(inspected[0]["Id"], own);
    assert!(inspected[0]["RepoDigests"].as_array().unwrap().contains(&Value::from(by_digest)), "{inspected}");
    // Only the layers are kept, for the next push.
    let (here, there) = (blobs(&sandbox), blobs(&target));
    assert_eq!(here.len(), before + 1);
    sandbox.nacre(["push", &name]).ok();
    assert_eq!((blobs(&sandbox), blobs(&target)), (here, there), "nothing is compressed or uploaded again");
    sandbox.nacre(["pull", &name]).ok();
    assert_eq!(digest(&sandbox, &name), pushed);
    sandbox.nacre(["push", "--compression", "none", &other]).ok();
    assert_eq!(digest(&sandbox, &other), own);
    sandbox.nacre(["rmi", &other]).ok();
    sandbox.nacre(["system", "check", "--deep"]).ok();
    whole(&target);
}

#[test]
fn an_image_says_how_it_was_made() {
    let sandbox = sandbox();
    let arguments = ["-t", "app", "--provenance=mode=max", "--build-arg", "A=b", "-o", "type=oci,dest=out,tar=false"];
    build(&sandbox, &arguments);
    let blob = |descriptor: &Value| -> Value {
        let digest = descriptor["digest"].as_str().unwrap().replace(':', "/");
        serde_json::from_slice(&fs::read(sandbox.path("out/blobs").join(digest)).unwrap()).unwrap()
    };
    let layout: Value = serde_json::from_slice(&fs::read(sandbox.path("out/index.json")).unwrap()).unwrap();
    let index = blob(&layout["manifests"][0]);
    assert_eq!(index["manifests"][1]["annotations"]["vnd.docker.reference.type"], "attestation-manifest");
    let statement = blob(&blob(&index["manifests"][1])["layers"][0]);
    let definition = &statement["predicate"]["buildDefinition"];
    assert_eq!(definition["externalParameters"]["parameters"]["build-arg:A"], "b");
    assert!(definition["resolvedDependencies"][0]["uri"].as_str().unwrap().ends_with("dockerfile"), "{definition}");
    assert!(definition["resolvedDependencies"][0]["digest"]["sha256"].as_str().unwrap().len() == 64);
    whole(&sandbox);
}
