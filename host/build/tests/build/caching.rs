//! What is found in the cache, and what must not be.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use nacre_build::{Built, Imported};
use nacre_plugin::Span;
use nacre_store::CacheRecord;

use crate::support::{Fixture, Graph, Heard, NOW};

/// A base image, a file of the context on it, and a file that is made on that.
fn graph(fixture: &mut Fixture) -> Graph {
    fixture.layout("base", &["linux/amd64"]);
    fixture.write("a.txt", "hello");
    let mut graph = Graph::default();
    let (base, context) = (graph.base("base"), graph.context());
    let copied = graph.copy(base, context, "/a.txt", "/sub/");
    graph.make(copied, "/made");
    graph
}

/// How many of the graph's operations on files were found, and the image.
fn rebuild(fixture: &Fixture, graph: &Graph) -> (usize, Built) {
    let (built, heard): (Built, Arc<Heard>) = fixture.build(graph);
    (heard.count("cached"), built)
}

fn blob(fixture: &Fixture, built: &Built) -> PathBuf {
    fixture.environment.store.blob_path(&built.images[0].layers.last().unwrap().descriptor.digest)
}

#[test]
fn the_second_build_finds_everything_and_opens_no_layer() {
    let mut fixture = Fixture::new();
    let graph = graph(&mut fixture);
    let (found, first) = rebuild(&fixture, &graph);
    assert_eq!(found, 0);
    let indexes = fixture.environment.cache.join("layers");
    fs::remove_dir_all(&indexes).unwrap();
    fixture.environment.now += 1000;
    let (found, second) = rebuild(&fixture, &graph);
    assert_eq!(found, 2);
    assert!(!indexes.exists());
    assert_eq!(second.root, first.root, "the image shows when its layers were made, not when they were found");
    assert_eq!(second.steps.iter().filter(|step| step.cached).count(), 2);
}

#[test]
fn names_places_and_times_do_not_count() {
    let mut fixture = Fixture::new();
    let mut graph = graph(&mut fixture);
    rebuild(&fixture, &graph);
    for vertex in &mut graph.0 {
        vertex.label.push_str(" in other words");
        vertex.at = Some(Span { file: "Other".into(), line: 1, col: 1 });
    }
    let file = File::options().write(true).open(fixture.path("context/a.txt")).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(77)).unwrap();
    assert_eq!(rebuild(&fixture, &graph).0, 2);
}

#[test]
fn contents_the_epoch_and_the_base_count() {
    let mut fixture = Fixture::new();
    let graph = graph(&mut fixture);
    rebuild(&fixture, &graph);
    fixture.write("a.txt", "other");
    assert_eq!(rebuild(&fixture, &graph).0, 0);
    fixture.output.epoch = Some(5);
    assert_eq!(rebuild(&fixture, &graph).0, 0);
    fixture.output.epoch = None;
    assert_eq!(rebuild(&fixture, &graph).0, 2);
    fs::remove_dir_all(fixture.path("base")).unwrap();
    fixture.layout("base", &["linux/amd64", "with another layer"]);
    assert_eq!(rebuild(&fixture, &graph).0, 0);
}

#[test]
fn what_is_to_be_done_anew_is() {
    let mut fixture = Fixture::new();
    let mut graph = graph(&mut fixture);
    rebuild(&fixture, &graph);
    graph.0.iter_mut().for_each(|vertex| vertex.no_cache = true);
    assert_eq!(rebuild(&fixture, &graph).0, 0);
}

#[test]
fn a_layer_that_is_gone_or_cut_off_is_made_again() {
    let mut fixture = Fixture::new();
    let graph = graph(&mut fixture);
    let (_, first) = rebuild(&fixture, &graph);
    let path = blob(&fixture, &first);
    fs::remove_file(&path).unwrap();
    let (found, second) = rebuild(&fixture, &graph);
    assert_eq!((found, &second.root), (1, &first.root));
    fs::remove_file(&path).unwrap();
    fs::write(&path, "damaged").unwrap();
    let (found, third) = rebuild(&fixture, &graph);
    assert_eq!((found, &third.root), (1, &first.root));
    assert!(fs::metadata(&path).unwrap().len() > 7);
}

#[test]
fn a_layer_that_is_damaged_is_made_again_when_it_is_read() {
    let fixture = Fixture::new();
    fixture.write("a.txt", "hello");
    let mut graph = Graph::default();
    let (base, context) = (graph.scratch(), graph.context());
    let stage = graph.copy(base, context, "/a.txt", "/sub/");
    let (_, first) = rebuild(&fixture, &graph);
    let path = blob(&fixture, &first);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.iter_mut().rfind(|byte| **byte == b'h').unwrap() ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    let base = graph.scratch();
    graph.copy(base, stage, "/sub/a.txt", "/again/");
    let (built, heard) = fixture.build(&graph);
    assert_eq!((heard.count("warning the cache's layers"), heard.count("cached")), (1, 1));
    let undamaged = Fixture::new();
    undamaged.write("a.txt", "hello");
    assert_eq!(built.images[0].layers, undamaged.build(&graph).0.images[0].layers);
    assert!(String::from_utf8_lossy(&fs::read(&path).unwrap()).contains("hello"), "the store is whole again");
}

#[test]
fn copies_between_root_filesystems_are_found_without_their_files() {
    let fixture = Fixture::new();
    let mut graph = Graph::default();
    let scratch = graph.scratch();
    let from = graph.make(scratch, "/a");
    graph.copy(scratch, from, "/a", "/b");
    rebuild(&fixture, &graph);
    fs::remove_dir_all(&fixture.environment.cache).unwrap();
    assert_eq!(rebuild(&fixture, &graph).0, 2);
    assert!(!fixture.environment.cache.join("layers").exists());
    // Another root filesystem with the same file: by content.
    let mut other = Graph::default();
    let scratch = other.scratch();
    let more = other.make(scratch, "/c");
    let from = other.make(more, "/a");
    other.copy(scratch, from, "/a", "/b");
    assert_eq!(rebuild(&fixture, &other).0, 1);
}

#[test]
fn another_builds_cache_can_be_used() {
    let (mut one, mut other) = (Fixture::new(), Fixture::new());
    let graph = graph(&mut one);
    let (_, first) = rebuild(&one, &graph);
    let records: BTreeMap<_, CacheRecord> =
        one.environment.store.cache_records().unwrap().into_iter().map(|record| (record.key.clone(), record)).collect();
    let contexts = one.contexts.clone();
    other.contexts = contexts;
    other.imports = vec![Imported { records: Arc::new(records), from: Arc::new(one.environment.store.clone()) }];
    let (found, second) = rebuild(&other, &graph);
    assert_eq!((found, &second.root), (2, &first.root));
    assert!(blob(&other, &second).exists());
    other.imports.clear();
    assert_eq!(rebuild(&other, &graph).0, 2);
}

#[test]
fn a_build_protects_what_it_found_and_made_until_it_is_dropped() {
    let mut fixture = Fixture::new();
    let graph = graph(&mut fixture);
    rebuild(&fixture, &graph);
    let store = fixture.environment.store.clone();
    let (_, built) = rebuild(&fixture, &graph);
    store.remove_cache_records(&store.cache_records().unwrap()).unwrap();
    let every_layer = || built.images[0].layers.iter().all(|layer| store.blob_size(&layer.descriptor.digest).unwrap().is_some());
    assert!(every_layer());
    store.add_tagged(&"app:1".parse().unwrap(), &built.root, nacre_store::Acquired::Built).unwrap();
    drop(built);
    store.apply(&store.plan(Vec::new()).unwrap()).unwrap();
    assert_eq!(nacre_oci::validate(&store, &store.find("app:1").unwrap().image.descriptor, &nacre_oci::Select::All).unwrap().blobs, 4);
}

#[test]
fn two_builds_at_once_make_the_same() {
    let mut fixture = Fixture::new();
    let graph = graph(&mut fixture);
    let roots: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| fixture.build(&graph).0.images[0].layers.clone())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(roots.windows(2).all(|pair| pair[0] == pair[1]));
    // Two operations, and the base's layer, which was fetched.
    assert_eq!(fixture.environment.store.cache_records().unwrap().len(), 3);
    assert!(fixture.environment.store.cache_records().unwrap().iter().all(|record| record.created == NOW));
}

#[test]
fn an_operation_is_found_or_not_whatever_helps_it() {
    let mut fixture = Fixture::new();
    fs::create_dir(fixture.path("extra")).unwrap();
    fixture.contexts.insert("extra".into(), nacre_build::Context::Folder(fixture.path("extra")));
    let graph = |name: &str| {
        let mut graph = Graph::default();
        let extra = graph.folder("extra");
        graph.make(extra, name);
        graph
    };
    rebuild(&fixture, &graph("/a"));
    assert_eq!(rebuild(&fixture, &graph("/b")).0, 0, "the folder's layer is found, the operation on it is not");
}
