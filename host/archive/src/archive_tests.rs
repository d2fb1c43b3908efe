#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write;

use nacre_oci::{Memory, Reference, Select, Silent, copy};
use nacre_tests::{conformance, images};

use crate::{
    testing::{Build, compress, open, refusal},
    write_docker_archive,
};

use super::*;

fn saved() -> (Descriptor, Vec<u8>) {
    let memory = Memory::new();
    let root = images::multi_platform(&memory);
    let names = vec!["busybox:1".parse::<Reference>().unwrap()];
    let bytes = write_docker_archive(&memory, &[(root.clone(), names)], &Select::All, &Silent, Vec::new()).unwrap();
    (root, bytes)
}

#[test]
fn opens_files_and_streams_plain_and_compressed() {
    let (root, bytes) = saved();
    let folder = tempfile::tempdir().unwrap();
    let temp = folder.path().join("made when needed");
    for with in [None, Some(Codec::Gzip), Some(Codec::Zstd), Some(Codec::Xz), Some(Codec::Bzip2)] {
        let packed = with.map_or(bytes.clone(), |codec| compress(codec, &bytes));
        let path = folder.path().join("archive");
        fs::write(&path, &packed).unwrap();
        let archive = Archive::open(&path, &temp, &Silent).unwrap();
        conformance::source(&archive, &root, "busybox:1");
        assert_eq!(archive.kind(), Kind::Oci, "oci-layout wins over manifest.json");
        conformance::source(&Archive::from_reader(packed.as_slice(), "-", &temp, &Silent).unwrap(), &root, "1");
        fs::write(&path, &packed[..packed.len() - 700.min(packed.len() / 2)]).unwrap();
        assert!(Archive::open(&path, &temp, &Silent).is_err(), "truncated {with:?} was accepted");
    }
    assert_eq!(fs::read_dir(&temp).unwrap().count(), 0, "temporary copies have no name");
    assert!(Archive::open(folder.path(), &temp, &Silent).is_err_and(|e| e.to_string().contains("oci:")));
}

#[test]
fn opens_a_fifo() {
    let (root, bytes) = saved();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    std::thread::scope(|scope| {
        scope.spawn(|| File::options().write(true).open(&path).unwrap().write_all(&bytes).unwrap());
        conformance::source(&Archive::open(&path, folder.path(), &Silent).unwrap(), &root, "");
    });
}

#[test]
fn damage_inside_is_found_when_it_is_read() {
    let (root, mut bytes) = saved();
    let at = bytes.windows(11).position(|window| window == b"for amd64\0\0").unwrap();
    bytes[at] ^= 1;
    let archive = open(&bytes).unwrap();
    let error = copy(&archive, &Memory::new(), &root, &[], &conformance::everything()).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
}

#[test]
fn refuses_damaged_layouts_and_bombs() {
    let build = |layout: &str, index: &str| Build::new().file("oci-layout", layout).file("index.json", index).finish();
    let version = r#"{"imageLayoutVersion":"1.0.0"}"#;
    assert!(open(&build(version, r#"{"schemaVersion":2,"manifests":[]}"#)).is_ok_and(|archive| archive.images().is_empty()));
    for (layout, index) in [
        ("", r#"{"schemaVersion":2,"manifests":[]}"#),
        (version, ""),
        (version, "null"),
        (version, r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#),
        (version, r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#),
        (
            version,
            r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:../x","size":1}]}"#,
        ),
    ] {
        refusal(&build(layout, index));
    }
    refusal(&Build::new().file("oci-layout", version).finish());
    refusal(&build(version, &" ".repeat(5 << 20)));
    let stopped = Archive::from_reader(build(version, "").as_slice(), "-", &std::env::temp_dir(), &Stop).err().unwrap();
    assert!(matches!(stopped, Error::Cancelled), "{stopped}");
    let error = refusal(&images::bomb());
    assert!(error.contains("limit"), "{error}");
}

struct Stop;

impl Progress for Stop {
    fn cancelled(&self) -> bool {
        true
    }
}
