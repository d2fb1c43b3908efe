use nacre_oci::{Error, Reference};
use nacre_store::{Acquired, Removed};
use nacre_tests::images;

use crate::support::{Fixture, layer_of};

fn names(removed: &Removed) -> Vec<String> {
    removed.untagged.iter().map(Reference::familiar).collect()
}

fn conflict(fixture: &Fixture, text: &str, force: bool) -> String {
    let before = (fixture.store.images().unwrap(), fixture.blobs());
    let error = fixture.store.remove(text, force).unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error}");
    assert_eq!((fixture.store.images().unwrap(), fixture.blobs()), before, "a refusal changes nothing");
    error.to_string()
}

#[test]
fn by_a_name_only_the_name_goes_until_it_is_the_last() {
    let fixture = Fixture::new();
    let root = fixture.pulled("1", &["a:1", "a:2", "b"]);
    let other = fixture.pulled("2", &["c"]);
    for name in ["a:1", "a:2"] {
        let removed = fixture.store.remove(name, false).unwrap();
        assert_eq!((names(&removed), removed.deleted.len(), removed.reclaimed), (vec![name.to_owned()], 0, 0));
    }
    let removed = fixture.store.remove("b", false).unwrap();
    assert_eq!(removed.deleted, [root.digest.clone(), layer_of(&fixture, &root).digest], "not the layer that c needs");
    assert!(removed.reclaimed > 0);
    nacre_oci::validate(&fixture.store, &other, &nacre_oci::Select::All).unwrap();
    fixture.store.remove("c", false).unwrap();
    assert_eq!(fixture.blobs(), 0);
    assert!(matches!(fixture.store.remove("c", true), Err(Error::NotFound { .. })));
}

#[test]
fn digest_references_go_with_the_last_tag_of_their_repository() {
    let fixture = Fixture::new();
    let root = fixture.pulled("1", &["a:1", "a:2", "b:1"]);
    let pinned_a: Reference = format!("a@{}", root.digest).parse().unwrap();
    fixture.store.tag(&pinned_a, &root.digest).unwrap();
    assert_eq!(names(&fixture.store.remove("a:1", false).unwrap()), ["a:1"]);
    assert_eq!(names(&fixture.store.remove("a:2", false).unwrap()), ["a:2".to_owned(), pinned_a.familiar()]);
    fixture.store.tag(&pinned_a, &root.digest).unwrap();
    assert_eq!(names(&fixture.store.remove(&pinned_a.familiar(), false).unwrap()), [pinned_a.familiar()]);
    let by_digest = format!("b@{}", root.digest);
    let removed = fixture.store.remove(&by_digest, false).unwrap();
    assert_eq!((names(&removed), removed.deleted.len()), (vec!["b:1".to_owned()], 3));
}

#[test]
fn by_id_several_names_have_to_be_forced() {
    let fixture = Fixture::new();
    let root = fixture.pulled("1", &["a:1"]);
    let id = root.digest.hex();
    let digest_reference = format!("a@{}", root.digest).parse().unwrap();
    for name in ["a:2", "b"] {
        fixture.store.tag(&name.parse().unwrap(), &root.digest).unwrap();
        let expected = format!("conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories", &id[..12]);
        assert_eq!(conflict(&fixture, id, false), expected);
        fixture.store.untag(&name.parse().unwrap()).unwrap();
    }
    fixture.store.tag(&digest_reference, &root.digest).unwrap();
    let preview = fixture.store.removal(&id[..12], false).unwrap().1;
    let removed = fixture.store.remove(&id[..12], false).unwrap();
    assert_eq!((names(&removed).len(), removed.untagged, preview.delete), (2, preview.untag, true));
    fixture.pull(&root, &["a:1", "a:2", "b"]);
    let removed = fixture.store.remove(id, true).unwrap();
    assert_eq!((removed.untagged.len(), fixture.blobs()), (3, 0));
}

#[test]
fn a_pinned_image_loses_names_but_stays() {
    let fixture = Fixture::new();
    let root = fixture.pulled("1", &["a:1", "a:2"]);
    fixture.store.pin(&root.digest, true).unwrap();
    fixture.store.remove("a:1", false).unwrap();
    assert_eq!(conflict(&fixture, "a:2", true), "conflict: image a:2 is pinned; unpin it first");
    assert_eq!(conflict(&fixture, root.digest.hex(), true), "conflict: image a:2 is pinned; unpin it first");
    fixture.store.pin(&root.digest, false).unwrap();
    fixture.store.remove("a:2", false).unwrap();
    assert_eq!(fixture.blobs(), 0);
}

#[test]
fn what_a_running_command_uses_keeps_its_content() {
    let fixture = Fixture::new();
    let root = fixture.pulled("1", &["a"]);
    let lease = fixture.other().lease().unwrap();
    lease.protect([&root.digest]).unwrap();
    let removed = fixture.store.remove("a", false).unwrap();
    assert_eq!((removed.deleted.len(), removed.reclaimed), (1, 0));
    nacre_oci::validate(&fixture.store, &root, &nacre_oci::Select::All).unwrap();
    fixture.store.apply(&fixture.store.plan(vec![]).unwrap()).unwrap();
    nacre_oci::validate(&fixture.store, &root, &nacre_oci::Select::All).unwrap();
    drop(lease);
    fixture.store.apply(&fixture.store.plan(vec![]).unwrap()).unwrap();
    assert_eq!(fixture.blobs(), 0);
}

#[test]
fn the_parts_that_came_with_a_push_go_with_it() {
    let fixture = Fixture::new();
    let root = images::multi_platform(&fixture.memory);
    let index = fixture.raw(&root).document().unwrap();
    for child in index.children() {
        let name = format!("team/app@{}", child.digest);
        fixture.get(child, &[&name], nacre_oci::Select::All, Acquired::Pushed);
    }
    fixture.get(&root, &["team/app:1"], nacre_oci::Select::All, Acquired::Pushed);
    assert_eq!(fixture.store.images().unwrap().len(), 3);
    let removed = fixture.store.remove("team/app:1", false).unwrap();
    assert_eq!((removed.untagged.len(), fixture.blobs(), fixture.store.images().unwrap().len()), (3, 0, 0));
}
