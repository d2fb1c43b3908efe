use std::fs;

use nacre_oci::Error;
use nacre_store::Store;

use crate::support::Fixture;

fn refusal(fixture: &Fixture) -> String {
    Store::open(fixture.store.root()).err().expect("a refusal").to_string()
}

#[test]
fn lost_or_damaged_metadata_is_said_and_never_taken_for_a_new_store() {
    for damage in [None, Some(b"".as_slice()), Some(&[7; 4096])] {
        let fixture = Fixture::new();
        fixture.pulled("1", &["a"]);
        let path = fixture.store.root().join("meta.db");
        for end in ["", "-wal", "-shm"] {
            fs::remove_file(format!("{}{end}", path.display())).unwrap();
        }
        if let Some(bytes) = damage {
            fs::write(&path, bytes).unwrap();
        }
        for _ in 0..2 {
            let told = refusal(&fixture);
            assert!(told.contains(path.to_str().unwrap()) && told.contains("nacre system repair"), "{told}");
        }
    }
}

#[test]
fn a_newer_schema_is_refused() {
    let fixture = Fixture::new();
    let raw = rusqlite::Connection::open(fixture.store.root().join("meta.db")).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    let told = refusal(&fixture);
    assert!(told.contains("version 99") && told.contains("newer nacre"), "{told}");
}

#[test]
fn a_folder_with_other_files_is_no_store() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.txt"), "x").unwrap();
    let error = Store::open(dir.path()).err().unwrap();
    assert!(matches!(error, Error::Conflict(_)), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was added to it");
}

#[test]
fn an_interrupted_making_is_finished() {
    for keep in ["blobs", "oci-layout", "meta.db", "lock"] {
        let fixture = Fixture::new();
        let root = fixture.store.root();
        for entry in fs::read_dir(root).unwrap() {
            let path = entry.unwrap().path();
            match path.file_name().unwrap().to_str().unwrap() {
                name if name.starts_with(keep) => {}
                _ if path.is_dir() => fs::remove_dir_all(&path).unwrap(),
                _ => fs::remove_file(&path).unwrap(),
            }
        }
        let again = Fixture::at(tempfile::tempdir().unwrap(), root);
        again.pulled("1", &["a"]);
        assert_eq!(again.store.images().unwrap().len(), 1, "with {keep}");
    }
}

#[test]
fn reading_checks_what_is_on_the_disk() {
    let fixture = Fixture::new();
    let root = fixture.pulled("1", &["a"]);
    let layer = crate::support::layer_of(&fixture, &root);
    let path = fixture.store.root().join("blobs/sha256").join(layer.digest.hex());
    fs::remove_file(&path).unwrap();
    fs::write(&path, vec![0; usize::try_from(layer.size).unwrap()]).unwrap();
    let error = nacre_oci::validate(&fixture.store, &root, &nacre_oci::Select::All).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    // A second pull heals what has the wrong size; what has the right one, check and repair find.
    fs::write(&path, b"short").unwrap();
    fixture.pull(&root, &["a"]);
    nacre_oci::validate(&fixture.store, &root, &nacre_oci::Select::All).unwrap();
}
