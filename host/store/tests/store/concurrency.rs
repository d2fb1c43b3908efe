use std::sync::atomic::{AtomicBool, Ordering};

use nacre_oci::{Memory, Options, Select, Silent, copy};
use nacre_store::{Acquired, CacheRecord, Store};
use nacre_tests::images::{self, Recipe, layer};

use crate::support::Fixture;

fn pull(store: &Store, number: usize) {
    let memory = Memory::new();
    let layers = vec![layer("etc/shared", b"by all"), layer("etc/own", number.to_string().as_bytes())];
    let root = images::image(&memory, &Recipe { layers, ..Recipe::default() });
    let session = store.session(Acquired::Pulled).unwrap();
    let options = Options { select: Select::All, parallel: 2, progress: &Silent };
    copy(&memory, &session, &root, &[format!("app:{number}")], &options).unwrap();
}

#[test]
fn fifty_writers_that_all_open_a_new_store() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for number in 0..50 {
            let root = dir.path().join("root");
            scope.spawn(move || pull(&Store::open(&root).unwrap(), number));
        }
    });
    let store = Store::open(&dir.path().join("root")).unwrap();
    assert_eq!(store.tags("docker.io/library/app").unwrap().len(), 50);
    for image in store.images().unwrap() {
        nacre_oci::validate(&store, &image.descriptor, &Select::All).unwrap();
    }
}

#[test]
fn pulls_are_whole_while_another_prunes_and_removes() {
    let fixture = Fixture::new();
    let done = AtomicBool::new(false);
    let pruner = fixture.other();
    std::thread::scope(|scope| {
        let pulls: Vec<_> = (0..4).map(|worker| (worker, fixture.other())).collect();
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                pruner.apply(&pruner.plan(vec![]).unwrap()).unwrap();
            }
        });
        let threads: Vec<_> = pulls
            .into_iter()
            .map(|(worker, store)| {
                scope.spawn(move || {
                    for round in 0..10 {
                        pull(&store, worker * 100 + round);
                        let name = format!("app:{}", worker * 100 + round);
                        let image = store.find(&name).unwrap().image;
                        nacre_oci::validate(&store, &image.descriptor, &Select::All).unwrap();
                        if round % 2 == 0 {
                            store.remove(&name, false).unwrap();
                        }
                    }
                })
            })
            .collect();
        let joined: Vec<_> = threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::SeqCst);
        joined.into_iter().for_each(|result| result.unwrap());
    });
    assert_eq!(fixture.store.images().unwrap().len(), 20);
    fixture.store.apply(&fixture.store.plan(vec![]).unwrap()).unwrap();
    let df = fixture.store.df().unwrap();
    assert_eq!((df.blobs, df.partials, df.reclaimable), (df.size, 0, 0), "after a prune nothing is left that no image needs");
}

/// No command is there to remember what another has copied back.
#[test]
fn the_log_of_the_metadata_stays_short_over_many_commands() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("meta.db-wal");
    let mut longest = 0;
    for number in 0..200_u32 {
        let store = Store::open(dir.path()).unwrap();
        let key = nacre_oci::Digest::of(&number.to_be_bytes());
        let record = CacheRecord { key, layers: vec![], created: 1, last_used: 1, description: "long".repeat(4000) };
        store.add_cache_records(std::slice::from_ref(&record)).unwrap();
        if number % 5 == 0 {
            store.remove_cache_records([&record]).unwrap();
        }
        longest = longest.max(std::fs::metadata(&log).unwrap().len());
    }
    assert!(longest > 500_000 && longest < 1_200_000, "{longest}");
    assert_eq!(Store::open(dir.path()).unwrap().cache_records().unwrap().len(), 160);
}
