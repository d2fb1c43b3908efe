//! The build cache: its records, and that what they have outlives every prune of images.

use nacre_oci::{Content, Descriptor, Digest, Silent, Sink};
use nacre_store::Acquired;
use nacre_store::{CacheRecord, CachedLayer};

use crate::support::Fixture;

fn record(name: &str, layers: Vec<Descriptor>) -> CacheRecord {
    let layers = layers.into_iter().map(|descriptor| CachedLayer { diff_id: descriptor.digest.clone(), descriptor }).collect();
    CacheRecord { key: Digest::of(name.as_bytes()), layers, created: 5, last_used: 7, description: format!("RUN {name}") }
}

fn put(fixture: &Fixture, content: &str) -> Descriptor {
    let descriptor = fixture.memory.add("application/vnd.oci.image.layer.v1.tar", content.as_bytes().to_vec());
    let session = fixture.store.session(Acquired::Built).unwrap();
    session.put(&descriptor, &Content::new(&fixture.memory, &descriptor, &Silent)).unwrap();
    descriptor
}

fn prune(fixture: &Fixture) -> u64 {
    let plan = fixture.store.plan(Vec::new()).unwrap();
    let applied = fixture.store.apply(&plan).unwrap();
    assert_eq!((applied.blobs, applied.reclaimed), (plan.blobs, plan.bytes));
    applied.blobs
}

#[test]
fn finds_what_was_written_also_from_another_process() {
    let fixture = Fixture::new();
    let (one, none) = (record("make", vec![Descriptor::of("x", b"1"), Descriptor::of("x", b"2")]), record("true", Vec::new()));
    fixture.store.add_cache_records(&[one.clone(), none.clone()]).unwrap();
    assert_eq!(fixture.other().cache_record(&one.key).unwrap(), Some(one.clone()));
    assert_eq!(fixture.other().cache_record(&none.key).unwrap(), Some(none));
    assert_eq!(fixture.store.cache_record(&Digest::of(b"other")).unwrap(), None);
    let newer = CacheRecord { layers: vec![one.layers[1].clone()], created: 9, ..one };
    fixture.store.add_cache_records(std::slice::from_ref(&newer)).unwrap();
    assert_eq!(fixture.store.cache_record(&newer.key).unwrap(), Some(newer));
    assert_eq!(fixture.store.cache_records().unwrap().len(), 2);
}

#[test]
fn layers_of_records_outlive_prunes_until_the_record_goes() {
    let fixture = Fixture::new();
    let layer = put(&fixture, "made by a build");
    put(&fixture, "needed by nothing");
    fixture.store.add_cache_records(&[record("make", vec![layer.clone()])]).unwrap();
    assert_eq!(prune(&fixture), 1);
    assert!(fixture.store.delete_blob(&layer.digest).is_err());
    let df = fixture.store.df().unwrap();
    assert_eq!((df.cache_records, df.cache, df.cache_reclaimable, df.reclaimable), (1, layer.size, layer.size, 0));
    let records = fixture.store.cache_records().unwrap();
    let applied = fixture.store.remove_cache_records(&records).unwrap();
    assert_eq!((applied.deleted.len(), applied.blobs, applied.reclaimed), (1, 1, layer.size));
    assert_eq!(fixture.blobs(), 0);
}

#[test]
fn removing_an_image_leaves_the_layers_of_records() {
    let fixture = Fixture::new();
    let root = fixture.pulled("content", &["app:1"]);
    let layer = crate::support::layer_of(&fixture, &root);
    fixture.store.add_cache_records(&[record("make", vec![layer.clone()])]).unwrap();
    fixture.store.remove("app:1", false).unwrap();
    assert_eq!(fixture.blobs(), 1);
    assert_eq!(fixture.store.blob_size(&layer.digest).unwrap(), Some(layer.size));
}

#[test]
fn a_record_that_was_used_meanwhile_stays() {
    let fixture = Fixture::new();
    fixture.store.add_cache_records(&[record("make", Vec::new())]).unwrap();
    let before = fixture.store.cache_records().unwrap();
    fixture.store.touch_cache_records(&before).unwrap();
    assert!(fixture.store.cache_records().unwrap()[0].last_used > 7);
    assert!(fixture.store.remove_cache_records(&before).unwrap().deleted.is_empty());
    assert_eq!(fixture.store.cache_records().unwrap().len(), 1);
}

#[test]
fn a_store_of_version_1_gets_the_cache_and_keeps_its_images() {
    let fixture = Fixture::new();
    fixture.pulled("content", &["app:1"]);
    let path = fixture.store.root().join("meta.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("DROP TABLE cache; DROP TABLE cache_layers; DROP TABLE pushed; DROP TABLE containers; PRAGMA user_version = 1")
        .unwrap();
    drop(db);
    let store = fixture.other();
    assert_eq!(store.images().unwrap().len(), 1);
    assert_eq!(store.cache_records().unwrap(), []);
    store.add_cache_records(&[record("make", Vec::new())]).unwrap();
    assert_eq!(store.cache_records().unwrap().len(), 1);
}
