use nacre_oci::{Descriptor, Digest, Error, Manifest, RawManifest, Reference, Select, media_type};
use nacre_store::Acquired;

use crate::support::{Fixture, files_in, layer_of};

#[test]
fn an_upload_grows_and_becomes_a_blob() {
    let fixture = Fixture::new();
    let lease = fixture.store.lease().unwrap();
    let mut upload = fixture.store.upload().unwrap();
    assert_eq!((upload.id().len(), upload.offset()), (24, 0));
    upload.append(b"one ").unwrap();
    upload.append(b"two").unwrap();
    assert_eq!(upload.offset(), 7);
    // A prune by another process leaves it alone.
    fixture.other().apply(&fixture.store.plan(vec![]).unwrap()).unwrap();
    let digest = Digest::of(b"one two");
    assert_eq!(upload.finish(&digest, &lease).unwrap().size, 7);
    assert_eq!(fixture.store.blob_size(&digest).unwrap(), Some(7));
    assert!(matches!(fixture.store.delete_blob(&digest), Err(Error::Conflict(_))), "leased");
    drop(lease);
    fixture.store.delete_blob(&digest).unwrap();
    assert!(matches!(fixture.store.delete_blob(&digest), Err(Error::NotFound { .. })));
    assert!(matches!(fixture.store.open_blob(&digest), Err(Error::NotFound { .. })));
}

#[test]
fn a_wrong_or_abandoned_upload_leaves_nothing() {
    let fixture = Fixture::new();
    let lease = fixture.store.lease().unwrap();
    let mut upload = fixture.store.upload().unwrap();
    upload.append(b"bytes").unwrap();
    assert!(matches!(upload.finish(&Digest::of(b"others"), &lease), Err(Error::Mismatch { .. })));
    drop(fixture.store.upload().unwrap());
    assert_eq!(files_in(&fixture.store.root().join("ingest/uploads")), 0);
    let mut long = fixture.store.upload().unwrap();
    long.append(b"abc").unwrap();
    let sha512: Digest = "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                          2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        .parse()
        .unwrap();
    assert_eq!(long.finish(&sha512, &lease).unwrap().size, 3);
    assert_eq!(fixture.store.blob_size(&sha512).unwrap(), Some(3));
}

#[test]
fn a_blob_of_an_image_cannot_be_deleted_alone() {
    let fixture = Fixture::new();
    let root = fixture.pulled("1", &["a"]);
    for digest in [&root.digest, &layer_of(&fixture, &root).digest] {
        let error = fixture.store.delete_blob(digest).unwrap_err().to_string();
        assert!(error.contains("belongs to an image"), "{error}");
    }
}

#[test]
fn a_manifest_is_deleted_per_repository() {
    let fixture = Fixture::new();
    let root = fixture.pulled("1", &["a:1", "a:2", "b"]);
    fixture.store.delete_manifest("docker.io/library/a", &root.digest).unwrap();
    assert_eq!(fixture.store.repositories().unwrap(), ["docker.io/library/b"]);
    let again = fixture.store.delete_manifest("docker.io/library/a", &root.digest);
    assert!(matches!(again, Err(Error::NotFound { .. })));
    fixture.store.delete_manifest("docker.io/library/b", &root.digest).unwrap();
    assert_eq!((fixture.blobs(), fixture.store.images().unwrap().len()), (0, 0));
}

#[test]
fn referrers_are_found_by_subject_and_type() {
    let fixture = Fixture::new();
    let subject = fixture.pulled("1", &["a"]);
    let config = fixture.memory.add("application/vnd.oci.empty.v1+json", b"{}".as_slice());
    let referrer = |kind: &str| -> Descriptor {
        let manifest = Manifest {
            schema_version: 2,
            media_type: media_type::OCI_MANIFEST.into(),
            artifact_type: Some(kind.into()),
            config: config.clone(),
            layers: vec![config.clone()],
            subject: Some(Descriptor::new(subject.media_type.clone(), subject.digest.clone(), subject.size)),
            annotations: [("by".to_owned(), kind.to_owned())].into(),
        };
        let raw = RawManifest::new(None, serde_json::to_vec(&manifest).unwrap()).unwrap();
        fixture.memory.add(media_type::OCI_MANIFEST, raw.bytes);
        let name = format!("a@{}", raw.descriptor.digest);
        fixture.get(&raw.descriptor, &[&name], Select::All, Acquired::Pushed);
        raw.descriptor
    };
    let (signature, sbom) = (referrer("test/signature"), referrer("test/sbom"));
    assert_eq!(fixture.store.referrers(&subject.digest, None).unwrap().len(), 2);
    let found = fixture.store.referrers(&subject.digest, Some("test/sbom")).unwrap();
    assert_eq!((found.len(), &found[0].digest, found[0].annotations["by"].as_str()), (1, &sbom.digest, "test/sbom"));
    assert!(fixture.store.referrers(&signature.digest, None).unwrap().is_empty());
}

#[test]
fn a_repository_holds_its_names_their_parts_and_what_lost_its_name() {
    let fixture = Fixture::new();
    let (app, other): (Reference, Reference) = ("team/app".parse().unwrap(), "team/other".parse().unwrap());
    let first = fixture.pulled("1", &["team/app:1"]);
    assert_eq!(fixture.store.held(&app, &first.digest).unwrap().images, std::slice::from_ref(&first.digest));
    assert!(matches!(fixture.store.held(&other, &first.digest), Err(Error::NotFound { .. })));
    let layer = layer_of(&fixture, &first).digest;
    assert!(matches!(fixture.store.held(&app, &layer), Err(Error::NotFound { .. })), "a layer is no manifest");
    fixture.pulled("2", &["team/app:1"]);
    assert_eq!(fixture.store.held(&app, &first.digest).unwrap().raw, fixture.raw(&first));

    let index = nacre_tests::images::multi_platform(&fixture.memory);
    let select = Select::Platforms(vec!["linux/arm64".parse().unwrap()]);
    fixture.get(&index, &["team/app:both"], select, Acquired::Pulled);
    let parts = fixture.raw(&index).document().unwrap();
    let parts: Vec<&Digest> = parts.children().into_iter().map(|part| &part.digest).collect();
    assert_eq!(fixture.store.held(&app, parts[1]).unwrap().images, std::slice::from_ref(&index.digest));
    let missing = fixture.store.held(&app, parts[0]).unwrap_err().to_string();
    assert!(missing.contains("only other platforms"), "{missing}");
}

#[test]
fn a_lease_lets_go_of_some_and_keeps_the_rest() {
    let fixture = Fixture::new();
    let lease = fixture.store.lease().unwrap();
    let uploaded = |bytes: &[u8]| {
        let mut upload = fixture.store.upload().unwrap();
        upload.append(bytes).unwrap();
        upload.finish(&Digest::of(bytes), &lease).unwrap().digest
    };
    let digests = [uploaded(b"one"), uploaded(b"two")];
    lease.release([&digests[0]]).unwrap();
    let other = fixture.other();
    other.apply(&other.plan(vec![]).unwrap()).unwrap();
    assert_eq!(other.blob_size(&digests[0]).unwrap(), None);
    assert_eq!(other.blob_size(&digests[1]).unwrap(), Some(3));
    uploaded(b"one");
    other.apply(&other.plan(vec![]).unwrap()).unwrap();
    assert!(digests.iter().all(|digest| other.blob_size(digest).unwrap() == Some(3)));
}
