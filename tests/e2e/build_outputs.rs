//! Where results of builds go, the times that they show, and what is told of how they were made.

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt, process::Command};

use nacre_tests::{
    peers::available,
    sandbox::{Output, Sandbox},
};
use serde_json::Value;

use crate::{
    support::{peer, whole},
    trees::{layers, plain, shell, tar_entries},
};

const EPOCH: &str = "1600000000";
const SHOWN: &str = "2020-09-13T12:26:40Z";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let context = "mkdir context && cd context && echo one > one && echo two > own-amd64 && echo two > own-arm64
        ln one same
        printf 'FROM scratch\\nARG TARGETARCH\\nCOPY one same /there/\\nCOPY own-$TARGETARCH /there/\\n' > Dockerfile
        printf 'FROM scratch\\nARG TARGETARCH\\nCOPY own-$TARGETARCH /\\n' > apart";
    shell(&sandbox, context);
    sandbox
}

fn build(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    sandbox.nacre(["build", "--progress", "plain"].iter().chain(arguments))
}

fn tar(sandbox: &Sandbox, name: &str) -> BTreeMap<String, String> {
    tar_entries(&fs::read(sandbox.path(name)).unwrap())
}

/// The times that entries of an archive have.
fn times(entries: &BTreeMap<String, String>) -> Vec<&str> {
    let mut times: Vec<&str> = entries.values().filter_map(|text| text.split(' ').find(|word| word.len() == 10)).collect();
    times.sort_unstable();
    times.dedup();
    times
}

#[test]
fn each_platform_has_a_folder() {
    let sandbox = sandbox();
    let platforms = "--platform=linux/amd64,linux/arm64";
    build(&sandbox, &[platforms, "-o", "type=tar,dest=both.tar", "-o", "type=local,dest=both", "context"]).ok();
    let both = tar(&sandbox, "both.tar");
    let names: Vec<&str> = both.keys().map(String::as_str).collect();
    let folder = ["", "/there", "/there/one", "/there/own-", "/there/same"];
    let expected: Vec<String> = ["amd64", "arm64"]
        .iter()
        .flat_map(|arch| folder.map(|path| format!("linux_{arch}{path}{}", if path.ends_with('-') { arch } else { "" })))
        .collect();
    assert_eq!(names, expected);
    for name in expected.iter().filter(|name| !name.ends_with("there")) {
        assert!(sandbox.path("both").join(name).exists(), "{name}");
    }
    build(&sandbox, &["-o", "type=tar,platform-split=true,dest=one.tar", "context"]).ok();
    assert!(tar(&sandbox, "one.tar").contains_key("linux_amd64/there/one") || cfg!(not(target_arch = "x86_64")));
    // All in one place, as long as they do not get in each other's way.
    let apart = ["-f", "context/apart", platforms, "-o", "type=local,platform-split=false,dest=apart", "context"];
    build(&sandbox, &apart).ok();
    assert!(sandbox.path("apart/own-amd64").exists() && sandbox.path("apart/own-arm64").exists());
    let said = build(&sandbox, &[platforms, "-o", "type=tar,platform-split=false,dest=x.tar", "context"]).fails(1).stderr;
    assert!(said.contains("several platforms have there/one") && !sandbox.path("x.tar").exists(), "{said}");
    assert!(build(&sandbox, &["-o", "type=oci,platform-split=true,dest=x", "context"]).fails(1).stderr.contains("unknown field"));
}

#[test]
fn files_are_written_over_what_is_there() {
    let sandbox = sandbox();
    shell(
        &sandbox,
        "mkdir -p out/there && echo old > out/there/one && echo mine > out/mine && echo safe > safe && ln -s ../../safe out/there/same",
    );
    for _ in 0..2 {
        build(&sandbox, &["-o", "out", "context"]).ok();
        let read = |name: &str| fs::read_to_string(sandbox.path(name)).unwrap();
        assert_eq!(
            (read("out/there/one"), read("out/there/same"), read("out/mine"), read("safe")),
            ("one\n".into(), "one\n".into(), "mine\n".into(), "safe\n".into())
        );
    }
}

#[test]
fn the_epoch_reaches_all_that_shows_a_time() {
    let by_argument = |sandbox: &Sandbox, extra: &[&str]| {
        build(sandbox, &[&["--build-arg", &format!("SOURCE_DATE_EPOCH={EPOCH}")], extra, &["context"]].concat()).ok();
    };
    let by_environment = |sandbox: &Sandbox, extra: &[&str]| {
        let mut command = sandbox.command(["build"].iter().chain(extra).chain(&["context"]));
        command.env("SOURCE_DATE_EPOCH", EPOCH);
        sandbox.run(command, b"").ok();
    };
    let by_file = |sandbox: &Sandbox, extra: &[&str]| {
        shell(sandbox, &format!("printf 'ARG SOURCE_DATE_EPOCH={EPOCH}\\n' | cat - context/Dockerfile > with-epoch"));
        build(sandbox, &[&["-f", "with-epoch"], extra, &["context"]].concat()).ok();
    };
    type Way<'a> = &'a dyn Fn(&Sandbox, &[&str]);
    for way in [&by_argument as Way, &by_environment, &by_file] {
        let sandbox = sandbox();
        way(&sandbox, &["-t", "app", "-o", "type=image,rewrite-timestamp=true"]);
        let inspected: Value = serde_json::from_str(&sandbox.nacre(["inspect", "app"]).ok().stdout).unwrap();
        assert_eq!(inspected[0]["Created"], SHOWN);
        let history = sandbox.nacre(["history", "--no-trunc", "--format", "{{.CreatedAt}}", "app"]).ok().stdout;
        assert!(history.lines().count() >= 2 && history.lines().all(|line| line.starts_with("2020-09-13T")), "{history}");
        for layer in layers(&sandbox, "app") {
            assert_eq!(times(&tar_entries(&plain(&sandbox, &layer))), [EPOCH]);
        }
        way(&sandbox, &["-o", "type=tar,dest=out.tar", "-o", "type=local,dest=out"]);
        assert_eq!(times(&tar(&sandbox, "out.tar")), [EPOCH]);
        for name in ["out/there", "out/there/one", "out/there/same"] {
            assert_eq!(fs::metadata(sandbox.path(name)).unwrap().mtime().to_string(), EPOCH, "{name}");
        }
    }
}

#[test]
fn others_find_the_image_beside_its_attestation() {
    let (sandbox, registry) = (sandbox(), Sandbox::new());
    let server = registry.serve();
    let name = server.name("team/app:1");
    let options = ["-t", &name, "--provenance=mode=max,version=v1", "--push", "--secret", "id=token,src=secret", "--label", "a=b"];
    fs::write(sandbox.path("secret"), "hidden-value").unwrap();
    build(&sandbox, &[&options[..], &["--build-arg", "TARGETOS=linux", "context"]].concat()).ok();
    if !available("skopeo") {
        return;
    }
    let place = format!("docker://{name}");
    let raw = |place: &str| -> Value {
        serde_json::from_slice(&peer(&sandbox, "skopeo", &["inspect", "--raw", "--tls-verify=false", place])).unwrap()
    };
    let index = raw(&place);
    let (image, attestation) = (&index["manifests"][0], &index["manifests"][1]);
    assert_eq!(attestation["annotations"]["vnd.docker.reference.digest"], image["digest"]);
    assert_eq!(attestation["platform"]["architecture"], "unknown");
    let repository = place.rsplit_once(':').unwrap().0;
    let of = |descriptor: &Value| format!("{repository}@{}", descriptor["digest"].as_str().unwrap());
    assert!(raw(&of(image))["layers"][0]["mediaType"].as_str().unwrap().ends_with("gzip"));
    let blob = raw(&of(attestation))["layers"][0]["digest"].as_str().unwrap().replace(':', "/");
    let text = fs::read_to_string(registry.root().join("blobs").join(blob)).unwrap();
    let statement: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(format!("sha256:{}", statement["subject"][0]["digest"]["sha256"].as_str().unwrap()), image["digest"].as_str().unwrap());
    assert!(!text.contains("hidden-value"), "{text}");
    // Who wants an image takes the one for the platform.
    let copied = format!("oci:{}:x", sandbox.path("copied").display());
    peer(&sandbox, "skopeo", &["copy", "--src-tls-verify=false", &place, &copied]);
    let (root, run) = (sandbox.path("podman").display().to_string(), sandbox.path("podman-run").display().to_string());
    if Command::new("podman").arg("--version").output().is_ok_and(|output| output.status.success()) {
        let podman = ["--root", &root, "--runroot", &run, "--storage-driver", "vfs"];
        peer(&sandbox, "podman", &[&podman[..], &["pull", "-q", "--tls-verify=false", &name]].concat());
        let label = peer(&sandbox, "podman", &[&podman[..], &["inspect", "--format", "{{.Labels.a}} {{.Architecture}}", &name]].concat());
        assert!(String::from_utf8_lossy(&label).starts_with("b "), "{}", String::from_utf8_lossy(&label));
        peer(&sandbox, "podman", &[&podman[..], &["rmi", "-f", &name]].concat());
    }
    whole(&sandbox);
    sandbox.nacre(["system", "check", "--deep"]).ok();
}

#[test]
fn nothing_is_left_over_of_a_build_whose_result_goes_elsewhere_or_nowhere() {
    let (sandbox, registry) = (sandbox(), Sandbox::new());
    let server = registry.serve();
    let (base, copied) = (server.name("base"), server.name("copied"));
    for (name, file) in [(&base, "FROM scratch\nCOPY one /base\n"), (&copied, "FROM scratch\nCOPY own-amd64 /copied\n")] {
        shell(&registry, "mkdir -p context && echo base > context/one && echo copied > context/own-amd64");
        fs::write(registry.path("context/Dockerfile"), file).unwrap();
        registry.nacre(["build", "--push", "-t", name, "context"]).ok();
    }
    let file = format!("FROM {copied} AS other\nFROM {base}\nCOPY --from=other /copied /\nCOPY one /\n");
    shell(&sandbox, &format!("printf '{file}' > staged; printf '{file}COPY missing /\n' > broken"));
    let nothing_is_left = |of: &str| {
        let found = sandbox.nacre(["system", "check", "--deep"]);
        assert_eq!((found.code, found.stdout.as_str()), (Some(0), "nothing found\n"), "{of}: {}", found.stderr);
        assert_eq!(sandbox.nacre(["images", "-a", "-q"]).ok().stdout, "", "{of}");
    };
    build(&sandbox, &["-f", "broken", "context"]).fails(1);
    nothing_is_left("a failure");
    for output in
        ["type=tar,dest=x.tar", "type=local,dest=x", "type=oci,dest=x.oci", "type=docker,dest=x.docker", "type=oci,tar=false,dest=y"]
    {
        build(&sandbox, &["--provenance", "-f", "staged", "-t", "app", "-o", output, "context"]).ok();
        nothing_is_left(output);
    }
    // The layers are the cache's, and go with it.
    let files = || fs::read_dir(sandbox.root().join("blobs/sha256")).map_or(0, Iterator::count);
    assert!(files() > 0);
    sandbox.nacre(["builder", "prune", "-af"]).ok();
    assert_eq!(files(), 0);
    // What is pushed is kept, whatever else is made of it.
    let name = server.name("app");
    build(&sandbox, &["-f", "staged", "-t", &name, "-o", "type=oci,push=true,dest=z.oci", "context"]).ok();
    assert_eq!(sandbox.nacre(["images", "-q"]).ok().lines().len(), 1);
    assert_eq!(sandbox.nacre(["system", "check", "--deep"]).ok().stdout, "nothing found\n");
}
