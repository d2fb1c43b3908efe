#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Read;

use nacre_oci::{Document, Memory, RootFs, Select, Source, copy, read_document, read_small, validate};
use nacre_tests::{conformance, images};
use serde_json::json;

use crate::{
    Archive, Kind,
    testing::{Build, compress, open, refusal},
};

use super::*;

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids = layers.iter().map(|layer| Digest::of(layer)).collect();
    let rootfs = RootFs { diff_ids, ..RootFs::default() };
    ImageConfig { architecture: "amd64".into(), os: "linux".into(), rootfs, ..ImageConfig::default() }.to_bytes()
}

/// What `docker save` wrote from 1.10 to 24: a folder for each layer, a repeated layer as a symbolic link.
fn old_docker(layers: &[Vec<u8>]) -> Vec<u8> {
    let config = config(&layers.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let name = format!("{}.json", Digest::of(&config).hex());
    let mut build = Build::new();
    for (n, layer) in layers.iter().enumerate() {
        build = build.file(&format!("{n}/VERSION"), "1.0").file(&format!("{n}/json"), "{}");
        build = match layers[..n].iter().position(|earlier| earlier == layer) {
            Some(first) => build.symlink(&format!("{n}/layer.tar"), &format!("../{first}/layer.tar")),
            None => build.file(&format!("{n}/layer.tar"), layer),
        };
    }
    let paths: Vec<String> = (0..layers.len()).map(|n| format!("{n}/layer.tar")).collect();
    let list = json!([{"Config": name, "RepoTags": ["busybox:1", "ghcr.io/a/b:2"], "Layers": paths}]);
    build.file(&name, config).file("manifest.json", list.to_string()).file("repositories", r#"{"busybox":{"1":"1"}}"#).finish()
}

fn layers() -> Vec<Vec<u8>> {
    vec![images::layer("a", &images::noise(90_000, 1)), images::layer("b", b"b"), images::layer("a", &images::noise(90_000, 1))]
}

fn check(archive: &Archive, layers: &[Vec<u8>]) {
    assert_eq!((archive.kind(), archive.images().len()), (Kind::Docker, 1));
    let root = archive.images()[0].descriptor.clone();
    conformance::source(archive, &root, "docker.io/library/busybox:1");
    let (_, Document::Manifest(manifest)) = read_document(archive, &root).unwrap() else { panic!("a manifest") };
    for (descriptor, layer) in manifest.layers.iter().zip(layers) {
        let mut bytes = Vec::new();
        let stored = read_small(archive, descriptor, u64::MAX).unwrap();
        match Codec::detect(&stored) {
            Some(codec) => _ = codec.reader(stored.as_slice()).unwrap().read_to_end(&mut bytes).unwrap(),
            None => bytes = stored,
        }
        assert_eq!(&bytes, layer);
    }
    assert_eq!(manifest.layers.len(), layers.len());
}

#[test]
fn reads_what_docker_1_10_to_24_saved() {
    let archive = open(&old_docker(&layers())).unwrap();
    let names: Vec<String> = archive.images()[0].names.iter().map(Reference::familiar).collect();
    assert_eq!(names, ["busybox:1", "ghcr.io/a/b:2"]);
    check(&archive, &layers());
    assert!(archive.resolve("ghcr.io/a/b:2").is_ok() && archive.resolve("").is_ok() && archive.resolve("@0").is_ok());
}

#[test]
fn takes_compressed_layers_as_they_are() {
    let layers = layers();
    let config = config(&layers.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let archive = Build::new()
        .file("manifest.json", r#"[{"Config":"c","RepoTags":["busybox:1"],"Layers":["0","1","0"]}]"#)
        .file("0", compress(Codec::Gzip, &layers[0]))
        .file("1", compress(Codec::Zstd, &layers[1]))
        .file("c", config)
        .finish();
    let archive = open(&archive).unwrap();
    check(&archive, &layers);
    let (_, document) = read_document(&archive, &archive.images()[0].descriptor).unwrap();
    let types: Vec<&str> = document.children().iter().skip(1).map(|layer| layer.media_type.as_str()).collect();
    assert_eq!(types, [media_type::OCI_LAYER_GZIP, media_type::OCI_LAYER_ZSTD, media_type::OCI_LAYER_GZIP]);
}

#[test]
fn an_image_may_be_without_layers_and_names_and_listed_twice() {
    let item = r#"{"Config":"c","RepoTags":null,"Layers":null}"#;
    let archive = Build::new().file("c", config(&[])).file("manifest.json", format!("[{item},{item}]")).finish();
    let archive = open(&archive).unwrap();
    assert_eq!((archive.images().len(), archive.images()[0].names.len()), (1, 0));
    validate(&archive, &archive.images()[0].descriptor, &Select::All).unwrap();
}

#[test]
fn a_wrong_layer_is_refused() {
    let (right, wrong) = (images::layer("a", b"right"), images::layer("a", b"wrong"));
    let build = |layer: &[u8]| {
        let list = r#"[{"Config":"c","RepoTags":["x:1"],"Layers":["l"]}]"#;
        Build::new().file("c", config(&[&right])).file("manifest.json", list).file("l", layer).finish()
    };
    for with in [Codec::Gzip, Codec::Zstd] {
        assert!(refusal(&build(&compress(with, &wrong))).contains("diff id"));
        assert!(open(&build(&compress(with, &right))).is_ok());
        let packed = compress(with, &right);
        assert!(open(&build(&packed[..packed.len() - 3])).is_err(), "a cut layer was accepted");
    }
    // A plain layer is checked when it is read.
    let archive = open(&build(&wrong)).unwrap();
    let copied = copy(&archive, &Memory::new(), &archive.resolve("x:1").unwrap(), &[], &conformance::everything());
    assert!(matches!(copied, Err(Error::Mismatch { .. })));
}

#[test]
fn refuses_damaged_lists() {
    let layer = images::layer("a", b"a");
    let build = |list: &str| {
        let base = Build::new().file("c", config(&[&layer])).file("l", &layer).file("xz", compress(Codec::Xz, &layer));
        base.symlink("loop", "loop").symlink("out", "../l").file("manifest.json", list).finish()
    };
    assert!(open(&build(r#"[{"Config":"c","RepoTags":[],"Layers":["l"]}]"#)).is_ok());
    for (list, says) in [
        ("", "malformed"),
        ("null", "malformed"),
        ("[]", "lists no image"),
        ("[null]", "malformed"),
        ("[{}]", "malformed"),
        (r#"[{"Config":null,"Layers":["l"]}]"#, "malformed"),
        (r#"[{"Config":"none","Layers":["l"]}]"#, "not there"),
        (r#"[{"Config":"l","Layers":["l"]}]"#, "malformed"),
        (r#"[{"Config":"../c","Layers":["l"]}]"#, "leaves"),
        (r#"[{"Config":"/c","Layers":["l"]}]"#, "absolute"),
        (r#"[{"Config":"c","Layers":["none"]}]"#, "not there"),
        (r#"[{"Config":"c","Layers":["out"]}]"#, "leaves"),
        (r#"[{"Config":"c","Layers":["loop"]}]"#, "circles"),
        (r#"[{"Config":"c","Layers":["xz"]}]"#, "not supported"),
        (r#"[{"Config":"c","Layers":[null]}]"#, "malformed"),
        (r#"[{"Config":"c","Layers":[]}]"#, "layer count mismatch"),
        (r#"[{"Config":"c","Layers":["l","l"]}]"#, "layer count mismatch"),
        (r#"[{"Config":"c","Config":"c","Layers":["l"]}]"#, "twice"),
        (r#"[{"Config":"c","RepoTags":["UPPER:x"],"Layers":["l"]}]"#, "reference"),
        (&format!("[{}]", " ".repeat(2 << 20)), "1 MiB"),
    ] {
        let text = refusal(&build(list));
        assert!(text.contains(says) && !text.contains('\n'), "{list:.80}: {text}");
    }
    assert!(refusal(&Build::new().file("repositories", "{}").finish()).contains("before 1.10"));
    assert!(refusal(&Build::new().file("etc/hello", "x").finish()).contains("neither"));
}
