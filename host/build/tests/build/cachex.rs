//! Caches that move from one store to another.

use std::{fs, sync::Arc};

use nacre_archive::Layout;
use nacre_build::{Mode, export_cache, import_cache};
use nacre_oci::{Memory, Silent, Sink, Source};
use nacre_tests::images::{Recipe, image, tag};

use crate::support::{Fixture, Graph, NOW};

/// A copy out of another stage, which the image has, and that stage, which it has not.
fn graph(fixture: &Fixture) -> Graph {
    fixture.write("a.txt", "hello");
    let mut graph = Graph::default();
    let (scratch, context) = (graph.scratch(), graph.context());
    let other = graph.copy(scratch, context, "/a.txt", "/other/");
    let empty = graph.scratch();
    graph.copy(empty, other, "/other/a.txt", "/own/");
    graph
}

fn names() -> [String; 1] {
    ["cache".to_owned()]
}

/// How many operations a new store finds in the cache, and how many records it has.
fn found_in(layout: Layout) -> (usize, usize) {
    let mut fresh = Fixture::new();
    let imported = import_cache(Arc::new(layout), "cache", NOW).unwrap();
    let records = imported.records.len();
    fresh.imports = vec![imported];
    let (built, heard) = fresh.build(&graph(&fresh));
    assert_eq!(fresh.files(&built)[0].last().unwrap().split('@').next(), Some("own/a.txt 5"));
    (heard.count("cached"), records)
}

#[test]
fn another_store_finds_what_was_made() {
    let fixture = Fixture::new();
    let (built, _) = fixture.build(&graph(&fixture));
    for (mode, want) in [(Mode::Min, (1, 1)), (Mode::Max, (2, 2))] {
        let folder = fixture.path(&format!("{mode:?}"));
        let to = Layout::create(&folder).unwrap();
        let first = export_cache(&fixture.environment.store, &built, mode, &to, &names(), &Silent).unwrap();
        let again = export_cache(&fixture.environment.store, &built, mode, &to, &names(), &Silent).unwrap();
        assert_eq!(first, again, "the same cache is the same artifact");
        assert_eq!(found_in(Layout::open(&folder).unwrap()), want, "{mode:?}");
    }
}

#[test]
fn damaged_and_foreign_caches_are_no_caches() {
    let fixture = Fixture::new();
    let (built, _) = fixture.build(&graph(&fixture));
    let memory = Memory::new();
    let foreign = image(&memory, &Recipe::default());
    tag(&memory, "foreign", &foreign);
    let memory = Arc::new(memory);
    let refused = |from: Arc<dyn Source>, name: &str| import_cache(from, name, NOW).err().unwrap().to_string();
    assert!(refused(memory.clone(), "foreign").contains("not a cache that nacre wrote"));
    assert!(refused(memory, "none").contains("not found"));
    let folder = fixture.path("cache");
    let to = Layout::create(&folder).unwrap();
    let root = export_cache(&fixture.environment.store, &built, Mode::Max, &to, &names(), &Silent).unwrap();
    let nacre_oci::Document::Manifest(manifest) = root.document().unwrap() else { panic!("an index") };
    assert!(to.contains(&manifest.config).unwrap());
    let blob = |digest: &nacre_oci::Digest| folder.join("blobs/sha256").join(digest.hex());
    // Layers that are not what they were, or no more: they are made, and the user is told.
    let [damaged, lost] = &manifest.layers[..] else { panic!("{:?}", manifest.layers) };
    let mut bytes = fs::read(blob(&damaged.digest)).unwrap();
    bytes[0] ^= 1;
    fs::write(blob(&damaged.digest), bytes).unwrap();
    fs::remove_file(blob(&lost.digest)).unwrap();
    let mut fresh = Fixture::new();
    fresh.imports = vec![import_cache(Arc::new(Layout::open(&folder).unwrap()), "cache", NOW).unwrap()];
    let (anew, heard) = fresh.build(&graph(&fresh));
    assert_eq!(anew.root, built.root);
    assert!(heard.count("warning the cache's layers") >= 1);
    assert_eq!(fresh.environment.store.check(true).unwrap(), []);
    let config = blob(&manifest.config.digest);
    let mut bytes = fs::read(&config).unwrap();
    bytes[3] ^= 1;
    fs::write(&config, bytes).unwrap();
    assert!(refused(Arc::new(Layout::open(&folder).unwrap()), "cache").contains("is damaged"));
}
