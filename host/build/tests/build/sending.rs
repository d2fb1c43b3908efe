//! Images with attestations, and images as they are sent.

use std::collections::BTreeMap;

use nacre_build::{Mode, Provenance, Slsa, attest, compress_image};
use nacre_layer::Compression;
use nacre_oci::{
    Descriptor, Digest, Document, Index, Manifest, Options, Select, Silent, Source, copy, media_type, read_document, read_small, validate,
};
use serde_json::Value;

use crate::support::{Fixture, Graph, NOW};

fn provenance(mode: Mode) -> Provenance {
    Provenance {
        mode,
        slsa: Slsa::V1,
        version: "1.2.3".into(),
        frontend: "dockerfile".into(),
        frontend_digest: Digest::of(b"the plugin"),
        file: "Dockerfile".into(),
        parameters: BTreeMap::from([("build-arg:A".into(), "b".into())]),
        times: (NOW, NOW + 5),
        names: vec!["docker.io/acme/app:1".into()],
    }
}

fn index(from: &dyn Source, root: &Descriptor) -> Index {
    let Document::Index(index) = read_document(from, root).unwrap().1 else { panic!("a manifest") };
    index
}

fn manifest(from: &dyn Source, at: &Descriptor) -> Manifest {
    let Document::Manifest(manifest) = read_document(from, at).unwrap().1 else { panic!("an index") };
    manifest
}

/// The image's manifest, its attestation in the index, and what that states.
fn parts(from: &dyn Source, root: &Descriptor) -> (Descriptor, Descriptor, Value) {
    let manifests = index(from, root).manifests;
    let [image, attestation] = &manifests[..] else { panic!("{manifests:?}") };
    let statement = read_small(from, &manifest(from, attestation).layers[0], 1 << 20).unwrap();
    (image.clone(), attestation.clone(), serde_json::from_slice(&statement).unwrap())
}

fn graph(fixture: &mut Fixture) -> Graph {
    fixture.layout("base", &["linux/amd64"]);
    fixture.write("a.txt", &"hello ".repeat(10_000));
    let mut graph = Graph::default();
    let (base, context) = (graph.base("base"), graph.context());
    graph.copy(base, context, "/a.txt", "/sub/");
    graph
}

#[test]
fn an_attestation_says_what_the_image_is_made_of() {
    let mut fixture = Fixture::new();
    let graph = graph(&mut fixture);
    let (mut built, _) = fixture.build(&graph);
    attest(&mut built, &provenance(Mode::Min)).unwrap();
    let (image, attestation, statement) = parts(&built.content, &built.root.descriptor);
    assert_eq!(image.digest, built.images[0].manifest.descriptor.digest);
    assert!(attestation.is_attestation());
    assert_eq!(attestation.annotations["vnd.docker.reference.digest"], image.digest.to_string());
    assert_eq!(attestation.platform.unwrap().to_string(), "unknown/unknown");
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    assert_eq!(statement["subject"][0]["digest"]["sha256"], image.digest.hex());
    assert_eq!(statement["subject"][0]["name"], "pkg:docker/docker.io/acme/app@1?platform=linux%2Famd64");
    let materials = statement["predicate"]["buildDefinition"]["resolvedDependencies"].as_array().unwrap();
    assert_eq!(materials[0]["digest"]["sha256"], Digest::of(b"the plugin").hex(), "the frontend is named by its digest");
    assert_eq!(materials.len(), 2, "and so is the base");
    assert!(!statement.to_string().contains("build-arg"), "only asked for");
    let (mut again, _) = fixture.build(&graph);
    attest(&mut again, &provenance(Mode::Max)).unwrap();
    let (_, _, statement) = parts(&again.content, &again.root.descriptor);
    assert_eq!(statement["predicate"]["buildDefinition"]["externalParameters"]["parameters"]["build-arg:A"], "b");
    assert_eq!(statement["predicate"]["runDetails"]["metadata"]["steps"].as_array().unwrap().len(), 1);
    let (mut old, _) = fixture.build(&graph);
    attest(&mut old, &Provenance { slsa: Slsa::V02, ..provenance(Mode::Max) }).unwrap();
    let (_, _, statement) = parts(&old.content, &old.root.descriptor);
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v0.2");
    assert_eq!(statement["predicate"]["invocation"]["parameters"]["args"]["build-arg:A"], "b");
    assert_eq!(statement["predicate"]["materials"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_sent_is_compressed_and_otherwise_the_same() {
    let mut fixture = Fixture::new();
    let graph = graph(&mut fixture);
    let (mut built, _) = fixture.build(&graph);
    attest(&mut built, &provenance(Mode::Min)).unwrap();
    built.store().unwrap();
    let (store, spool) = (&fixture.environment.store, &fixture.environment.spool);
    let root = &built.root.descriptor;
    assert!(compress_image(store, spool, root, Compression::None, NOW, 2).unwrap().is_none());
    let before = manifest(store, &parts(store, root).0);
    for (how, kind) in [(Compression::Gzip, media_type::OCI_LAYER_GZIP), (Compression::Zstd, media_type::OCI_LAYER_ZSTD)] {
        let sent = compress_image(store, spool, root, how, NOW, 2).unwrap().unwrap();
        let (image, attestation, statement) = parts(&sent.content, &sent.root.descriptor);
        let after = manifest(&sent.content, &image);
        assert_eq!(after.config, before.config);
        for (old, new) in before.layers.iter().zip(&after.layers) {
            let plain = old.media_type == media_type::OCI_LAYER;
            assert_eq!(new.media_type, if plain { kind } else { &old.media_type }, "what was compressed stays");
            assert_eq!(plain, old.digest != new.digest);
        }
        assert!(after.layers.last().unwrap().size < 2000);
        assert_eq!(attestation.annotations["vnd.docker.reference.digest"], image.digest.to_string());
        assert_eq!(statement["subject"][0]["digest"]["sha256"], image.digest.hex(), "it is about what is sent");
        validate(&sent.content, &sent.root.descriptor, &Select::All).unwrap();
        assert!(read_document(store, &sent.root.descriptor).is_err(), "its documents are not kept");
        // The same again, without compressing again.
        let again = compress_image(store, spool, root, how, NOW, 1).unwrap().unwrap();
        assert_eq!(again.root, sent.root);
        // What is compressed already is sent as it is.
        let one = Options { select: Select::All, parallel: 1, progress: &Silent };
        copy(&sent.content, store, &sent.root.descriptor, &[], &one).unwrap();
        assert!(compress_image(store, spool, &sent.root.descriptor, how, NOW, 2).unwrap().is_none());
    }
}
