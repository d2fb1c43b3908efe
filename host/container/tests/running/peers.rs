//! The same containers made by dockerd: the same options, the same settings.

use nacre_container::{CommitOptions, Engine, Options, parse};
use nacre_oci::{RunConfig, change};
use nacre_tests::dockerd::Docker;
use serde_json::{Value, json};

use crate::support::{Bench, can_run};

/// What the image says.
const CHANGES: [&str; 10] = [
    "ENV PATH=/bin A=image B=two",
    "ENTRYPOINT [\"/bin/sh\", \"-c\"]",
    "CMD [\"true\", \"and more\"]",
    "LABEL a=image b=image",
    "USER 12:34",
    "WORKDIR /srv/here",
    "VOLUME /data /volume",
    "EXPOSE 80",
    "HEALTHCHECK --interval=5s CMD true",
    "ONBUILD RUN later",
];

/// Docker's arguments, and the same as options.
type Case = (&'static [&'static str], fn(&mut Options));

const CASES: &[Case] = &[
    (&["IMAGE"], |_| {}),
    (&["IMAGE", "a", "b c"], |options| options.args = words(&["a", "b c"])),
    (&["--entrypoint", "env", "IMAGE"], |options| options.entrypoint = Some(words(&["env"]))),
    (&["--entrypoint", "env", "IMAGE", "x"], |options| {
        options.entrypoint = Some(words(&["env"]));
        options.args = words(&["x"]);
    }),
    (&["--entrypoint", "", "IMAGE", "x"], |options| {
        options.entrypoint = Some(Vec::new());
        options.args = words(&["x"]);
    }),
    (&["-e", "B", "-e", "GONE", "-e", "A=mine", "-e", "C=", "IMAGE"], |options| options.env = words(&["B", "GONE", "A=mine", "C="])),
    (&["-e", "X=1", "-e", "X=2", "-t", "-h", "hh", "IMAGE"], |options| {
        options.env = words(&["X=1", "X=2"]);
        options.tty = true;
        options.hostname = Some("hh".into());
    }),
    (&["-w", "/a/../b/", "-u", "root", "IMAGE"], |options| {
        options.cwd = Some("/a/../b/".into());
        options.user = Some("root".into());
    }),
    (&["--label", "a=mine", "--label", "c", "IMAGE"], |options| {
        options.labels = vec![("a".into(), "mine".into()), ("c".into(), String::new())];
    }),
    (&["-i", "IMAGE"], |options| options.stdin = true),
    (&["--read-only", "--rm", "--stop-signal", "SIGINT", "--stop-timeout", "3", "IMAGE"], |options| {
        (options.readonly, options.remove) = (true, true);
        options.stop_signal = Some("SIGINT".into());
        options.stop_timeout = Some(3);
    }),
    (&["-v", "/tmp:/data:ro", "-v", "/anon", "--mount", "type=tmpfs,dst=/memory,tmpfs-size=1m", "IMAGE"], |options| {
        let here = std::path::Path::new("/");
        let mount = parse::mount("type=tmpfs,dst=/memory,tmpfs-size=1m", here).unwrap();
        options.mounts = vec![parse::volume("/tmp:/data:ro", here).unwrap(), parse::volume("/anon", here).unwrap(), mount];
    }),
    (&["--mount", "type=bind,src=/tmp,dst=/volume,readonly", "IMAGE"], |options| {
        options.mounts = vec![parse::mount("type=bind,src=/tmp,dst=/volume,readonly", std::path::Path::new("/")).unwrap()];
    }),
    (&["--network", "none", "-h", "hh", "IMAGE"], |options| {
        options.network = nacre_runtime::Network::None;
        options.hostname = Some("hh".into());
    }),
];

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

#[test]
fn containers_are_described_as_docker_does() {
    if !can_run() {
        return;
    }
    let Some(docker) = Docker::start() else { return };
    let bench = Bench::new();
    image(&bench, &docker);
    let mut differences = Vec::new();
    for (args, set) in CASES {
        let mut options = Options::default();
        set(&mut options);
        let ours = bench.create("peer", &options);
        let ours = serde_json::to_value(bench.engine.inspect(&ours.id).unwrap()).unwrap();
        let mut command = vec!["create"];
        command.extend((!args.contains(&"--network")).then_some("--network=host"));
        command.extend(args.iter().map(|arg| if *arg == "IMAGE" { "peer" } else { arg }));
        let id = docker.ok(&command);
        let theirs: Value = serde_json::from_str(&docker.ok(&["inspect", id.trim()])).unwrap();
        compare(&args.join(" "), &ours, &theirs[0], &mut differences);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The same image in both stores.
fn image(bench: &Bench, docker: &Docker) {
    let folder = tempfile::tempdir().unwrap();
    let tar = folder.path().join("base.tar");
    std::fs::write(&tar, crate::support::layer()).unwrap();
    let mut import = vec!["import"];
    CHANGES.iter().for_each(|text| import.extend(["-c", text]));
    let tar = tar.display().to_string();
    import.extend([tar.as_str(), "peer"]);
    docker.ok(&import);
    let mut config = RunConfig::default();
    change(&mut config, &words(&CHANGES)).unwrap();
    crate::support::image(bench.store(), "peer", config);
}

/// Where nothing is meant by a difference: what docker says about itself, and ids and times.
fn compare(case: &str, ours: &Value, theirs: &Value, differences: &mut Vec<String>) {
    let mut check = |what: &str, ours: &Value, theirs: &Value| {
        if ours != theirs {
            differences.push(format!("{case}: {what} is {ours}, theirs {theirs}"));
        }
    };
    for key in ["Path", "Args", "State", "RestartCount", "Platform"] {
        check(key, &ours[key], &theirs[key]);
    }
    check("Env", &sorted(&ours["Config"]["Env"]), &sorted(&theirs["Config"]["Env"]));
    for (key, value) in ours["Config"].as_object().unwrap().iter().filter(|(key, _)| *key != "Env") {
        check(key, value, &theirs["Config"][key]);
    }
    for key in theirs["Config"].as_object().unwrap().keys().filter(|key| *key != "Env") {
        check(key, &ours["Config"][key], &theirs["Config"][key]);
    }
    for (key, value) in ours["HostConfig"].as_object().unwrap() {
        check(key, value, &theirs["HostConfig"][key]);
    }
    check("Mounts", &mounts(ours), &mounts(theirs));
}

/// Docker's order of variables without a value is any.
fn sorted(list: &Value) -> Value {
    let mut words: Vec<String> = list.as_array().into_iter().flatten().map(ToString::to_string).collect();
    words.sort();
    words.into()
}

fn mounts(inspected: &Value) -> Value {
    let mut list: Vec<Value> = inspected["Mounts"].as_array().unwrap().clone();
    list.iter_mut().for_each(|mount| {
        let volume = mount["Type"] == "volume";
        let mount = mount.as_object_mut().unwrap();
        // Docker's volumes have a name and a place of their own. What is mounted on the host later does not concern ours.
        volume.then(|| mount.extend([("Name".to_owned(), json!("")), ("Source".to_owned(), json!(""))]));
        mount.remove("Propagation");
    });
    list.sort_by_key(|mount| mount["Destination"].to_string());
    list.into()
}

/// `-c` of a commit.
const COMMITS: &[&[&str]] = &[
    &[],
    &["CMD [\"x\"]"],
    &["CMD x y"],
    &["ENTRYPOINT [\"x\"]"],
    &["ENTRYPOINT [\"x\"]", "CMD [\"y\"]"],
    &["CMD [\"y\"]", "ENTRYPOINT [\"x\"]"],
    &["CMD []"],
    &["ENTRYPOINT []"],
    &["ENV A=changed N=new", "LABEL a=changed n=new"],
    &["USER 0", "WORKDIR rel", "EXPOSE 53/udp", "VOLUME /more"],
    &["HEALTHCHECK NONE", "ONBUILD RUN x"],
    &["HEALTHCHECK --retries=3 CMD other"],
];

#[test]
fn commits_are_configured_as_dockers() {
    if !can_run() {
        return;
    }
    let Some(docker) = Docker::start() else { return };
    let bench = Bench::new();
    image(&bench, &docker);
    let env = words(&["A=mine", "C=c"]);
    let ours = bench.create("peer", &Options { env, args: words(&["echo", "hi"]), ..Options::default() });
    let theirs = docker.ok(&["create", "--network=host", "-e", "A=mine", "-e", "C=c", "peer", "echo", "hi"]);
    let mut differences = Vec::new();
    for changes in COMMITS {
        let mut command = vec!["commit"];
        changes.iter().for_each(|text| command.extend(["-c", text]));
        command.push(theirs.trim());
        let id = docker.ok(&command);
        let theirs: Value = serde_json::from_str(&docker.ok(&["inspect", id.trim()])).unwrap();
        let ours = config(&bench.engine, &ours.id, changes, &bench);
        for key in ["Env", "Cmd", "Entrypoint", "Labels", "User", "WorkingDir", "ExposedPorts", "Volumes", "Healthcheck", "OnBuild"] {
            // What is empty is left out by us, and null, empty or left out by Docker.
            let empty = |value: &Value| value.is_null() || *value == json!("") || *value == json!([]) || *value == json!({});
            let (one, other) = (&ours[key], &theirs[0]["Config"][key]);
            if one != other && !(empty(one) && empty(other)) {
                differences.push(format!("{changes:?}: {key} is {one}, theirs {other}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn config(engine: &Engine, container: &str, changes: &[&str], bench: &Bench) -> Value {
    let options = CommitOptions { changes: words(changes), ..CommitOptions::default() };
    let image = engine.commit(container, &options).unwrap().image;
    serde_json::to_value(bench.image(&image).0.config).unwrap()
}
