use nacre_oci::{Digest, Error, Platform, Select};
use nacre_store::Acquired;
use nacre_tests::images;

use crate::support::{Fixture, bytes_below, layer_of};

#[test]
fn records_what_the_documents_say() {
    let fixture = Fixture::new();
    let root = fixture.pulled("1", &["a"]);
    let image = fixture.store.images().unwrap().remove(0);
    assert_eq!((&image.id, image.descriptor.size), (&root.digest, root.size));
    assert_eq!(image.created, Some(1_767_323_045));
    assert_eq!(image.labels["k"], "v");
    assert_eq!(*image.platforms, [("linux/amd64".parse().unwrap(), true)]);
    assert_eq!(image.size, fixture.store.df().unwrap().blobs);
    assert!(image.pulled.is_some() && image.built.is_none() && image.last_used.is_none() && !image.pinned);
    fixture.store.touch(std::slice::from_ref(&root.digest)).unwrap();
    fixture.store.pin(&root.digest, true).unwrap();
    let image = fixture.other().image(&root.digest).unwrap().unwrap();
    assert!(image.last_used.is_some() && image.pinned && image.uses == 1);
    assert!(matches!(fixture.store.pin(&Digest::of(b"no"), true), Err(Error::NotFound { .. })));
}

#[test]
fn an_index_grows_with_its_platforms() {
    let fixture = Fixture::new();
    let root = images::multi_platform(&fixture.memory);
    let arm: Platform = "linux/arm64".parse().unwrap();
    let amd: Platform = "linux/amd64".parse().unwrap();
    fixture.get(&root, &["multi"], Select::Platforms(vec![arm.clone()]), Acquired::Pulled);
    let sparse = fixture.store.find("multi").unwrap().image;
    assert_eq!(*sparse.platforms, [(amd.clone(), false), (arm.clone(), true)]);
    assert_eq!(sparse.created, Some(1_767_323_045), "the only config that is present speaks");
    // The other platform's manifest comes as an image of its own.
    let child = fixture.raw(&root).document().unwrap().children()[0].clone();
    fixture.pull(&child, &["amd"]);
    let whole = fixture.store.find("multi").unwrap().image;
    assert_eq!(*whole.platforms, [(amd, true), (arm, true)]);
    assert_eq!(whole.size, fixture.store.df().unwrap().blobs);
    assert_eq!(fixture.store.find("amd").unwrap().image.child_of, std::slice::from_ref(&root.digest));
    let listed = fixture.store.images().unwrap();
    assert_eq!(listed.iter().filter(|image| !image.child_of.is_empty()).count(), 1);
    assert_eq!(listed.iter().find(|image| image.id == root.digest), Some(&whole), "a listing says the same");
}

#[test]
fn a_manifest_within_an_index_can_get_a_name() {
    let fixture = Fixture::new();
    let root = images::multi_platform(&fixture.memory);
    fixture.pull(&root, &["multi"]);
    let child = fixture.raw(&root).document().unwrap().children()[1].clone();
    fixture.store.tag(&"arm".parse().unwrap(), &child.digest).unwrap();
    assert_eq!(fixture.store.find("arm").unwrap().image.descriptor.media_type, child.media_type);
    fixture.store.remove("multi", false).unwrap();
    nacre_oci::validate(&fixture.store, &child, &Select::All).unwrap();
}

#[test]
fn shared_and_unique_bytes_add_up() {
    let fixture = Fixture::new();
    let (one, _) = (fixture.pulled("1", &["a"]), fixture.pulled("2", &["b"]));
    let images = fixture.store.images().unwrap();
    let sizes = fixture.store.survey().unwrap().sizes();
    for (image, sizes) in images.iter().zip(&sizes) {
        assert_eq!(sizes.shared + sizes.unique, image.size);
    }
    let shared = sizes[0].shared;
    assert!(shared > 0 && sizes[1].shared == shared);
    let before = fixture.store.df().unwrap().blobs;
    let unique = sizes[images.iter().position(|image| image.id == one.digest).unwrap()].unique;
    assert_eq!(fixture.store.remove("a", false).unwrap().reclaimed, unique);
    assert_eq!(fixture.store.df().unwrap().blobs, before - unique);
}

#[test]
fn df_is_what_the_file_system_says() {
    let fixture = Fixture::new();
    let (kept, gone) = (fixture.pulled("1", &["a"]), fixture.pulled("2", &["b"]));
    fixture.store.untag(&"b".parse().unwrap()).unwrap();
    let root = fixture.store.root();
    std::fs::write(root.join("ingest/sha256-x"), [1; 333]).unwrap();
    std::fs::write(root.join("stray"), [1; 44]).unwrap();
    std::fs::write(root.join("blobs/sha256/no-digest"), [1; 55]).unwrap();
    let df = fixture.store.df().unwrap();
    assert_eq!(df.total(), bytes_below(root));
    assert_eq!((df.images, df.active, df.partials), (2, 1, 333));
    assert_eq!(df.size, df.blobs);
    let raw = |root| layer_of(&fixture, root).size;
    assert!(df.reclaimable >= raw(&gone) && df.reclaimable < df.blobs - raw(&kept), "shared content is not reclaimable");
    fixture.store.remove(gone.digest.hex(), false).unwrap();
    assert_eq!(fixture.store.df().unwrap().reclaimable, 0);
}
