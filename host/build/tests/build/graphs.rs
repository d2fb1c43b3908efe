//! Graphs that no frontend should make.

use nacre_build::Error;
use nacre_plugin::graph::{Action, Definition, File, MakeFile, Operation, Source, Vertex};
use proptest::prelude::*;

use crate::support::{Fixture, Graph, copy, exec};

fn refused(fixture: &Fixture, graph: &Graph, why: &str) {
    let error = fixture.try_build(graph).0.err().unwrap_or_else(|| panic!("accepted, though {why}"));
    assert!(matches!(error, Error::Graph { .. }), "{error}");
    let told = error.to_string();
    assert!(told.contains("plugin test made a malformed build graph") && told.contains(why), "{told}");
}

#[test]
fn what_breaks_a_rule_is_refused_with_the_plugins_name() {
    let fixture = Fixture::new();
    let with = |change: &dyn Fn(&mut Graph)| {
        let mut graph = Graph::default();
        graph.scratch();
        change(&mut graph);
        graph
    };
    let run = |change: fn(&mut nacre_plugin::graph::Exec)| with(&|graph| _ = graph.add("RUN", exec(0, change)));
    refused(&fixture, &with(&|graph| _ = graph.copy(0, 2, "/a", "/b")), "its input 2 does not stand before it");
    refused(&fixture, &with(&|graph| _ = graph.copy(1, 0, "/a", "/b")), "its input 1 does not stand before it");
    refused(&fixture, &with(&|graph| _ = graph.folder("other")), "the user gave no folder 'other'");
    refused(&fixture, &with(&|graph| _ = graph.base("context")), "the user gave no image 'context'");
    refused(&fixture, &with(&|graph| _ = graph.make(0, &"x/".repeat(2049))), "more than 4096");
    refused(&fixture, &run(|exec| exec.cwd = "a\0b".into()), "a path with a NUL");
    refused(&fixture, &run(|exec| exec.args.clear()), "no program");
    refused(&fixture, &run(|exec| exec.env.push(nacre_plugin::Kv::new("A=B", ""))), "'A=B' is no variable's name");
    refused(&fixture, &run(|exec| exec.args = vec!["x".repeat(100 << 10); 30]), "more than 2097152");
    let mut twelve = Graph::default();
    twelve.scratch();
    let file = MakeFile { path: "/a".into(), content: Vec::new(), mode: 0o10000, owner: None };
    twelve.add("MAKE", Operation::File(File { base: 0, actions: vec![Action::MakeFile(file)] }));
    refused(&fixture, &twelve, "more than twelve bits");
}

#[test]
fn an_output_that_is_not_there_and_layers_without_end_are_refused() {
    let fixture = Fixture::new();
    let mut graph = Graph::default();
    let scratch = graph.scratch();
    let mut at = graph.make(scratch, "/a");
    for _ in 0..40 {
        at = graph.add("merge", Operation::Merge(vec![at, at]));
    }
    let error = fixture.try_build(&graph).0.err().unwrap();
    assert!(error.to_string().contains("layers, more than 10000"), "{error}");
    refused(&fixture, &Graph::default(), "its output is operation");
}

fn operation() -> impl Strategy<Value = Operation> {
    let path = prop_oneof!["[a-c/.]{0,6}", Just("/".to_owned()), Just("../..".to_owned())];
    let node = 0u32..8;
    prop_oneof![
        Just(Operation::Source(Source::Scratch)),
        Just(Graph::default().context_operation()),
        (node.clone(), path.clone()).prop_map(|(base, path)| {
            let file = MakeFile { path, content: b"x".to_vec(), mode: 0o644, owner: None };
            Operation::File(File { base, actions: vec![Action::MakeFile(file)] })
        }),
        (node.clone(), node.clone(), path.clone(), path)
            .prop_map(|(base, from, source, dest)| Operation::File(File { base, actions: vec![copy(from, &source, &dest)] })),
        proptest::collection::vec(node.clone(), 0..3).prop_map(Operation::Merge),
        (node.clone(), node).prop_map(|(lower, upper)| Operation::Diff(nacre_plugin::graph::Diff { lower, upper })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_the_graph_a_build_ends_in_an_image_or_an_error(operations in proptest::collection::vec(operation(), 0..8)) {
        let fixture = Fixture::new();
        fixture.write("a/b", "content");
        let vertices: Vec<Vertex> =
            operations.into_iter().map(|operation| Vertex { operation, label: String::new(), at: None, no_cache: false }).collect();
        let definition = Definition { output: vertices.len().saturating_sub(1) as u32, vertices };
        let graph = Graph(definition.vertices);
        if let Ok(built) = fixture.try_build(&graph).0 {
            nacre_oci::validate(&built.content, &built.root.descriptor, &nacre_oci::Select::All).unwrap();
        }
    }
}
