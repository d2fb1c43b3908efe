//! Containers: rows, what they keep, and who counts.

use std::{
    fs::{self, File},
    sync::atomic::{AtomicBool, Ordering},
};

use nacre_oci::{Descriptor, Digest, Error, Select, validate};
use nacre_store::{Acquired, Action, Container, Decision, Finding, NameTaken, Store};
use nacre_tests::images;

use crate::support::{Fixture, layer_of};

/// A container of an image that is a single manifest.
fn container(id: char, name: &str, image: &Digest) -> Container {
    let id = String::from(id).repeat(64);
    Container { id, name: name.into(), image: image.clone(), manifest: image.clone(), created: 1, remove: false, record: "{}".into() }
}

/// Creates it as a command does.
fn create(store: &Store, container: &Container) -> File {
    let lock = store.claim_container(&container.id).unwrap();
    store.add_container(container).unwrap();
    lock
}

/// It runs as long as the file is kept.
fn run(store: &Store, container: &Container) -> File {
    let lock = create(store, container);
    set_state(store, container, r#"{"status": "running"}"#);
    lock
}

fn folder(store: &Store, container: &Container) -> std::path::PathBuf {
    store.root().join("containers").join(&container.id)
}

/// As a monitor writes it.
fn set_state(store: &Store, container: &Container, state: &str) {
    fs::write(folder(store, container).join("state.json"), state).unwrap();
}

fn delete(image: &Digest) -> Vec<Decision> {
    vec![Decision { image: image.clone(), action: Action::Delete, reason: "old".into(), policy: "test".into() }]
}

fn conflict(result: nacre_oci::Result<nacre_store::Removed>) -> String {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error}");
    error.to_string()
}

#[test]
fn is_found_by_id_name_and_beginning() {
    let fixture = Fixture::new();
    let image = fixture.pulled("1", &["app"]).digest;
    let (a, mut b) = (container('a', "one", &image), container('a', "two", &image));
    b.id.replace_range(63.., "b");
    b.created = 2;
    for one in [&a, &b] {
        create(&fixture.store, one);
    }
    let found = |text: &str| fixture.store.container(text).unwrap();
    assert_eq!(fixture.other().containers().unwrap(), [b.clone(), a.clone()], "newest first");
    for (text, wanted) in [(a.id.as_str(), Some(&a)), ("one", Some(&a)), ("/two", Some(&b)), (&b.id[..], Some(&b)), ("c", None), ("", None)]
    {
        assert_eq!(found(text).as_ref(), wanted, "{text}");
    }
    let ambiguous = fixture.store.container("aaaa").unwrap_err().to_string();
    assert_eq!(ambiguous, "Multiple IDs found with provided prefix: aaaa");
    // A name goes before a beginning.
    let named = Container { id: "b".repeat(64), ..container('b', "aaaa", &image) };
    create(&fixture.store, &named);
    assert_eq!(found("aaaa"), Some(named));
    assert!(fixture.store.delete_container(&a.id).unwrap() && !fixture.store.delete_container(&a.id).unwrap());
    assert_eq!(found("one"), None);
}

#[test]
fn a_name_is_taken_until_its_container_is_gone() {
    let fixture = Fixture::new();
    let image = fixture.pulled("1", &["app"]).digest;
    let old = Container { remove: true, ..container('a', "web", &image) };
    let lock = create(&fixture.store, &old);
    let new = container('b', "web", &image);
    let refused = |store: &Store| match store.add_container(&new).unwrap_err() {
        Error::Other(inner) => inner.downcast::<NameTaken>().unwrap().to_string(),
        other => panic!("{other}"),
    };
    let expected = format!(
        "Conflict. The container name \"/web\" is already in use by container \"{}\". You have to remove (or rename) that container to be able to reuse that name.",
        old.id
    );
    let held = fixture.store.claim_container(&new.id).unwrap();
    assert_eq!(refused(&fixture.store), expected);
    drop(lock);
    assert_eq!(refused(&fixture.store), expected, "it has not run yet");
    set_state(&fixture.store, &old, r#"{"status": "created"}"#);
    assert_eq!(refused(&fixture.store), expected);
    set_state(&fixture.store, &old, r#"{"status": "running", "pid": 7}"#);
    assert!(fixture.store.containers().unwrap().is_empty(), "killed, and it was to go");
    fixture.store.add_container(&new).unwrap();
    drop(held);
    assert_eq!(fixture.store.containers().unwrap(), [new]);
    assert_eq!(fixture.store.left_over_containers().unwrap(), [old.id]);
}

#[test]
fn a_removal_that_was_killed_counts_as_done() {
    let fixture = Fixture::new();
    let one = container('a', "one", &fixture.pulled("1", &["app"]).digest);
    let lock = create(&fixture.store, &one);
    set_state(&fixture.store, &one, r#"{"status": "dead"}"#);
    assert_eq!(fixture.store.containers().unwrap().len(), 1, "somebody is removing it");
    drop(lock);
    assert!(fixture.store.containers().unwrap().is_empty() && fixture.store.container("one").unwrap().is_none());
    assert_eq!(fixture.store.left_over_containers().unwrap(), [one.id]);
    fixture.store.remove("app", false).unwrap();
}

#[test]
fn is_added_only_where_its_image_is_whole() {
    let fixture = Fixture::new();
    let root = fixture.pulled("1", &["app"]);
    let one = container('a', "one", &root.digest);
    let missing = |what: &Digest| {
        let error = fixture.store.add_container(&one).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }) && error.to_string().contains(&what.to_string()), "{error}");
    };
    let layer = layer_of(&fixture, &root).digest;
    fs::remove_file(fixture.store.blob_path(&layer)).unwrap();
    missing(&layer);
    fixture.pull(&root, &["app"]);
    let uses = fixture.store.image(&root.digest).unwrap().unwrap().uses;
    fixture.store.add_container(&one).unwrap();
    assert_eq!(fixture.store.image(&root.digest).unwrap().unwrap().uses, uses + 1);
    fixture.store.delete_container(&one.id).unwrap();
    fixture.store.remove("app", false).unwrap();
    missing(&root.digest);
}

#[test]
fn what_a_container_runs_stays_until_it_goes() {
    let fixture = Fixture::new();
    let root = fixture.pulled("1", &["app"]);
    let whole = |root: &Descriptor| validate(&fixture.store, root, &Select::All).unwrap();
    let one = container('a', "one", &root.digest);
    create(&fixture.store, &one);
    let removed = fixture.store.remove("app", true).unwrap();
    assert_eq!((removed.deleted, removed.reclaimed), (vec![root.digest.clone()], 0), "its layers were not deleted");
    whole(&root);
    fixture.store.apply(&fixture.store.plan(vec![]).unwrap()).unwrap();
    fixture.store.remove_cache_records([]).unwrap();
    whole(&root);
    let layer = layer_of(&fixture, &root).digest;
    assert!(matches!(fixture.store.delete_blob(&layer), Err(Error::Conflict(_))));
    assert!(fixture.store.check(true).unwrap().is_empty());
    // Another image with the same layers must not lose them either.
    let other = fixture.pulled("2", &["other"]);
    fs::remove_dir_all(folder(&fixture.store, &one)).unwrap();
    fixture.store.delete_container(&one.id).unwrap();
    whole(&other);
    assert_eq!((fixture.store.blob_size(&layer).unwrap(), fixture.blobs()), (None, 4));
    assert!(fixture.store.check(true).unwrap().is_empty());
}

#[test]
fn no_name_goes_from_under_a_container_unless_forced() {
    let fixture = Fixture::new();
    let root = fixture.pulled("1", &["app:1"]);
    let (id, one) = (root.digest.short(), container('a', "one", &root.digest));
    let running = run(&fixture.store, &one);
    let name = format!(
        "conflict: unable to remove repository reference \"app:1\" (must force) - container aaaaaaaaaaaa is using its referenced image {id}"
    );
    assert_eq!(conflict(fixture.store.remove("app:1", false)), name);
    let by_id = format!("conflict: unable to delete {id} (cannot be forced) - image is being used by running container aaaaaaaaaaaa");
    assert_eq!(conflict(fixture.store.remove(id, false)), by_id);
    assert_eq!(conflict(fixture.store.remove(id, true)), by_id);
    let removed = fixture.store.remove("app:1", true).unwrap();
    assert_eq!((removed.untagged.len(), removed.deleted.len()), (1, 0), "only the name, while it runs");
    assert!(fixture.store.image(&root.digest).unwrap().unwrap().is_dangling());
    drop(running);
    let stopped = format!("conflict: unable to delete {id} (must be forced) - image is being used by stopped container aaaaaaaaaaaa");
    assert_eq!(conflict(fixture.store.remove(id, false)), stopped);
    fixture.store.tag(&"app:1".parse().unwrap(), &root.digest).unwrap();
    assert_eq!(conflict(fixture.store.remove("app:1", false)), name);
    fixture.store.tag(&"app:2".parse().unwrap(), &root.digest).unwrap();
    assert_eq!(fixture.store.remove("app:2", false).unwrap().untagged.len(), 1, "another name is left");
    assert_eq!(fixture.store.remove(id, true).unwrap().deleted, [root.digest]);
}

#[test]
fn a_repositorys_manifest_that_is_deleted_stays_while_a_container_uses_it() {
    let fixture = Fixture::new();
    let root = fixture.pulled("1", &["app"]);
    let one = container('a', "one", &root.digest);
    create(&fixture.store, &one);
    fixture.store.delete_manifest("docker.io/library/app", &root.digest).unwrap();
    assert!(fixture.store.image(&root.digest).unwrap().unwrap().is_dangling());
}

#[test]
fn a_part_of_an_index_that_a_container_uses_stays_when_the_index_goes() {
    let fixture = Fixture::new();
    let root = images::multi_platform(&fixture.memory);
    let index = fixture.raw(&root).document().unwrap();
    for child in index.children() {
        let name = format!("team/app@{}", child.digest);
        fixture.get(child, &[&name], Select::All, Acquired::Pushed);
    }
    fixture.get(&root, &["team/app:1"], Select::All, Acquired::Pushed);
    let part = index.children()[0].clone();
    create(&fixture.store, &container('a', "a", &part.digest));
    let removed = fixture.store.remove("team/app:1", false).unwrap();
    assert!(removed.deleted.contains(&root.digest) && !removed.deleted.contains(&part.digest));
    validate(&fixture.store, &part, &Select::All).unwrap();
    assert_eq!(fixture.store.images().unwrap().len(), 1);
    assert!(fixture.store.check(true).unwrap().is_empty());
}

#[test]
fn prune_leaves_what_containers_use() {
    let fixture = Fixture::new();
    let (running, stopped, late) = (fixture.pulled("1", &["a"]), fixture.pulled("2", &[]), fixture.pulled("3", &["c"]));
    let lock = run(&fixture.store, &container('a', "a", &running.digest));
    create(&fixture.store, &container('b', "b", &stopped.digest));
    let all = || [&running, &stopped, &late].iter().flat_map(|image| delete(&image.digest)).collect::<Vec<_>>();
    let plan = fixture.store.plan(all()).unwrap();
    let kept: Vec<&str> = plan.kept.iter().map(|kept| kept.reason.as_str()).collect();
    assert_eq!(plan.items.len(), 1);
    assert!(kept.contains(&"it is being used by running container aaaaaaaaaaaa"), "{kept:?}");
    assert!(kept.contains(&"it is being used by stopped container bbbbbbbbbbbb"), "{kept:?}");
    create(&fixture.store, &container('c', "c", &late.digest));
    let applied = fixture.store.apply(&plan).unwrap();
    assert_eq!((applied.deleted.len(), applied.reclaimed), (0, 0));
    assert_eq!(applied.skipped[0].reason, "it is being used by stopped container cccccccccccc");
    let survey = fixture.store.survey().unwrap();
    assert!([&running, &stopped, &late].iter().all(|image| survey.is_in_use(&image.digest)));
    let df = fixture.store.df().unwrap();
    assert_eq!(df.reclaimable, 0, "the dangling one is used");
    drop(lock);
    // What was used meanwhile stays, too, until a new plan.
    fixture.store.delete_container(&"c".repeat(64)).unwrap();
    assert_eq!(fixture.store.apply(&plan).unwrap().skipped[0].reason, "it has been used since");
    assert_eq!(fixture.store.apply(&fixture.store.plan(all()).unwrap()).unwrap().deleted, [late.digest]);
}

#[test]
fn check_names_what_killed_commands_left() {
    let fixture = Fixture::new();
    let root = fixture.pulled("1", &["app"]);
    let [gone, bad, lost] = [('a', "gone"), ('b', "bad"), ('c', "lost")].map(|(id, name)| container(id, name, &root.digest));
    [&gone, &bad, &lost].into_iter().for_each(|one| drop(create(&fixture.store, one)));
    let claimed = fixture.store.claim_container(&"d".repeat(64)).unwrap();
    assert!(fixture.store.check(false).unwrap().is_empty() && fixture.store.left_over_containers().unwrap().is_empty());
    drop(claimed);
    fs::remove_file(folder(&fixture.store, &gone).join("lock")).unwrap();
    set_state(&fixture.store, &bad, "{");
    fs::remove_file(fixture.store.blob_path(&layer_of(&fixture, &root).digest)).unwrap();
    let (left, damage): (Vec<String>, Vec<String>) = {
        let (left, damage): (Vec<_>, Vec<_>) =
            fixture.store.check(false).unwrap().into_iter().partition(|f| matches!(f, Finding::LeftOver(_)));
        (left.iter().map(ToString::to_string).collect(), damage.iter().map(ToString::to_string).collect())
    };
    let stray = fixture.store.root().join("containers").join("d".repeat(64));
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.contains(&format!("left over: {}: no container has it", stray.display())), "{left:?}");
    assert!(left.contains(&"left over: the container aaaaaaaaaaaa (gone): it has ended".to_owned()), "{left:?}");
    assert!(
        damage.iter().any(|line| line.starts_with("damaged: container bbbbbbbbbbbb (bad): ") && line.contains("state.json is malformed"))
    );
    assert!(damage.iter().any(|line| line.starts_with("damaged: container cccccccccccc (lost): sha256:") && line.ends_with(" is missing")));
    assert_eq!(fixture.store.left_over_containers().unwrap(), ["d".repeat(64), gone.id]);
}

/// Containers are created while others prune and remove: whoever gets one has all of its image, to the last byte.
#[test]
fn creating_excludes_pruning_and_removing() {
    let fixture = Fixture::new();
    let root = fixture.image("1");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let remove = |force: bool| {
            let store = fixture.other();
            while !done.load(Ordering::SeqCst) {
                match store.remove("app", force) {
                    Ok(_) | Err(Error::NotFound { .. } | Error::Conflict(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        };
        scope.spawn(move || remove(false));
        scope.spawn(move || remove(true));
        scope.spawn(|| {
            let store = fixture.other();
            while !done.load(Ordering::SeqCst) {
                store.apply(&store.plan(delete(&root.digest)).unwrap()).unwrap();
            }
        });
        let mut created = 0;
        while created < 12 {
            fixture.pull(&root, &["app"]);
            let one = container('a', "one", &root.digest);
            let lock = fixture.store.claim_container(&one.id).unwrap();
            match fixture.store.add_container(&one) {
                Ok(()) => {
                    created += 1;
                    (0..5).for_each(|_| _ = validate(&fixture.store, &root, &Select::All).unwrap());
                }
                Err(Error::NotFound { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            fs::remove_dir_all(folder(&fixture.store, &one)).unwrap();
            fixture.store.delete_container(&one.id).unwrap();
            drop(lock);
        }
        done.store(true, Ordering::SeqCst);
    });
    fixture.store.apply(&fixture.store.plan(delete(&root.digest)).unwrap()).unwrap();
    assert_eq!(fixture.blobs(), 0);
    assert!(fixture.store.check(true).unwrap().is_empty());
}
