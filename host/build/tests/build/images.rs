//! Configs, manifests and indexes.

use std::{collections::BTreeMap, fs, sync::Arc};

use nacre_build::{Context, Watcher, build};
use nacre_layer::Compression;
use nacre_oci::{Document, History, media_type};

use crate::support::{Fixture, Graph, NOW};

const CONFIG: &str = r#"{"os":"linux","architecture":"amd64","config":{"Env":["A=b"],"Healthcheck":{"Test":["NONE"]}},"history":[
    {"created":"2020-01-01T00:00:00Z","created_by":"base"},
    {"created_by":"LABEL x","empty_layer":true,"comment":"buildkit.dockerfile.v0"},
    {"created_by":"COPY","comment":"buildkit.dockerfile.v0"}]}"#;

/// A base and one layer on it.
fn graph(fixture: &mut Fixture) -> Graph {
    fixture.layout("base", &["linux/amd64"]);
    fixture.write("a.txt", "hello");
    let mut graph = Graph::default();
    let (base, context) = (graph.base("base"), graph.context());
    graph.copy(base, context, "/a.txt", "/");
    graph
}

fn times(rows: &[History]) -> Vec<&str> {
    rows.iter().map(|row| row.created.as_deref().unwrap_or_default()).collect()
}

fn build_with(fixture: &Fixture, graph: &Graph, config: &str) -> nacre_build::Built {
    let watcher: Arc<dyn Watcher> = Arc::new(());
    let built = build(&fixture.environment, fixture.request(vec![graph.image("linux/amd64", config)]), &watcher).unwrap();
    built.store().unwrap();
    built
}

#[test]
fn the_config_is_the_frontends_with_layers_and_times() {
    let mut fixture = Fixture::new();
    let graph = graph(&mut fixture);
    let config = fixture.config(&build_with(&fixture, &graph, CONFIG));
    let now = "2027-01-15T08:00:00Z";
    assert_eq!(times(&config.history), ["2020-01-01T00:00:00Z", now, now]);
    assert_eq!(config.created.as_deref(), Some(now));
    assert_eq!(config.rootfs.diff_ids.len(), 2);
    assert!(config.config.rest.contains_key("Healthcheck"));
}

#[test]
fn with_an_epoch_what_is_new_shows_it() {
    let mut fixture = Fixture::new();
    fixture.output.epoch = Some(0);
    let graph = graph(&mut fixture);
    let config = fixture.config(&build_with(&fixture, &graph, CONFIG));
    assert_eq!(times(&config.history), ["2020-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"]);
    assert_eq!(config.created.as_deref(), Some("1970-01-01T00:00:00Z"));
}

#[test]
fn layers_without_a_row_get_buildkits() {
    let mut fixture = Fixture::new();
    let graph = graph(&mut fixture);
    let config = fixture.config(&build_with(&fixture, &graph, r#"{"os":"linux","architecture":"amd64","history":[{"created_by":"one"}]}"#));
    let last = config.history.last().unwrap();
    assert_eq!((last.created_by.as_deref(), last.comment.as_deref()), (Some("COPY /a.txt /"), Some("buildkit.exporter.image.v0")));
    assert_eq!(config.history.len(), 2);
}

#[test]
fn rewritten_times_are_lowered_in_new_layers_only() {
    let mut fixture = Fixture::new();
    let graph = graph(&mut fixture);
    let before = fixture.files(&build_with(&fixture, &graph, CONFIG));
    fixture.output.epoch = Some(1000);
    fixture.output.rewrite_timestamp = true;
    let built = build_with(&fixture, &graph, CONFIG);
    let after = fixture.files(&built);
    assert_eq!(after[0], before[0]);
    assert_eq!(after[1], ["a.txt 5@1000"]);
    assert_eq!(build_with(&fixture, &graph, CONFIG).root, built.root);
}

#[test]
fn new_layers_are_compressed_as_asked_for() {
    let mut fixture = Fixture::new();
    let graph = graph(&mut fixture);
    for (compression, expected) in [
        (Compression::Gzip, media_type::OCI_LAYER_GZIP),
        (Compression::Zstd, media_type::OCI_LAYER_ZSTD),
        (Compression::None, media_type::OCI_LAYER),
    ] {
        fixture.output.compression = compression;
        let built = build_with(&fixture, &graph, CONFIG);
        let types: Vec<String> = fixture.manifest(&built).layers.into_iter().map(|layer| layer.media_type).collect();
        assert_eq!(types, [media_type::OCI_LAYER, expected]);
        let first = &built.images[0].layers[1].diff_id;
        assert_eq!(*first, fixture.config(&built).rootfs.diff_ids[1]);
        assert_eq!(build_with(&fixture, &graph, CONFIG).root, built.root);
    }
}

#[test]
fn several_platforms_make_an_index_with_their_bases() {
    let mut fixture = Fixture::new();
    fixture.layout("base", &["linux/amd64", "linux/arm64"]);
    fixture.output.index_annotations = BTreeMap::from([("of".into(), "the index".into())]);
    fixture.output.annotations = BTreeMap::from([("of".into(), "each manifest".into())]);
    fixture.output.descriptor_annotations = BTreeMap::from([("of".into(), "each descriptor".into())]);
    let one = |platform: &str| {
        let mut graph = Graph::default();
        let base = graph.base("base");
        if let nacre_plugin::graph::Operation::Source(nacre_plugin::graph::Source::Image(image)) = &mut graph.0[base as usize].operation {
            image.platform = crate::support::platform(platform);
        }
        graph.make(base, "/same");
        graph.image(platform, "{}")
    };
    let watcher: Arc<dyn Watcher> = Arc::new(());
    let request = fixture.request(vec![one("linux/amd64"), one("linux/arm64")]);
    let built = build(&fixture.environment, request, &watcher).unwrap();
    let Document::Index(index) = built.root.document().unwrap() else { panic!("no index") };
    let platforms: Vec<String> = index.manifests.iter().map(|one| one.platform.as_ref().unwrap().to_string()).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    assert_eq!(index.annotations["of"], "the index");
    assert_eq!(index.manifests[1].annotations["of"], "each descriptor");
    assert_eq!(fixture.manifest(&built).annotations["of"], "each manifest");
    assert_ne!(built.images[0].layers[0], built.images[1].layers[0]);
    assert_eq!(
        nacre_oci::validate(&built.content, &built.root.descriptor, &nacre_oci::Select::All).unwrap().blobs,
        5,
        "the layer on top is one"
    );
}

#[test]
fn an_image_of_the_store_is_a_base_and_what_it_lacks_is_asked_for() {
    let mut fixture = Fixture::new();
    let graph = graph(&mut fixture);
    let built = build_with(&fixture, &graph, CONFIG);
    let store = fixture.environment.store.clone();
    store.add_tagged(&"app:1".parse().unwrap(), &built.root, nacre_store::Acquired::Built).unwrap();
    fixture.contexts.insert("base".into(), Context::Image("app:1".into()));
    fs::remove_dir_all(fixture.path("base")).unwrap();
    let second = build_with(&fixture, &graph, CONFIG);
    assert_eq!(second.images[0].layers.len(), 3);
    assert_eq!(second.materials[0].uri, "pkg:docker/app@1?platform=linux%2Famd64");
    let name = "somewhere/else:2";
    fixture.contexts.insert("base".into(), Context::Image(name.into()));
    let error = fixture.try_build(&graph).0.err().unwrap();
    assert!(error.to_string().contains("a registry in this test"), "{error}");
    assert_eq!(fixture.environment.now, NOW);
}
