//! Inspect and logs.

use nacre_container::{LogOptions, Options, parse};
use nacre_oci::RunConfig;
use serde_json::{Value, json};

use crate::support::{Bench, Image, words};

fn inspected(bench: &Bench, name: &str) -> Value {
    serde_json::to_value(bench.engine.inspect(name).unwrap()).unwrap()
}

#[test]
fn inspect_speaks_dockers_language() {
    let bench = Bench::new();
    let health = json!({"Test": ["CMD", "true"], "Interval": 1_000_000_000});
    let mut config = RunConfig { entrypoint: Some(words("sleep")), cmd: Some(words("5")), env: words("A=image"), ..RunConfig::default() };
    config.rest.insert("Healthcheck".into(), health.clone());
    bench.image(Image { config, ..Image::default() });
    let here = bench.dir.path();
    let container = bench.create(&Options {
        name: Some("box".into()),
        args: words("1000"),
        env: words("Q=1"),
        mounts: vec![
            parse::volume("/tmp:/t:ro", here).unwrap(),
            parse::mount("type=tmpfs,dst=/tm,tmpfs-size=1m", here).unwrap(),
            parse::volume("/anon", here).unwrap(),
        ],
        readonly: true,
        hostname: Some("hh".into()),
        user: Some("12:34".into()),
        cwd: Some("/tmp/".into()),
        stop_timeout: Some(3),
        tty: true,
        stdin: true,
        detach: true,
        ..Options::default()
    });
    let shown = inspected(&bench, "box");
    assert_eq!(shown["Id"], container.id);
    assert_eq!((&shown["Path"], &shown["Args"], &shown["Name"]), (&json!("sleep"), &json!(["1000"]), &json!("/box")));
    assert_eq!(shown["Image"], container.image.to_string());
    let state = json!({"Status": "created", "Running": false, "Paused": false, "Restarting": false, "OOMKilled": false, "Dead": false,
        "Pid": 0, "ExitCode": 0, "Error": "", "StartedAt": "0001-01-01T00:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z"});
    assert_eq!(shown["State"], state);
    let own = json!({"Hostname": "hh", "Domainname": "", "User": "12:34", "AttachStdin": false, "AttachStdout": false,
        "AttachStderr": false, "Tty": true, "OpenStdin": true, "StdinOnce": false, "Env": ["Q=1", "A=image"], "Cmd": ["1000"],
        "Image": "base", "Volumes": {"/anon": {}}, "WorkingDir": "/tmp", "Entrypoint": ["sleep"], "OnBuild": null, "Labels": {},
        "Healthcheck": health, "StopTimeout": 3});
    assert_eq!(shown["Config"], own);
    let host = &shown["HostConfig"];
    assert_eq!((&host["Binds"], &host["NetworkMode"], &host["ReadonlyRootfs"]), (&json!(["/tmp:/t:ro"]), &json!("host"), &json!(true)));
    assert_eq!(host["Mounts"], json!([{"Type": "tmpfs", "Target": "/tm", "TmpfsOptions": {"SizeBytes": 1 << 20}}]));
    let kinds: Vec<(&str, &str, bool)> = shown["Mounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| (mount["Type"].as_str().unwrap(), mount["Destination"].as_str().unwrap(), mount["RW"].as_bool().unwrap()))
        .collect();
    assert_eq!(kinds, [("bind", "/t", false), ("tmpfs", "/tm", true), ("volume", "/anon", true)]);
    let volume = bench.store().root().join("containers").join(&container.id).join("volumes/0");
    assert_eq!(shown["Mounts"][2]["Source"], volume.display().to_string());
    assert!(shown["NetworkSettings"]["Networks"]["host"].is_object());
}

#[test]
fn the_keys_stand_in_dockers_order() {
    let bench = Bench::with_base();
    bench.named("box");
    let text = serde_json::to_string(&bench.engine.inspect("box").unwrap()).unwrap();
    let keys = [
        "Id",
        "Created",
        "Path",
        "Args",
        "State",
        "Status",
        "Running",
        "StartedAt",
        "Image",
        "ResolvConfPath",
        "LogPath",
        "Name",
        "HostConfig",
        "Hostname",
        "AttachStdin",
    ];
    let places: Vec<usize> = keys.iter().map(|key| text.find(&format!("\"{key}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{text}");
}

fn log(bench: &Bench, options: &LogOptions) -> Vec<String> {
    let mut lines = Vec::new();
    bench
        .engine
        .logs("box", options, &mut |line| {
            lines.push(format!("{:?} {} {}", line.stream, line.time, line.text));
            Ok(true)
        })
        .unwrap();
    lines
}

#[test]
fn logs_are_read_as_docker_writes_them() {
    let bench = Bench::with_base();
    let container = bench.named("box");
    assert!(log(&bench, &LogOptions::default()).is_empty(), "it has not run");
    let text = "{\"log\":\"out\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-24T04:07:51.222308686Z\"}\n\
                {\"log\":\"part\",\"stream\":\"stderr\",\"time\":\"2026-11-24T04:07:51.249097722Z\"}\n";
    bench.write(&container, "log", text);
    let both = ["Stdout 2026-11-24T04:07:51.222308686Z out\n", "Stderr 2026-11-24T04:07:51.249097722Z part"];
    assert_eq!(log(&bench, &LogOptions::default()), both);
    assert_eq!(log(&bench, &LogOptions { tail: Some(1), ..LogOptions::default() }), both[1..]);
    // It does not run: there is nothing to wait for.
    assert_eq!(log(&bench, &LogOptions { follow: true, ..LogOptions::default() }), both);
}

#[test]
fn reading_ends_when_no_more_is_wanted() {
    let bench = Bench::with_base();
    let container = bench.named("box");
    let line = "{\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-24T04:07:51Z\"}\n";
    bench.write(&container, "log", &line.repeat(5));
    let mut count = 0;
    bench
        .engine
        .logs("box", &LogOptions::default(), &mut |_| {
            count += 1;
            Ok(count < 2)
        })
        .unwrap();
    assert_eq!(count, 2);
}
