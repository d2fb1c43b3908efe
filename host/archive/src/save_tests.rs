#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{self, Read};

use nacre_oci::{Content, Digest, Memory, Silent};
use nacre_tests::{conformance, images};
use serde_json::Value;

use super::*;
use crate::{
    Archive, Kind,
    testing::{index, open},
};

fn names(texts: &[&str]) -> Vec<Reference> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn docker(memory: &Memory, images: &[(Descriptor, Vec<Reference>)], select: &Select) -> Vec<u8> {
    write_docker_archive(memory, images, select, &Silent, Vec::new()).unwrap()
}

fn json(bytes: &[u8], name: &str) -> Value {
    serde_json::from_slice(&index(bytes).unwrap().read(name, 1 << 20).unwrap().unwrap()).unwrap()
}

fn digests_through(archive: &Archive, root: &Descriptor) -> Vec<Digest> {
    let target = Memory::new();
    copy(archive, &target, root, &[], &conformance::everything()).unwrap();
    target.digests()
}

#[test]
fn what_was_saved_is_what_is_loaded() {
    let memory = Memory::new();
    let root = images::multi_platform(&memory);
    let bytes = docker(&memory, &[(root.clone(), names(&["busybox:1", "ghcr.io/a/b:2"]))], &Select::All);
    let archive = open(&bytes).unwrap();
    assert_eq!(archive.images()[0].names, names(&["busybox:1", "ghcr.io/a/b:2"]));
    assert_eq!(archive.images()[0].tags, ["1", "2"]);
    conformance::source(&archive, &root, "ghcr.io/a/b:2");
    assert_eq!(digests_through(&archive, &root), memory.digests());
    let oci = write_oci_archive(&memory, &[(root.clone(), vec!["v1".into()])], &Select::All, &Silent, Vec::new()).unwrap();
    let archive = open(&oci).unwrap();
    conformance::source(&archive, &root, "v1");
    assert_eq!(digests_through(&archive, &root), memory.digests());
    assert!(index(&oci).unwrap().find("manifest.json").unwrap().is_none());
}

#[test]
fn the_same_images_give_the_same_bytes_without_times_and_owners() {
    let memory = Memory::new();
    let images = [(images::multi_platform(&memory), names(&["a:1"])), (images::image(&memory, &images::Recipe::default()), vec![])];
    let bytes = docker(&memory, &images, &Select::All);
    assert_eq!(bytes, docker(&memory, &images, &Select::All));
    let mut seen = Vec::new();
    for entry in ::tar::Archive::new(bytes.as_slice()).entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.mtime().unwrap(), header.uid().unwrap(), header.gid().unwrap()), (0, 0, 0));
        seen.push(entry.path().unwrap().display().to_string());
    }
    assert_eq!(seen[..2], ["blobs/", "blobs/sha256/"]);
    assert_eq!(seen[seen.len() - 3..], ["index.json", "manifest.json", "oci-layout"]);
    let mut once = seen.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), seen.len(), "content is written once");
}

#[test]
fn manifest_json_has_the_image_for_this_machine_or_the_first_that_is_there() {
    let memory = Memory::new();
    let one = |platform| images::image(&memory, &images::Recipe { platform, ..images::Recipe::default() });
    let host = Platform::host().to_string();
    let (mine, other) = (one(host.as_str()), one("linux/s390x"));
    let root = images::index(&memory, &[other.clone(), mine.clone()]);
    let config = |memory: &Memory, image: &Descriptor| match read_document(memory, image).unwrap().1 {
        Document::Manifest(manifest) => blob_path(&manifest.config.digest),
        Document::Index(_) => panic!("a manifest"),
    };
    let both = docker(&memory, &[(root.clone(), names(&["busybox:1", "a/b"]))], &Select::All);
    let item = &json(&both, "manifest.json")[0];
    assert_eq!(item["Config"], config(&memory, &mine));
    assert_eq!(item["RepoTags"], serde_json::json!(["busybox:1"]), "a name without a tag is none of Docker's tags");
    assert_eq!(item["Layers"].as_array().unwrap().len(), 1);
    let select = Select::Platforms(vec!["linux/s390x".parse().unwrap()]);
    let foreign = docker(&memory, &[(root, vec![])], &select);
    assert_eq!(json(&foreign, "manifest.json")[0]["Config"], config(&memory, &other));
}

#[test]
fn an_artifact_is_in_the_layout_only_and_docker_reads_the_rest() {
    let memory = Memory::new();
    let artifact = Manifest {
        schema_version: 2,
        media_type: media_type::OCI_MANIFEST.into(),
        artifact_type: Some("text/x".into()),
        config: memory.add("application/vnd.oci.empty.v1+json", b"{}".as_slice()),
        layers: vec![],
        subject: None,
        annotations: std::collections::BTreeMap::new(),
    };
    let artifact = memory.add(media_type::OCI_MANIFEST, serde_json::to_vec(&artifact).unwrap());
    let image = images::image(&memory, &images::Recipe { docker: true, ..images::Recipe::default() });
    let bytes = docker(&memory, &[(artifact, names(&["x:a"])), (image, names(&["x:i"]))], &Select::All);
    assert_eq!(open(&bytes).unwrap().images().len(), 2);
    assert_eq!(json(&bytes, "manifest.json").as_array().unwrap().len(), 1);
    // The same tar as a reader of the older format sees it.
    let mut old = ::tar::Builder::new(Vec::new());
    for entry in ::tar::Archive::new(bytes.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let (mut header, name) = (entry.header().clone(), entry.path().unwrap().display().to_string());
        if name != "oci-layout" {
            old.append_data(&mut header, name, &mut entry).unwrap();
        }
    }
    let old = open(&old.into_inner().unwrap()).unwrap();
    assert_eq!((old.kind(), &old.images()[0].names), (Kind::Docker, &names(&["x:i"])));
    digests_through(&old, &old.images()[0].descriptor);
}

#[test]
fn the_writer_refuses_damage_and_is_spoilt_only_by_what_is_half_written() {
    conformance::refuses_damage(&TarWriter::new(Vec::new()));
    let writer = TarWriter::new(Vec::new());
    let (memory, bytes) = (Memory::new(), images::noise(3 << 20, 9));
    let large = Descriptor::of(media_type::OCI_LAYER, &bytes);
    memory.add_unchecked(large.digest.clone(), &bytes[1..]);
    assert!(writer.put(&large, &Content::new(&memory, &large, &Silent)).is_err());
    assert!(!writer.contains(&large).unwrap());
    memory.add(media_type::OCI_LAYER, bytes);
    assert!(writer.put(&large, &Content::new(&memory, &large, &Silent)).is_err(), "it went on after a spoilt member");
    assert!(writer.finish(&[]).is_err());
}

#[test]
fn long_digests_and_a_full_disk() {
    let memory = Memory::new();
    let layer = images::layer("a", b"a");
    let mut hasher = nacre_oci::Hasher::new(nacre_oci::Algorithm::Sha512);
    hasher.update(&layer);
    memory.add_unchecked(hasher.digest(), layer.clone());
    let long = Descriptor::new(media_type::OCI_LAYER, hasher.digest(), layer.len() as u64);
    let writer = TarWriter::new(Vec::new());
    writer.put(&long, &Content::new(&memory, &long, &Silent)).unwrap();
    let archive = open(&writer.finish(&[]).unwrap()).unwrap();
    assert_eq!(nacre_oci::read_small(&archive, &long, 1 << 20).unwrap(), layer);
    let root = images::multi_platform(&memory);
    for space in [0, 600, 40_000, 80_000] {
        let out = Full { left: space };
        assert!(write_oci_archive(&memory, &[(root.clone(), vec![])], &Select::All, &Silent, out).is_err(), "{space} bytes were enough");
    }
}

/// A disk with so much space.
struct Full {
    left: usize,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let count = bytes.len().min(self.left);
        self.left -= count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn sparse_indexes_are_saved_as_they_are() {
    let (full, part) = (Memory::new(), Memory::new());
    let root = images::multi_platform(&full);
    let select = Select::Platforms(vec!["linux/arm64".parse().unwrap()]);
    copy(&full, &part, &root, &[], &Options { select, ..conformance::everything() }).unwrap();
    let archive = open(&docker(&part, &[(root.clone(), names(&["a:1"]))], &Select::Present)).unwrap();
    nacre_oci::validate(&archive, &root, &Select::Present).unwrap();
    assert!(nacre_oci::validate(&archive, &root, &Select::All).is_err());
    let mut index = Vec::new();
    archive.open_unverified(&root, 0).unwrap().read_to_end(&mut index).unwrap();
    assert_eq!(Digest::of(&index), root.digest);
}
