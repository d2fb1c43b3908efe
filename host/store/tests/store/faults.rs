//! The Nth change of the files fails, for every N: whoever is told of success has it, and the store stays whole.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use nacre_oci::{Descriptor, Error, Memory, Options, Select, Silent, copy, validate};
use nacre_store::{Acquired, Action, Change, Decision, Finding, Store, Witness};
use nacre_tests::images::{self, Recipe, layer};

/// Lets one change fail.
struct Failing {
    at: usize,
    why: io::ErrorKind,
    seen: AtomicUsize,
    failed_to_flush: AtomicBool,
}

impl Witness for Failing {
    fn before(&self, change: Change<'_>) -> io::Result<()> {
        if self.seen.fetch_add(1, Ordering::Relaxed) + 1 != self.at {
            return Ok(());
        }
        self.failed_to_flush.store(matches!(change, Change::Flush(_) | Change::FlushDir(_)), Ordering::Relaxed);
        Err(self.why.into())
    }
}

fn image(memory: &Memory, content: &str) -> Descriptor {
    let layers = vec![layer("etc/shared", b"by both"), layer("etc/own", content.as_bytes())];
    images::image(memory, &Recipe { layers, ..Recipe::default() })
}

fn pull(store: &Store, memory: &Memory, image: &Descriptor, name: &str) -> Result<(), Error> {
    let session = store.session(Acquired::Pulled)?;
    let options = Options { select: Select::All, parallel: 1, progress: &Silent };
    copy(memory, &session, image, &[name.to_owned()], &options).map(drop)
}

fn prune(store: &Store, image: &Descriptor) -> Result<(), Error> {
    let decision = Decision { image: image.digest.clone(), action: Action::Delete, reason: String::new(), policy: String::new() };
    store.apply(&store.plan(vec![decision])?).map(drop)
}

/// In memory, where a flush costs nothing.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

type Step<'a> = (&'a str, &'a dyn Fn(&Store) -> Result<(), Error>, &'a dyn Fn(&Store) -> bool);

fn holds(store: &Store, name: &str) -> bool {
    store.find(name).is_ok_and(|found| validate(store, &found.image.descriptor, &Select::All).is_ok())
}

/// Does everything once; whether something failed, and what was said to have succeeded and has not.
fn once(root: &Path, steps: &[Step<'_>], failing: &Arc<Failing>) -> (bool, Option<String>) {
    let Ok(store) = Store::open_watched(root, Arc::<Failing>::clone(failing)) else { return (true, None) };
    let mut failed = false;
    for (what, work, is_done) in steps {
        let done = work(&store);
        let unflushed = failing.failed_to_flush.swap(false, Ordering::Relaxed);
        if done.is_ok() && (unflushed || !is_done(&store)) {
            return (failed, Some(format!("{what} says that it succeeded")));
        }
        failed |= done.is_err();
    }
    (failed, None)
}

#[test]
fn no_failing_change_is_hidden_or_does_harm() {
    let memory = Memory::new();
    let (one, two) = (image(&memory, "one"), image(&memory, "two"));
    let steps: [Step<'_>; 6] = [
        ("pull", &|store| pull(store, &memory, &one, "app:1"), &|store| holds(store, "app:1")),
        ("tag", &|store| store.tag(&"app:2".parse()?, &one.digest).map(drop), &|store| holds(store, "app:2")),
        ("pull", &|store| pull(store, &memory, &two, "app:1"), &|store| holds(store, "app:1")),
        ("remove", &|store| store.remove("app:2", true).map(drop), &|store| store.find("app:2").is_err()),
        ("untag", &|store| store.untag(&"app:1".parse()?).map(drop), &|store| store.find("app:1").is_err()),
        ("prune", &|store| prune(store, &two), &|store| store.image(&two.digest).unwrap().is_none()),
    ];
    for why in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
        for at in 1.. {
            let dir = folder();
            let root = dir.path().join("root");
            let failing = Arc::new(Failing { at, why, seen: AtomicUsize::new(0), failed_to_flush: AtomicBool::new(false) });
            let (_, lie) = once(&root, &steps, &failing);
            assert_eq!(lie, None, "change {at}, {why}");
            let store = Store::open(&root).unwrap();
            let damage: Vec<Finding> =
                store.check(true).unwrap().into_iter().filter(|finding| matches!(finding, Finding::Damage(_))).collect();
            assert_eq!(damage, [], "change {at}, {why}");
            for (what, work, is_done) in &steps {
                let done = work(&store);
                assert!(done.is_ok() && is_done(&store), "{what} afterwards, change {at}, {why}: {done:?}");
            }
            store.apply(&store.plan(Vec::new()).unwrap()).unwrap();
            assert_eq!(store.check(true).unwrap(), [], "change {at}, {why}");
            if failing.seen.load(Ordering::Relaxed) < at {
                assert!(at > 50, "there are more changes than {at}");
                break;
            }
        }
    }
}
