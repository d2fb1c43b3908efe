//! `nacre inspect` of images in the store.

use std::collections::BTreeMap;

use nacre_oci::{Digest, Memory, media_type};
use nacre_tests::{
    images::{Recipe, image, index, layer, multi_platform},
    sandbox::Sandbox,
};
use serde_json::{Value, json};

use crate::fixture::{add_labelled, put, store};

fn labelled() -> (Sandbox, Digest) {
    let sandbox = Sandbox::new();
    let memory = Memory::new();
    let layers = vec![layer("a", b"a"), layer("b", b"b")];
    let labels = [("maintainer", "acme"), ("com.acme.tier", "web")];
    let root = image(&memory, &Recipe { labels: &labels, layers, created: "2024-02-03T04:05:06.789Z", ..Recipe::default() });
    let id = put(&sandbox, &memory, &root, &["acme/web:1", "acme/web:2", "registry.example/web:1"]);
    (sandbox, id)
}

#[test]
fn dockers_templates_work() {
    let (sandbox, id) = labelled();
    let show = |template: &str| sandbox.nacre(["inspect", "-f", template, "acme/web:1"]).ok().stdout;
    let layers = [Digest::of(&layer("a", b"a")), Digest::of(&layer("b", b"b"))];
    for (template, expected) in [
        ("{{.Id}}", id.to_string()),
        ("{{.Config.Labels}}", "map[com.acme.tier:web maintainer:acme]".into()),
        ("{{json .Config.Labels}}", r#"{"com.acme.tier":"web","maintainer":"acme"}"#.into()),
        (r#"{{index .Config.Labels "com.acme.tier"}}"#, "web".into()),
        (r#"{{index .Config.Labels "none"}}"#, String::new()),
        ("{{.Config.Labels.maintainer}}", "acme".into()),
        ("{{index .RepoTags 0}}", "acme/web:1".into()),
        ("{{json .RepoTags}}", r#"["acme/web:1","acme/web:2","registry.example/web:1"]"#.into()),
        ("{{index .RepoDigests 0}}", format!("acme/web@{id}")),
        ("{{len .RepoDigests}}", "2".into()),
        ("{{range .RootFS.Layers}}{{println .}}{{end}}", format!("{}\n{}\n", layers[0], layers[1])),
        ("{{.RootFS.Type}} {{len .RootFS.Layers}}", "layers 2".into()),
        ("{{.Os}}/{{.Architecture}}{{with .Variant}}/{{.}}{{end}}", "linux/amd64".into()),
        ("{{.Created}}", "2024-02-03T04:05:06.789Z".into()),
        ("{{json .Config.Cmd}} {{.Config.Cmd}}", r#"["/bin/sh"] [/bin/sh]"#.into()),
        ("{{json .Config.Env}}{{json .Config.Entrypoint}}", "[]null".into()),
        ("{{if .Config.User}}user{{else}}root{{end}}", "root".into()),
        ("{{.Config.WorkingDir}}{{.Author}}{{.Comment}}", String::new()),
        ("{{json .Pinned}} {{json .Platforms}}", r#"false ["linux/amd64"]"#.into()),
        ("{{.Descriptor.mediaType}}", "application/vnd.oci.image.manifest.v1+json".into()),
    ] {
        assert_eq!(show(template), expected + "\n", "{template}");
    }
    let config: Value = serde_json::from_str(&show("{{json .Config}}")).unwrap();
    assert_eq!((&config["Labels"]["maintainer"], &config["Volumes"]), (&"acme".into(), &json!({})));
}

#[test]
fn without_a_template_it_is_a_list_with_dockers_fields() {
    let (sandbox, id) = labelled();
    let output = sandbox.nacre(["image", "inspect", "acme/web:1", id.short()]).ok();
    assert!(output.stdout.starts_with(&format!("[\n    {{\n        \"Id\": \"{id}\",\n        \"RepoTags\": [\n")), "{}", output.stdout);
    let list: Vec<BTreeMap<String, Value>> = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!((list.len(), &list[0]), (2, &list[1]));
    for field in "Id RepoTags RepoDigests Comment Created Author Config Architecture Os Size RootFS Metadata".split(' ') {
        assert!(list[0].contains_key(field), "{field}");
    }
    assert_eq!(list[0]["Size"].as_u64(), store(&sandbox).image(&id).unwrap().map(|image| image.size));
    let line = sandbox.nacre(["inspect", "-f", "json", "acme/web:1"]).ok();
    assert_eq!(serde_json::from_str::<Value>(&line.stdout).unwrap()[0]["Id"], id.to_string());
}

#[test]
fn what_is_missing_fails_and_the_rest_is_shown() {
    let (sandbox, id) = labelled();
    let output = sandbox.nacre(["inspect", "-f", "{{.Id}}", "ghost", "acme/web:1", "acme/web:3"]).fails(1);
    assert_eq!(output.stdout, format!("{id}\n"));
    assert_eq!(output.stderr, "nacre: No such object: ghost\nnacre: No such object: acme/web:3\n");
    let image = sandbox.nacre(["image", "inspect", "ghost"]).fails(1);
    assert_eq!(image.stderr, "nacre: image 'ghost' was not found\n");
    let none = sandbox.nacre(["inspect", "ghost"]).fails(1);
    assert_eq!(none.stdout, "[]\n", "as Docker does");
    let wrong = sandbox.nacre(["inspect", "-f", "{{.Nope}}", "acme/web:1"]).fails(1);
    let line = "nacre: template parsing error: template: :1:2: executing \"\" at <.Nope>: can't evaluate field Nope\n";
    assert_eq!((wrong.stdout.as_str(), wrong.stderr.as_str()), ("", line));
    sandbox.nacre(["inspect"]).fails(2);
}

#[test]
fn platforms_of_an_index() {
    let sandbox = Sandbox::new();
    let memory = Memory::new();
    let id = put(&sandbox, &memory, &multi_platform(&memory), &["app:1"]);
    let show = |arguments: &[&str]| {
        let template = "{{.Id}} {{.Architecture}} {{json .Platforms}}";
        sandbox.nacre(["inspect", "-f", template, "app:1"].iter().chain(arguments))
    };
    let expected = |arch: &str| format!("{id} {arch} [\"linux/amd64\",\"linux/arm64\"]\n");
    assert_eq!(show(&["--platform", "linux/arm64"]).ok().stdout, expected("arm64"));
    assert_eq!(show(&["--platform", "linux/amd64"]).ok().stdout, expected("amd64"));
    let other = show(&["--platform", "linux/riscv64"]).fails(1);
    let line = format!("nacre: no manifest for linux/riscv64 in image {}; it has linux/amd64, linux/arm64\n", id.short());
    assert_eq!((other.stdout.as_str(), other.stderr), ("", line));
    let bad = show(&["--platform", "a/b/c/d"]).fails(2);
    assert!(bad.stderr.contains("write OS/ARCHITECTURE[/VARIANT], such as linux/arm64/v8"), "{}", bad.stderr);
}

/// Only one platform of an index was fetched.
#[test]
fn a_sparse_index_shows_what_is_there() {
    let sandbox = Sandbox::new();
    let memory = Memory::new();
    let arm = image(&memory, &Recipe { platform: "linux/s390x", ..Recipe::default() });
    let mut missing = arm.clone();
    missing.digest = Digest::of(b"not here");
    missing.platform = Some("linux/amd64".parse().unwrap());
    let root = index(&memory, &[missing, arm]);
    put(&sandbox, &memory, &root, &["app:1"]);
    let output = sandbox.nacre(["inspect", "-f", "{{.Architecture}} {{json .Platforms}}", "app:1"]).ok();
    assert_eq!(output.stdout, "s390x [\"linux/amd64\",\"linux/s390x\"]\n");
    let line = sandbox.nacre(["inspect", "--platform", "linux/amd64", "app:1"]).fails(1).stderr;
    assert!(line.contains("linux/amd64") && line.contains("nacre pull --platform linux/amd64"), "{line}");
}

/// An OCI artifact has no image config.
#[test]
fn an_artifact_shows_what_it_has() {
    let sandbox = Sandbox::new();
    let memory = Memory::new();
    let (empty, sbom) = (memory.add("application/vnd.oci.empty.v1+json", *b"{}"), memory.add("text/spdx", *b"sbom"));
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "artifactType": "application/vnd.acme.sbom",
        "config": empty, "layers": [sbom],
    });
    let root = memory.add(media_type::OCI_MANIFEST, manifest.to_string().into_bytes());
    put(&sandbox, &memory, &root, &["sbom:1"]);
    let template = "{{(index .Layers 0).mediaType}} {{json .Platforms}} {{json .RootFS.Layers}} {{.Descriptor.artifactType}}";
    let shown = sandbox.nacre(["inspect", "-f", template, "sbom:1"]).ok();
    assert_eq!(shown.stdout, "text/spdx [] [] application/vnd.acme.sbom\n");
    let labels = r#"[{{index .Config.Labels "x"}}] {{len .Config.Labels}} {{range .Config.Volumes}}x{{end}} {{.Config.Labels}}"#;
    assert_eq!(sandbox.nacre(["inspect", "-f", labels, "sbom:1"]).ok().stdout, "[] 0  map[]\n", "as an image without labels");
    let history = sandbox.nacre(["history", "sbom:1"]).fails(1);
    let line = format!("nacre: {} is an artifact of type application/vnd.acme.sbom and has no history\n", root.digest.short());
    assert_eq!((history.stdout.as_str(), history.stderr), ("", line));
    let listed = sandbox.nacre(["images", "--format", "{{.Repository}} {{.CreatedSince}} [{{.Platforms}}]"]).ok();
    assert_eq!(listed.stdout, "sbom N/A []\n");
}

#[test]
fn what_only_the_store_knows() {
    let sandbox = Sandbox::new();
    add_labelled(&sandbox, &["a:1"], 1, &[]);
    sandbox.nacre(["pin", "a:1"]).ok();
    let output = sandbox.nacre(["inspect", "-f", "{{.Pinned}} {{.Metadata.LastTagTime}}", "a:1"]).ok();
    assert!(output.stdout.starts_with("true 20"), "{}", output.stdout);
}
