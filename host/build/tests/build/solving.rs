//! What operations make, what is left out, and how failures end a build.

use std::{fs, sync::Arc};

use nacre_build::{Context, Error, Event, MAIN_CONTEXT, Watcher, build, graph};
use nacre_plugin::{
    BuildSession, Span,
    graph::{Diff, Operation},
};

use crate::support::{Fixture, Graph};

#[test]
fn copies_out_of_the_context() {
    let fixture = Fixture::new();
    fixture.write("a.txt", "hello");
    let mut graph = Graph::default();
    let (scratch, context) = (graph.scratch(), graph.context());
    graph.copy(scratch, context, "/a.txt", "/sub/");
    let (built, heard) = fixture.build(&graph);
    let files = fixture.files(&built);
    assert_eq!(files.len(), 1);
    assert!(files[0][1].starts_with("sub/a.txt 5@"), "{files:?}");
    assert_eq!(heard.count("COPY"), 1);
    let manifest = fixture.manifest(&built);
    assert_eq!(built.root.descriptor, built.images[0].manifest.descriptor);
    let diff_ids = fixture.config(&built).rootfs.diff_ids;
    assert_eq!(diff_ids, manifest.layers.iter().map(|layer| layer.digest.clone()).collect::<Vec<_>>());
}

#[test]
fn what_the_output_does_not_need_is_not_done() {
    let fixture = Fixture::new();
    let mut graph = Graph::default();
    let scratch = graph.scratch();
    graph.make(scratch, "/unneeded");
    graph.make(scratch, "/needed");
    let (built, heard) = fixture.build(&graph);
    assert_eq!(fixture.files(&built), [[format!("needed 7@{}", crate::support::NOW)]]);
    assert_eq!(heard.count("unneeded"), 0);
}

#[test]
fn the_same_operation_is_done_once_whatever_it_is_called() {
    let fixture = Fixture::new();
    let mut graph = Graph::default();
    let (one, other) = (graph.scratch(), graph.scratch());
    let (a, b) = (graph.make(one, "/a"), graph.make(other, "/a"));
    graph.0[b as usize].label = "another name".into();
    let both = graph.add("both", Operation::Merge(vec![a, b]));
    graph.make(both, "/b");
    let (built, heard) = fixture.build(&graph);
    assert_eq!(built.images[0].layers.len(), 3);
    assert_eq!((heard.count("start MAKE /a"), heard.count("another name")), (1, 0));
}

#[test]
fn merges_lay_over_and_diffs_take_what_was_laid() {
    let fixture = Fixture::new();
    let mut graph = Graph::default();
    let scratch = graph.scratch();
    let lower = graph.make(scratch, "/a");
    let upper = graph.make(lower, "/b");
    let diff = graph.add("diff", Operation::Diff(Diff { lower, upper }));
    let c = graph.make(scratch, "/c");
    graph.add("merge", Operation::Merge(vec![c, diff]));
    let (built, _) = fixture.build(&graph);
    let names: Vec<String> = fixture.files(&built).concat().iter().map(|file| file.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["c", "b"]);
}

#[test]
fn the_difference_of_strangers_is_a_layer_with_whiteouts() {
    let fixture = Fixture::new();
    let mut graph = Graph::default();
    let scratch = graph.scratch();
    let common = graph.make(scratch, "/common");
    let lower = graph.make(common, "/gone");
    let other = graph.make(scratch, "/new");
    let upper = graph.add("merge", Operation::Merge(vec![other, common]));
    graph.add("diff", Operation::Diff(Diff { lower, upper }));
    let (built, _) = fixture.build(&graph);
    let files = fixture.files(&built);
    assert_eq!(files, [["gone 0@0".to_owned(), format!("new 4@{}", crate::support::NOW)]]);
}

#[test]
fn a_folder_can_be_a_base_and_an_output() {
    let mut fixture = Fixture::new();
    fs::create_dir_all(fixture.path("extra/sub")).unwrap();
    fs::write(fixture.path("extra/sub/deep"), "deep").unwrap();
    fixture.contexts.insert("extra".into(), Context::Folder(fixture.path("extra")));
    let mut graph = Graph::default();
    let extra = graph.folder("extra");
    assert_eq!(fixture.build(&graph).0.images[0].layers.len(), 1);
    graph.make(extra, "/more");
    let (built, _) = fixture.build(&graph);
    let files = fixture.files(&built);
    assert!(files[0].iter().any(|file| file.starts_with("sub/deep 4@")), "{files:?}");
    assert_eq!(built.images[0].layers.len(), 2);
}

#[test]
fn a_failed_operation_is_told_with_its_place() {
    let fixture = Fixture::new();
    let mut graph = Graph::default();
    let (scratch, context) = (graph.scratch(), graph.context());
    let copied = graph.copy(scratch, context, "/missing", "/");
    graph.0[copied as usize].at = Some(Span { file: "Dockerfile".into(), line: 7, col: 1 });
    graph.make(copied, "/never");
    let (failed, heard) = fixture.try_build(&graph);
    let error = failed.err().unwrap();
    assert_eq!(error.at().unwrap().line, 7);
    assert!(error.to_string().contains("missing"), "{error}");
    assert_eq!(error.diagnostic().at.unwrap().line, 7);
    assert_eq!((heard.count("failed"), heard.count("never")), (1, 0));
}

#[test]
fn a_build_that_is_told_to_stop_stops() {
    struct Impatient;
    impl Watcher for Impatient {
        fn event(&self, _: Event<'_>) {}
        fn cancelled(&self) -> bool {
            true
        }
    }
    let fixture = Fixture::new();
    let mut graph = Graph::default();
    let scratch = graph.scratch();
    graph.make(scratch, "/a");
    let watcher: Arc<dyn Watcher> = Arc::new(Impatient);
    let error = build(&fixture.environment, fixture.request(vec![graph.image("linux/amd64", "{}")]), &watcher).err().unwrap();
    assert!(error.is_cancelled(), "{error}");
}

#[test]
fn a_frontend_reads_resolves_and_builds_while_it_works() {
    let fixture = Fixture::new();
    fixture.write("Dockerfile", "FROM scratch");
    let mut graph_of_session = Graph::default();
    let scratch = graph_of_session.scratch();
    graph_of_session.make(scratch, "/version");
    let definition = graph_of_session.definition();
    let mut request = fixture.request(Vec::new());
    request.frontend = Box::new(move |mut session: Box<dyn BuildSession>| {
        assert_eq!(session.read_file(MAIN_CONTEXT, "Dockerfile").unwrap().unwrap(), b"FROM scratch");
        assert_eq!(session.read_file(MAIN_CONTEXT, "none").unwrap(), None);
        assert!(session.read_file("unknown", "x").is_err());
        let mut files = session.solve(definition.clone()).unwrap();
        assert_eq!(files.read_file("/version").unwrap().unwrap(), b"/version");
        assert_eq!(files.list("/").unwrap(), ["version"]);
        assert!(files.list("/none").is_err());
        Ok(vec![graph_of_session.image("linux/amd64", "{}")])
    });
    let watcher: Arc<dyn Watcher> = Arc::new(());
    let images = graph(&fixture.environment, request, &watcher).unwrap();
    assert_eq!(images.len(), 1);
}

#[test]
fn programs_get_the_hosts_network_only_if_the_user_lets_them() {
    let fixture = Fixture::new();
    let mut graph = Graph::default();
    let base = graph.scratch();
    graph.add("RUN true", crate::support::exec(base, |exec| exec.network = nacre_plugin::graph::Network::Host));
    let error = fixture.try_build(&graph).0.err().unwrap();
    assert!(matches!(error, Error::Step { .. }) && error.to_string().contains("network.host"), "{error}");
}
