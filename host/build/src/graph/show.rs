//! Graphs to look at: `--print-graph`.

use std::fmt::Write;

use nacre_plugin::{
    BuildImage,
    graph::{Operation, Source},
};
use serde_json::{Value, json};

/// Every image's platform, graph and config.
pub fn to_json(images: &[BuildImage]) -> Value {
    let one = |image: &BuildImage| {
        let config: Value = serde_json::from_str(&image.config).unwrap_or(Value::Null);
        json!({ "platform": image.platform, "definition": image.definition, "config": config })
    };
    images.iter().map(one).collect()
}

/// The graphs in Graphviz's language, a cluster for each image.
pub fn to_dot(images: &[BuildImage]) -> String {
    let mut dot = String::from("digraph build {\n  node [shape=box];\n");
    for (number, image) in images.iter().enumerate() {
        let platform = super::platform(&image.platform);
        let _ = writeln!(dot, "  subgraph cluster_{number} {{\n    label={};", quoted(&platform.to_string()));
        for (index, vertex) in image.definition.vertices.iter().enumerate() {
            let label = if vertex.label.is_empty() { kind(&vertex.operation) } else { &vertex.label };
            let shape = if index == image.definition.output as usize { ", peripheries=2" } else { "" };
            let _ = writeln!(dot, "    n{number}_{index} [label={}{shape}];", quoted(label));
            let mut operation = vertex.operation.clone();
            for (position, input) in super::inputs(&mut operation).into_iter().enumerate() {
                let style = if position == 0 { "" } else { " [style=dashed]" };
                let _ = writeln!(dot, "    n{number}_{input} -> n{number}_{index}{style};");
            }
        }
        dot.push_str("  }\n");
    }
    dot.push_str("}\n");
    dot
}

/// What an operation is, where it has no label.
fn kind(operation: &Operation) -> &'static str {
    match operation {
        Operation::Source(Source::Scratch) => "scratch",
        Operation::Source(Source::Image(_)) => "image",
        Operation::Source(Source::Folder(_)) => "folder",
        Operation::Source(Source::Http(_)) => "http",
        Operation::Source(Source::Git(_)) => "git",
        Operation::File(_) => "file",
        Operation::Exec(_) => "exec",
        Operation::Merge(_) => "merge",
        Operation::Diff(_) => "diff",
    }
}

/// A string of Graphviz's language.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
