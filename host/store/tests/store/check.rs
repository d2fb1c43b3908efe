use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
};

use nacre_oci::{Digest, Select};
use nacre_store::{Acquired, CacheRecord, CachedLayer, Finding};
use nacre_tests::images;

use crate::support::{Fixture, layer_of};

fn found(fixture: &Fixture, deep: bool) -> Vec<String> {
    fixture.store.check(deep).unwrap().iter().map(ToString::to_string).collect()
}

fn blob(fixture: &Fixture, digest: &Digest) -> PathBuf {
    fixture.store.blob_path(digest)
}

/// Replaces a blob's bytes.
fn write(fixture: &Fixture, digest: &Digest, bytes: &[u8]) {
    let path = blob(fixture, digest);
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
}

/// One finding, with all of these words.
#[track_caller]
fn only(fixture: &Fixture, deep: bool, words: &[&str]) {
    let found = found(fixture, deep);
    assert_eq!(found.len(), 1, "{found:#?}");
    words.iter().for_each(|word| assert!(found[0].contains(word), "{word}: {}", found[0]));
}

/// Whole, with an image of one platform of two, a record, a lease and a download in progress.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.pulled("1", &["a:1"]);
    let index = images::multi_platform(&fixture.memory);
    fixture.get(&index, &["b:1"], Select::Platforms(vec!["linux/arm64".parse().unwrap()]), Acquired::Pulled);
    assert!(found(&fixture, true).is_empty(), "{:?}", found(&fixture, true));
    fixture
}

#[test]
fn nothing_is_found_in_what_is_whole_or_at_work() {
    let fixture = fixture();
    let _lease = fixture.store.lease().unwrap();
    let mut upload = fixture.other().upload().unwrap();
    upload.append(b"some").unwrap();
    // An imported record, whose layers are elsewhere.
    let layer = CachedLayer { diff_id: Digest::of(b"x"), descriptor: nacre_oci::Descriptor::of("x", b"elsewhere") };
    let record = CacheRecord { key: Digest::of(b"k"), created: 1, last_used: 1, description: "RUN x".into(), layers: vec![layer] };
    fixture.store.add_cache_records(&[record]).unwrap();
    assert_eq!(found(&fixture, true), [""; 0]);
}

#[test]
fn lost_and_altered_content_is_found() {
    let fixture = fixture();
    let image = fixture.image("1");
    let layer = layer_of(&fixture, &image);
    let mut other = fs::read(blob(&fixture, &layer.digest)).unwrap();
    other[600] ^= 1;
    write(&fixture, &layer.digest, &other);
    assert_eq!(found(&fixture, false), [""; 0], "a look at the size does not tell");
    only(&fixture, true, &["damaged: blob", &layer.digest.to_string(), "other content"]);
    fs::remove_file(blob(&fixture, &layer.digest)).unwrap();
    only(&fixture, false, &["damaged: image", &image.digest.to_string(), &layer.digest.to_string(), "is missing"]);
    write(&fixture, &image.digest, b"{}");
    let found = found(&fixture, false);
    assert!(found[0].starts_with(&format!("damaged: image {} (docker.io/library/a:1): ", image.digest)), "{found:#?}");
    assert!(found.iter().any(|line| line.ends_with(&format!("has 2 bytes instead of {}", image.size))), "{found:#?}");
}

#[test]
fn a_lost_platform_is_found_and_one_never_fetched_is_not() {
    let fixture = fixture();
    let index = images::multi_platform(&fixture.memory);
    let children: Vec<_> = fixture.raw(&index).document().unwrap().children().into_iter().cloned().collect();
    assert!(!blob(&fixture, &children[0].digest).exists());
    fs::remove_file(blob(&fixture, &children[1].digest)).unwrap();
    only(&fixture, false, &["damaged: image", &index.digest.to_string(), &children[1].digest.to_string()]);
}

#[test]
fn wrong_files_and_modes_are_found() {
    let fixture = fixture();
    let path = blob(&fixture, &fixture.image("1").digest);
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    only(&fixture, false, &["damaged: blob", "has mode 644"]);
    fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
    let strange = path.with_file_name("strange");
    fs::write(&strange, "").unwrap();
    only(&fixture, false, &["damaged: ", "strange is no blob"]);
    fs::remove_file(strange).unwrap();
    symlink("/etc/passwd", path.with_file_name("0".repeat(64))).unwrap();
    only(&fixture, false, &["damaged: ", "000 is no blob"]);
    fs::remove_file(path.with_file_name("0".repeat(64))).unwrap();
    fs::set_permissions(fixture.store.root(), Permissions::from_mode(0o755)).unwrap();
    only(&fixture, false, &["damaged: ", "has mode 755"]);
}

#[test]
fn rows_without_what_they_are_about_are_found() {
    let fixture = fixture();
    let image = fixture.image("1");
    let raw = rusqlite::Connection::open(fixture.store.root().join("meta.db")).unwrap();
    let both = |statement: &str, undo: &str, words: &[&str]| {
        raw.execute_batch(statement).unwrap();
        only(&fixture, false, words);
        raw.execute_batch(undo).unwrap();
        assert_eq!(found(&fixture, false), [""; 0], "{undo}");
    };
    both("INSERT INTO refs VALUES ('x', 'y', 'sha256:z')", "DELETE FROM refs WHERE name = 'x'", &["damaged: the name x y", "sha256:z"]);
    both("INSERT INTO origins VALUES ('sha256:z', 'o')", "DELETE FROM origins WHERE name = 'o'", &["damaged: the origin o"]);
    let layer =
        "INSERT INTO cache_layers VALUES ('k', 0, 'd', 'sha256:1111111111111111111111111111111111111111111111111111111111111111', 't', 1)";
    both(layer, "DELETE FROM cache_layers", &["damaged: the layer of a build"]);
    let stray = format!("INSERT INTO edges VALUES ('sha256:{0}', 'sha256:{0}', 't', 1, 0)", "1".repeat(64));
    both(&stray, "DELETE FROM edges WHERE parent LIKE 'sha256:1111%'", &["left over: the metadata of sha256:1111"]);
    let layer = layer_of(&fixture, &image).digest;
    raw.execute("DELETE FROM edges WHERE parent = ? AND child = ?", [image.digest.to_string(), layer.to_string()]).unwrap();
    let found = found(&fixture, false);
    assert!(found[0].contains("does not know that") && found[0].starts_with("damaged: "), "{found:#?}");
    assert_eq!(found[1], format!("left over: blob {layer}: nothing needs it"));
}

#[test]
fn what_killed_commands_left_is_found_and_pruned() {
    let fixture = fixture();
    let root = fixture.store.root().to_owned();
    let stray = Digest::of(b"stray");
    fs::write(root.join("ingest/leases/lease-dead"), format!("{stray}\n")).unwrap();
    fs::write(root.join("ingest").join(format!("sha256-{}", "0".repeat(64))), "half").unwrap();
    fs::write(root.join("ingest/uploads/dead"), "half").unwrap();
    fs::write(blob(&fixture, &stray), "stray").unwrap();
    fs::set_permissions(blob(&fixture, &stray), Permissions::from_mode(0o444)).unwrap();
    let found = fixture.store.check(true).unwrap();
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(found.iter().all(|finding| matches!(finding, Finding::LeftOver(_))), "{found:#?}");
    let plan = fixture.store.plan(Vec::new()).unwrap();
    fixture.store.apply(&plan).unwrap();
    assert_eq!(fixture.store.check(true).unwrap(), []);
}
