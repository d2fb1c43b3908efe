//! `nacre build`: the command line, what it reads, what it shows, and where results go. What Dockerfiles mean is in
//! `build_corpus` and `build_peers`.

use std::fs;

use nacre_oci::Source;
use nacre_tests::{
    peers::available,
    sandbox::{Output, Sandbox},
};
use serde_json::Value;

use crate::{
    support::{store, whole},
    trees::{shell, tar_entries},
};

/// A context of a few files, and a Dockerfile without RUN.
const CONTEXT: &str = "
    mkdir -p context/src && cd context
    echo one > one.txt; echo main > src/main.c
    printf 'FROM scratch\\nCOPY one.txt /there/\\nCOPY src /src\\nCMD [\"/there/one.txt\"]\\n' > Dockerfile";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    shell(&sandbox, CONTEXT);
    sandbox
}

fn build(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    sandbox.nacre(["build", "--progress", "plain"].iter().chain(arguments))
}

/// Builds with the Dockerfile on standard input.
fn build_text(sandbox: &Sandbox, text: &str, arguments: &[&str]) -> Output {
    let command = sandbox.command(["build", "--progress", "plain", "-f", "-"].iter().chain(arguments));
    sandbox.run(command, text.as_bytes())
}

fn names(tar: &[u8]) -> Vec<String> {
    tar_entries(tar).into_keys().collect()
}

fn inspect(sandbox: &Sandbox, image: &str) -> Value {
    serde_json::from_str::<Value>(&sandbox.nacre(["inspect", image]).ok().stdout).unwrap()[0].take()
}

#[test]
fn an_image_gets_its_names_and_the_old_one_stays() {
    let sandbox = sandbox();
    let first = build(&sandbox, &["-q", "-t", "app:1", "-t", "app:2", "context"]).ok().stdout;
    assert!(first.starts_with("sha256:") && first.lines().count() == 1, "{first}");
    fs::write(sandbox.path("context/one.txt"), "two\n").unwrap();
    let second = build(&sandbox, &["-q", "-t", "app:1", "context"]).ok().stdout;
    assert_ne!(first, second);
    let ids = |name: &str| inspect(&sandbox, name)["Id"].as_str().unwrap().to_owned() + "\n";
    assert_eq!((ids("app:1"), ids("app:2")), (second, first));
    build(&sandbox, &["-q", "-t", "app:2", "context"]).ok();
    assert_eq!(sandbox.nacre(["images", "-q", "--filter", "dangling=true"]).ok().lines().len(), 1);
    assert!(inspect(&sandbox, "app:1")["Config"]["Cmd"][0] == "/there/one.txt");
    whole(&sandbox);
}

#[test]
fn what_was_done_is_not_done_again() {
    let sandbox = sandbox();
    let first = build(&sandbox, &["-t", "app", "context"]).ok();
    assert!(first.stdout.is_empty() && !first.stderr.contains("CACHED"), "{}", first.stderr);
    let again = build(&sandbox, &["-t", "app", "context"]).ok().stderr;
    assert_eq!(again.matches(" CACHED\n").count(), 2, "{again}");
    fs::write(sandbox.path("context/src/main.c"), "other\n").unwrap();
    assert_eq!(build(&sandbox, &["context"]).ok().stderr.matches(" CACHED\n").count(), 1);
    assert_eq!(build(&sandbox, &["--no-cache", "context"]).ok().stderr.matches(" CACHED\n").count(), 0);
    let id = |sandbox: &Sandbox| build(sandbox, &["-q", "context"]).ok().stdout;
    assert_eq!(id(&sandbox), id(&sandbox));
}

#[test]
fn a_mistake_is_shown_with_its_line() {
    let sandbox = sandbox();
    let wrong = build_text(&sandbox, "FROM scratch\nCOPPY one.txt /\n", &["context"]).fails(1);
    assert!(wrong.stdout.is_empty());
    for part in ["error: unknown instruction: COPPY", "--> Dockerfile:2\n", "2 | COPPY one.txt /\n", "| ^^^^^"] {
        assert!(wrong.stderr.contains(part), "{part}: {}", wrong.stderr);
    }
    let missing = build_text(&sandbox, "FROM scratch\n\nCOPY \x1bnone /\n", &["context"]).fails(1).stderr;
    assert!(missing.contains("not found\n --> Dockerfile:3\n") && missing.contains("\n3 | COPY \\x1bnone /\n"), "{missing}");
    assert!(!missing.contains('\x1b'));
    sandbox.nacre(["images", "-q", "-a"]).ok().lines().is_empty().then_some(()).unwrap();
}

#[test]
fn what_is_not_supported_is_refused_with_its_line() {
    let sandbox = sandbox();
    for (line, why) in [
        ("RUN --security=insecure true", "failed to load LLB: security.insecure is not allowed"),
        ("RUN --device=acme.com/gpu true", "RUN --device is not supported"),
        ("RUN --network=host true", "network.host is not allowed"),
    ] {
        let said = build_text(&sandbox, &format!("FROM scratch\n\n{line}\n"), &["context"]).fails(1).stderr;
        assert!(said.contains(why) && said.contains("--> Dockerfile:3\n") && said.contains(&format!("3 | {line}\n")), "{line}: {said}");
    }
    // Before anything is done; and who is asked to allow it, can.
    let text = "FROM scratch\nCOPY one.txt /\nRUN --network=host [\"/none\"]\n";
    let said = build_text(&sandbox, text, &["context"]).fails(1).stderr;
    assert!(!said.contains("COPY") && said.contains("--allow network.host"), "{said}");
    if available("runc") {
        let said = build_text(&sandbox, text, &["--allow", "network.host", "context"]).fails(1).stderr;
        assert!(!said.contains("is not allowed") && said.contains("COPY"), "{said}");
    }
    for allowed in ["security.insecure", "device"] {
        let said = build(&sandbox, &["--allow", allowed, "context"]).fails(1).stderr;
        assert!(said.contains(&format!("--allow {allowed}: nacre only has network.host")), "{said}");
    }
}

#[test]
fn programs_for_other_machines_need_an_emulator() {
    let sandbox = sandbox();
    let emulated = fs::read_to_string("/proc/sys/fs/binfmt_misc/qemu-s390x").is_ok_and(|entry| entry.starts_with("enabled"));
    if emulated || !available("runc") {
        return;
    }
    build_text(&sandbox, "FROM scratch\nCOPY one.txt /\n", &["--platform", "linux/s390x", "-t", "base", "context"]).ok();
    let text = "FROM --platform=linux/s390x base\nRUN [\"/one.txt\"]\n";
    let said = build_text(&sandbox, text, &["--platform", "linux/s390x", "context"]).fails(1).stderr;
    for part in ["running programs for linux/s390x on ", "no emulator is registered", "qemu-s390x", "--> Dockerfile:2\n"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn files_come_from_anywhere() {
    let sandbox = sandbox();
    fs::write(sandbox.path("other.docker"), "FROM scratch\nCOPY src/main.c /\n").unwrap();
    build(&sandbox, &["-f", "other.docker", "-o", "out", "context"]).ok();
    assert_eq!(fs::read_to_string(sandbox.path("out/main.c")).unwrap(), "main\n");
    let tar = |text: &str| build_text(&sandbox, text, &["-o", "type=tar,dest=out.tar", "context"]).ok();
    tar("FROM scratch\nCOPY one.txt /\n");
    assert_eq!(names(&fs::read(sandbox.path("out.tar")).unwrap()), ["one.txt"]);
    shell(&sandbox, "tar -C context -czf context.tar.gz .");
    let archive = fs::read(sandbox.path("context.tar.gz")).unwrap();
    let built = sandbox.run(sandbox.command(["build", "-q", "-"]), &archive).ok().stdout;
    assert_eq!(built, build(&sandbox, &["-q", "context"]).ok().stdout, "the same files, the same cache");
    sandbox.run(sandbox.command(["build", "-q", "-"]), b"FROM scratch\nLABEL a=b\n").ok();
    for (arguments, why) in [
        (&["nowhere"][..], "cannot read the folder nowhere"),
        (&["context/one.txt"], "is not a folder"),
        (&["-f", "none", "context"], "there is no none: name the file of the build with -f"),
        (&["src"], "cannot read the folder src"),
        (&["-f", "-", "-"], "cannot both be standard input"),
        (&["context/src"], "there is no context/src/Dockerfile: name the file"),
    ] {
        let said = build(&sandbox, arguments).fails(1).stderr;
        assert!(said.contains(why) && said.lines().count() == 1, "{arguments:?}: {said}");
    }
}

#[test]
fn outputs_are_archives_folders_and_names() {
    let sandbox = sandbox();
    let id =
        build(&sandbox, &["-q", "-t", "app:1", "-o", "type=oci,dest=app.oci.tar", "-o", "type=docker,dest=app.tar", "context"]).ok().stdout;
    assert!(sandbox.nacre(["images", "-q"]).ok().lines().is_empty(), "it was asked for files alone");
    for file in ["app.oci.tar", "app.tar"] {
        let other = Sandbox::new();
        fs::copy(sandbox.path(file), other.path(file)).unwrap();
        other.nacre(["load", "-q", "-i", file]).ok();
        let config = inspect(&other, "app:1");
        assert_eq!(config["Config"]["Cmd"][0], "/there/one.txt", "{file}");
    }
    build(&sandbox, &["-o", "type=oci,tar=false,dest=layout", "-t", "app:1", "context"]).ok();
    let index: Value = serde_json::from_slice(&fs::read(sandbox.path("layout/index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"][0]["digest"], id.trim_end());
    let stdout = sandbox.command(["build", "-q", "-o", "-", "context"]).output().unwrap();
    assert_eq!(names(&stdout.stdout), ["src", "src/main.c", "there", "there/one.txt"]);
    build(&sandbox, &["-o", "type=image,name=named:1,compression=zstd", "context"]).ok();
    let store = store(&sandbox);
    let manifest = store.resolve("named:1").and_then(|root| nacre_oci::read_document(&store, &root)).unwrap().0;
    assert!(String::from_utf8_lossy(&manifest.bytes).contains("tar+zstd"));
    for bad in ["type=tarball", "type=local", "type=oci,des=x", "type=image,dest=x", "type=oci,compression=lz4,dest=x"] {
        assert!(build(&sandbox, &["-o", bad, "context"]).fails(1).stderr.starts_with("nacre: --output"), "{bad}");
    }
}

#[test]
fn what_was_built_is_written_down() {
    let sandbox = sandbox();
    let id = build(&sandbox, &["-q", "-t", "app:1", "--iidfile", "id", "--metadata-file", "meta.json", "context"]).ok().stdout;
    assert_eq!(fs::read_to_string(sandbox.path("id")).unwrap(), id.trim_end());
    let metadata: Value = serde_json::from_slice(&fs::read(sandbox.path("meta.json")).unwrap()).unwrap();
    assert_eq!(metadata["containerimage.digest"], id.trim_end());
    assert_eq!(metadata["image.name"], "docker.io/library/app:1");
    assert!(metadata["containerimage.config.digest"].as_str().unwrap().starts_with("sha256:"));
}

#[test]
fn times_can_be_fixed() {
    let built = |epoch: &str| {
        let sandbox = sandbox();
        let mut command = sandbox.command(["build", "-q", "-o", "type=image,rewrite-timestamp=true", "context"]);
        command.env("SOURCE_DATE_EPOCH", epoch);
        sandbox.run(command, b"").ok().stdout
    };
    let first = built("1600000000");
    assert_eq!(first, built("1600000000"));
    assert_ne!(first, built("1500000000"));
}

#[test]
fn arguments_labels_and_contexts_reach_the_frontend() {
    let sandbox = sandbox();
    shell(&sandbox, "mkdir more && echo more > more/file");
    let text = "ARG given=x\nFROM scratch AS a\nARG given\nARG inherited\nLABEL all=\"$given $inherited\" own=file\nFROM a\nCOPY --from=extra file /\nFROM scratch\n";
    let options = ["--target", "1", "--build-arg", "given=1", "--build-arg", "inherited", "--build-arg", "unset", "--label", "own=user"];
    let mut command = sandbox
        .command(["build", "-q", "-t", "app", "-f", "-", "--build-context", "extra=more"].iter().chain(&options).chain(&["context"]));
    let failed = sandbox.run(command, text.as_bytes()).fails(1).stderr;
    assert!(failed.contains("target stage \"1\" could not be found"), "{failed}");
    let text = text.replace("FROM a\n", "FROM a AS second\n");
    command = sandbox.command(
        ["build", "-q", "-t", "app", "-f", "-", "--build-context", "extra=more", "--target", "second"]
            .iter()
            .chain(&options[2..])
            .chain(&["context"]),
    );
    command.env("inherited", "2");
    sandbox.run(command, text.as_bytes()).ok();
    let labels = &inspect(&sandbox, "app")["Config"]["Labels"];
    assert_eq!((labels["all"].as_str(), labels["own"].as_str()), (Some("1 2"), Some("user")));
    for (option, value) in [
        ("--build-context", "x=nowhere"),
        ("--build-arg", "=x"),
        ("--secret", "src=/nowhere"),
        ("--ssh", "x=/nowhere"),
        ("--add-host", "x"),
        ("--ulimit", "x"),
        ("--shm-size", "x"),
        ("--allow", "security.insecure"),
        ("--label", "=x"),
        ("--annotation", "x"),
        ("--output", "type=registry"),
    ] {
        let said = build(&sandbox, &[option, value, "context"]).fails(1).stderr;
        assert!(said.lines().count() == 1, "{option} {value}: {said}");
    }
}

#[test]
fn several_platforms_make_an_index() {
    let sandbox = sandbox();
    let platforms = "--platform=linux/amd64,linux/arm64";
    build(&sandbox, &["-t", "app", platforms, "--annotation", "index:a=b", "--annotation", "c=d", "context"]).ok();
    let store = store(&sandbox);
    let root = store.resolve("app").unwrap();
    let nacre_oci::Document::Index(index) = nacre_oci::read_document(&store, &root).unwrap().1 else { panic!("it is no index") };
    let of: Vec<String> = index.manifests.iter().map(|child| child.platform.as_ref().unwrap().to_string()).collect();
    assert_eq!((of.as_slice(), index.annotations["a"].as_str()), (&["linux/amd64".to_owned(), "linux/arm64".to_owned()][..], "b"));
    build(&sandbox, &["-o", "out", platforms, "context"]).ok();
    assert!(sandbox.path("out/linux_arm64/there/one.txt").is_file());
}

#[test]
fn graphs_and_checks_build_nothing() {
    let sandbox = sandbox();
    let graph: Value = serde_json::from_str(&build(&sandbox, &["--print-graph", "context"]).ok().stdout).unwrap();
    assert!(graph[0]["definition"]["vertices"].as_array().unwrap().len() >= 3, "{graph}");
    assert!(build(&sandbox, &["--print-graph=dot", "context"]).ok().stdout.starts_with("digraph build {"));
    assert_eq!(build(&sandbox, &["--check", "context"]).ok().stdout, "Check complete, no warnings found.\n");
    let text = "FROM scratch as base\nCOPY one.txt /\n";
    let checked = build_text(&sandbox, text, &["--check", "context"]).fails(1);
    assert!(checked.stdout.contains("warning[FromAsCasing]: ") && checked.stdout.contains("--> Dockerfile:1\n"), "{}", checked.stdout);
    assert_eq!(checked.stderr, "nacre: check complete, 1 warning has been found\n");
    let built = build_text(&sandbox, text, &["context"]).ok();
    assert!(built.stderr.contains("warning: Dockerfile:1: FromAsCasing: "), "{}", built.stderr);
    assert_eq!(sandbox.nacre(["images", "-q", "-a"]).ok().lines().len(), 1);
}

#[test]
fn another_syntax_is_another_plugin() {
    let sandbox = sandbox();
    for own in ["docker/dockerfile:1", "docker.io/docker/dockerfile:1.7-labs", "dockerfile", "nacre/dockerfile"] {
        build_text(&sandbox, &format!("# syntax={own}\nFROM scratch\nCOPY one.txt /\n"), &["context"]).ok();
    }
    let said = build_text(&sandbox, "# syntax=ghcr.io/acme/front:1\nFROM scratch\n", &["context"]).fails(1).stderr;
    assert!(
        said.ends_with("install it with nacre plugin install ghcr.io/acme/front:1\n") && said.contains("known are dockerfile"),
        "{said}"
    );
    let said = build(&sandbox, &["--frontend", "x", "context"]).fails(1).stderr;
    assert!(said.starts_with("nacre: unknown build frontend 'x': known are dockerfile"), "{said}");
    let said = build(&sandbox, &["--opt", "x=y", "context"]).fails(1).stderr;
    assert!(said.contains("unknown option 'x' of build frontend 'dockerfile'"), "{said}");
}

#[test]
fn what_users_of_docker_type_is_done_or_refused_with_a_reason() {
    let sandbox = sandbox();
    let words = "buildx build --rm --force-rm=false --compress --platform=local -t app context";
    let built = sandbox.nacre(words.split(' ')).ok().stderr;
    let id = inspect(&sandbox, "app")["Id"].as_str().unwrap().to_owned();
    assert!(built.ends_with(&format!("\nBuilt {id}\nTagged docker.io/library/app:latest\n")), "{built}");
    let nowhere = build(&sandbox, &["-o", "type=cacheonly", "context"]).ok().stderr;
    assert!(!nowhere.contains("Built"), "{nowhere}");
    build(&sandbox, &["--output", "type=image,\"name=a:1,b:1\"", "context"]).ok();
    assert_eq!((inspect(&sandbox, "a:1")["Id"].as_str(), inspect(&sandbox, "b:1")["Id"].as_str()), (Some(&*id), Some(&*id)));
    for (words, why) in [
        ("buildx build --squash context", "--squash is not supported: write a file of several stages"),
        ("image build -m 1g context", "-m is not supported: "),
        ("build --call outline context", "invalid value 'outline'"),
    ] {
        let said = sandbox.nacre(words.split(' ')).fails(2).stderr;
        assert!(said.contains(why), "{words}: {said}");
    }
    let absent = build(&sandbox, &["context/src"]).fails(1).stderr;
    assert_eq!(absent, "nacre: there is no context/src/Dockerfile: name the file of the build with -f\n");
}

#[test]
fn rules_are_asked_before_an_image_has_a_name() {
    let sandbox = sandbox();
    fs::write(sandbox.config(), "[plugins.rules]\nrequired-labels = [\"team=web\"]\n").unwrap();
    let denied = build(&sandbox, &["-t", "app:1", "context"]).fails(1).stderr;
    assert!(denied.contains("nacre: building docker.io/library/app:1 is denied by nacre/rules: "), "{denied}");
    assert!(sandbox.nacre(["images", "-q", "-a"]).ok().lines().is_empty());
    build(&sandbox, &["-t", "app:1", "--label", "team=web", "context"]).ok();
    sandbox.nacre(["inspect", "app:1"]).ok();
}

#[test]
fn progress_is_for_programs_too() {
    let sandbox = sandbox();
    let said = sandbox.nacre(["build", "--progress", "json", "context"]).ok().stderr;
    let events: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let copied = events.iter().find(|event| event["event"] == "begin" && event["name"].as_str().unwrap().contains("COPY src")).unwrap();
    assert!(events.iter().any(|event| event["event"] == "end" && event["step"] == copied["step"] && event["cached"] == false), "{said}");
    let quiet = sandbox.nacre(["build", "--progress", "quiet", "context"]).ok();
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
}

#[test]
fn a_cache_is_lent_to_others() {
    let (mine, yours) = (sandbox(), sandbox());
    let registry = Sandbox::new();
    let server = registry.serve();
    let name = server.name("cache:1");
    let cache = mine.path("cache").display().to_string();
    build(
        &mine,
        &["--cache-to", &format!("type=local,dest={cache},mode=max"), "--cache-to", &format!("type=registry,ref={name}"), "context"],
    )
    .ok();
    for from in [format!("type=local,src={cache}"), name] {
        let other = sandbox();
        let said = build(&other, &["--cache-from", &from, "context"]).ok().stderr;
        assert_eq!(said.matches(" CACHED\n").count(), 2, "{from}: {said}");
        whole(&other);
    }
    let missing = build(&yours, &["--cache-from", "type=local,src=/nowhere", "context"]).ok().stderr;
    assert!(missing.contains("nacre: --cache-from type=local,src=/nowhere is not used: "), "{missing}");
    assert!(build(&yours, &["--cache-to", "type=gha", "context"]).fails(1).stderr.contains("there is no type gha"));
}

#[test]
fn what_is_built_can_be_pushed() {
    let (sandbox, registry) = (sandbox(), Sandbox::new());
    let server = registry.serve();
    let name = server.name("app:1");
    build(&sandbox, &["-t", &name, "--push", "context"]).ok();
    Sandbox::new().nacre(["pull", "-q", &name]).ok();
    let absent = server.name("absent:1");
    let said = build_text(&sandbox, &format!("FROM {absent}\n"), &["context"]).fails(1).stderr;
    assert!(said.contains(&format!("failed to resolve source metadata for {absent}: {absent}: not found\n")), "{said}");
    assert!(build(&sandbox, &["--push", "context"]).fails(1).stderr.contains("there is no name to push to"));
}
