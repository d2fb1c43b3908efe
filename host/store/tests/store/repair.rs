//! Every class of damage is made, found, mended, and found no more.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

use nacre_oci::{Digest, Select};
use nacre_store::Store;
use rusqlite::Connection;

use crate::support::{Fixture, layer_of};

/// What is done to a store with the image `a:1`.
type Damage = fn(&Fixture, &Connection);

fn mode(fixture: &Fixture, _: &Connection) {
    fs::set_permissions(fixture.store.blob_path(&fixture.image("1").digest), Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(fixture.store.root(), Permissions::from_mode(0o755)).unwrap();
}

fn strange(fixture: &Fixture, _: &Connection) {
    fs::write(fixture.store.root().join("blobs/sha256/strange"), "x").unwrap();
}

fn rows(_: &Fixture, db: &Connection) {
    db.execute_batch("INSERT INTO refs VALUES ('x', 'y', 'sha256:z'); INSERT INTO origins VALUES ('sha256:z', 'o')").unwrap();
}

fn edges(_: &Fixture, db: &Connection) {
    db.execute_batch("DELETE FROM edges").unwrap();
}

fn left_over(fixture: &Fixture, _: &Connection) {
    let root = fixture.store.root();
    fs::write(root.join("ingest/leases/lease-dead"), "").unwrap();
    fs::write(root.join("ingest/uploads/dead"), "half").unwrap();
    let stray = fixture.store.blob_path(&Digest::of(b"stray"));
    fs::write(&stray, "stray").unwrap();
    fs::set_permissions(stray, Permissions::from_mode(0o444)).unwrap();
}

#[test]
fn what_needs_no_registry_is_mended() {
    for damage in [mode as Damage, strange, rows, edges, left_over] {
        let fixture = Fixture::new();
        let image = fixture.pulled("1", &["a:1"]);
        damage(&fixture, &Connection::open(fixture.store.root().join("meta.db")).unwrap());
        let found = fixture.store.check(true).unwrap();
        assert!(!found.is_empty());
        let shown = fixture.store.repair(true).unwrap();
        assert!(!shown.done.is_empty(), "{found:#?}");
        assert_eq!(fixture.store.check(true).unwrap(), found, "a dry run changes nothing");
        let repair = fixture.store.repair(false).unwrap();
        assert!(repair.lacking.is_empty(), "{repair:#?}");
        assert_eq!(fixture.store.check(true).unwrap(), [], "{repair:#?}");
        nacre_oci::validate(&fixture.store, &image, &Select::All).unwrap();
    }
}

#[test]
fn lost_content_is_told_with_its_image_and_origin() {
    let fixture = Fixture::new();
    let image = fixture.pulled("1", &["a:1"]);
    let layer = layer_of(&fixture, &image).digest;
    let damages: [&dyn Fn(&Digest); 3] =
        [&|digest| fs::remove_file(fixture.store.blob_path(digest)).unwrap(), &|digest| write(&fixture, digest, b"short"), &|digest| {
            let mut bytes = fs::read(fixture.store.blob_path(digest)).unwrap();
            bytes[20] ^= 1;
            write(&fixture, digest, &bytes);
        }];
    for lost in [&layer, &image.digest] {
        for damage in damages {
            damage(lost);
            assert!(!fixture.store.check(true).unwrap().is_empty());
            let repair = fixture.store.repair(false).unwrap();
            assert_eq!(repair.lacking.len(), 1, "{repair:#?}");
            let lacking = &repair.lacking[0];
            assert_eq!((&lacking.image.id, &lacking.missing), (&image.digest, &vec![lost.clone()]));
            assert_eq!(lacking.image.references[0].to_string(), "docker.io/library/a:1");
            assert_eq!(lacking.origins, ["docker.io/library/a"]);
            fixture.pull(&image, &["a:1"]);
            assert_eq!(fixture.store.check(true).unwrap(), []);
        }
    }
}

fn write(fixture: &Fixture, digest: &Digest, bytes: &[u8]) {
    let path = fixture.store.blob_path(digest);
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
}

#[test]
fn metadata_is_rebuilt_and_the_old_one_kept() {
    for bytes in [None, Some(b"".as_slice()), Some(&[7; 4096])] {
        let fixture = Fixture::new();
        let image = fixture.pulled("1", &["a:1"]);
        let path = fixture.store.root().join("meta.db");
        ["", "-wal", "-shm"].iter().for_each(|end| fs::remove_file(format!("{}{end}", path.display())).unwrap());
        bytes.iter().for_each(|bytes| fs::write(&path, bytes).unwrap());
        assert!(Store::open_or_rebuild(fixture.store.root(), true).is_err(), "a dry run changes nothing");
        let (store, lines) = Store::open_or_rebuild(fixture.store.root(), false).unwrap();
        assert!(lines.iter().any(|line| line.contains("its names are lost")), "{lines:#?}");
        let aside = fs::read_dir(store.root())
            .unwrap()
            .filter(|one| one.as_ref().unwrap().file_name().to_string_lossy().starts_with("meta.db.damaged-"));
        assert_eq!(aside.count(), usize::from(bytes.is_some_and(|bytes| !bytes.is_empty())));
        assert_eq!(store.check(true).unwrap(), []);
        assert_eq!(store.images().unwrap()[0].id, image.digest);
    }
}

#[test]
fn names_that_can_be_read_are_kept() {
    let fixture = Fixture::new();
    fixture.pulled("1", &["a:1", "b:1"]);
    let path = fixture.store.root().join("meta.db");
    let db = Connection::open(&path).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let page: i64 = db.query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'edges'", [], |row| row.get(0)).unwrap();
    drop(db);
    let mut bytes = fs::read(&path).unwrap();
    let at = usize::try_from((page - 1) * 4096).unwrap();
    bytes[at..at + 4096].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let (store, lines) = Store::open_or_rebuild(fixture.store.root(), false).unwrap();
    assert!(lines[0].contains("rebuilt"), "{lines:#?}");
    assert_eq!(store.images().unwrap()[0].references.len(), 2);
    store.repair(false).unwrap();
    assert_eq!(store.check(true).unwrap(), []);
}
