//! `nacre history`.

use nacre_oci::{Descriptor, Digest, History, ImageConfig, Manifest, Memory, media_type};
use nacre_tests::{
    images::{layer, multi_platform, noise},
    sandbox::Sandbox,
};

use crate::fixture::{hours_ago, in_utc, put};

/// An image with two layers and a step that made none.
fn built(sandbox: &Sandbox) -> Digest {
    let memory = Memory::new();
    let step = |hours: i64, by: &str, comment: Option<&str>, empty_layer: bool| History {
        created: Some(if hours == 0 { "1970-01-01T00:00:00Z".into() } else { hours_ago(hours) }),
        created_by: Some(by.to_owned()),
        comment: comment.map(str::to_owned),
        empty_layer,
        ..History::default()
    };
    let layers = [layer("base", &noise(2_000, 1)), layer("app", &noise(20_000, 2))];
    let mut config = ImageConfig { architecture: "amd64".into(), os: "linux".into(), ..ImageConfig::default() };
    config.history = vec![
        step(0, "/bin/sh -c #(nop) ADD file:1 in /", None, false),
        step(50, "ENV A=1", Some("buildkit.dockerfile.v0"), true),
        step(3, &format!("RUN |0 make\tall && {}", "x".repeat(50)), None, false),
    ];
    config.rootfs.diff_ids = layers.iter().map(|tar| Digest::of(tar)).collect();
    let manifest = Manifest {
        schema_version: 2,
        media_type: media_type::OCI_MANIFEST.into(),
        artifact_type: None,
        config: memory.add(media_type::OCI_CONFIG, config.to_bytes()),
        layers: layers.iter().map(|tar| memory.add(media_type::OCI_LAYER, tar.clone())).collect(),
        subject: None,
        annotations: Default::default(),
    };
    let root: Descriptor = memory.add(media_type::OCI_MANIFEST, serde_json::to_vec(&manifest).unwrap());
    put(sandbox, &memory, &root, &["app:1"])
}

#[test]
fn newest_first_as_docker() {
    let sandbox = Sandbox::new();
    let id = built(&sandbox);
    let cut = format!("RUN |0 make all && {}…", "x".repeat(25));
    let expected = format!(
        "{:<15}{:<14}{:<48}{:<10}COMMENT\n{:<15}3 hours ago   {cut}   22kB      \n{:<15}2 days ago    {:<48}0B        buildkit.dockerfile.v0\n{:<15}N/A           {:<48}3.58kB    \n",
        "IMAGE",
        "CREATED",
        "CREATED BY",
        "SIZE",
        id.short(),
        "<missing>",
        "ENV A=1",
        "<missing>",
        "/bin/sh -c #(nop) ADD file:1 in /",
    );
    assert_eq!(sandbox.nacre(["history", "app:1"]).ok().stdout, expected);
    assert_eq!(sandbox.nacre(["image", "history", id.short()]).ok().stdout, expected);
}

#[test]
fn options() {
    let sandbox = Sandbox::new();
    let before = hours_ago(3);
    let id = built(&sandbox);
    let lines = |arguments: &[&str]| {
        let output = in_utc(&sandbox, ["history", "app:1"].iter().chain(arguments)).ok();
        output.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(&["-q"]), [id.short(), "<missing>", "<missing>"]);
    assert_eq!(lines(&["-q", "--no-trunc"]), [&id.to_string(), "<missing>", "<missing>"]);
    let whole = lines(&["--no-trunc"]);
    assert!(whole[1].starts_with(&id.to_string()) && whole[1].contains(&format!("make all && {}", "x".repeat(50))), "{}", whole[1]);
    let exact = lines(&["-H=false"]);
    assert!(exact[0].starts_with("IMAGE          CREATED AT "), "{}", exact[0]);
    let is_then = [before, hours_ago(3)].iter().any(|then| exact[1].contains(&then[..13]));
    assert!(exact[1].contains("   22016  ") && is_then, "{}", exact[1]);
    assert!(exact[3].contains("1970-01-01T00:00:00Z"), "{}", exact[3]);
    assert_eq!(lines(&["--human=false"]), exact);
    assert_eq!(lines(&["--format", "{{.Size}} {{.Comment}}"]), ["22kB ", "0B buildkit.dockerfile.v0", "3.58kB "]);
    assert_eq!(lines(&["-H=false", "--format", "{{.Size}}"]), ["22016", "0", "3584"]);
    assert_eq!(lines(&["--format", "table {{.Size}}"]), ["SIZE", "22kB", "0B", "3.58kB"]);
    let json: serde_json::Value = serde_json::from_str(&lines(&["--format", "json"])[1]).unwrap();
    assert_eq!((&json["ID"], &json["CreatedSince"], &json["Size"]), (&"<missing>".into(), &"2 days ago".into(), &"0B".into()));
}

#[test]
fn platforms_and_what_is_missing() {
    let sandbox = Sandbox::new();
    let memory = Memory::new();
    put(&sandbox, &memory, &multi_platform(&memory), &["app:1"]);
    let sizes = |platform: &str| sandbox.nacre(["history", "--format", "{{.CreatedBy}}", "--platform", platform, "app:1"]);
    assert_eq!(sizes("linux/arm64").ok().lines(), ["ADD layer 1", "ADD layer 0"]);
    let none = sizes("linux/s390x").fails(1);
    assert!(none.stderr.contains("it has linux/amd64, linux/arm64"), "{}", none.stderr);
    let missing = sandbox.nacre(["history", "ghost"]).fails(1);
    assert_eq!((missing.stdout.as_str(), missing.stderr.as_str()), ("", "nacre: image 'ghost' was not found\n"));
}
