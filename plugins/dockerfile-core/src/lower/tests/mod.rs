//! A session in memory, and graphs and images in a form that fits into a test.
#![allow(clippy::unwrap_used, reason = "tests")]

mod args;
mod config;
mod copy;
mod corpus;
mod run;
mod session;
mod show;
mod stages;

use nacre_sdk::Error;
use nacre_sdk::Kv;
use nacre_sdk::frontend::{Image, Request, request};
use serde_json::Value;

use session::Memory;

/// What is built of this text with the images `base` and `other`.
pub(super) fn built(text: &str) -> Image {
    build(request("Dockerfile", text.as_bytes())).remove(0)
}

/// What is built for a request.
pub(super) fn build(request: Request) -> Vec<Image> {
    super::lower(&request, &mut Memory::default()).unwrap()
}

/// The graph of this text.
pub(super) fn graph(text: &str) -> String {
    show::definition(&built(text).definition)
}

/// The labels of a graph's vertices, without the sources'.
pub(super) fn labels(image: &Image) -> Vec<String> {
    image.definition.vertices.iter().map(|vertex| vertex.label.clone()).filter(|label| label.starts_with('[')).collect()
}

/// The configuration of this text.
pub(super) fn image(text: &str) -> Value {
    serde_json::from_str(&built(text).config).unwrap()
}

/// The history that this text adds, `-` in front of rows without a layer.
pub(super) fn history(text: &str) -> Vec<String> {
    let image = image(text);
    let rows = image["history"].as_array().unwrap().iter().filter(|row| row["comment"] == "buildkit.dockerfile.v0");
    rows.map(|row| format!("{}{}", if row["empty_layer"] == true { "- " } else { "" }, row["created_by"].as_str().unwrap())).collect()
}

/// The mistake of this text as `LINE: MESSAGE`.
pub(super) fn mistake(text: &str) -> String {
    refused(request("Dockerfile", text.as_bytes()))
}

/// The mistake of a request.
pub(super) fn refused(request: Request) -> String {
    match super::lower(&request, &mut Memory::default()) {
        Err(Error::Invalid(diagnostics)) => {
            let at = diagnostics[0].at.as_ref().map(|at| format!("{}: ", at.line)).unwrap_or_default();
            format!("{at}{}", diagnostics[0].message)
        }
        other => panic!("no mistake: {other:?}"),
    }
}

/// What is told of a request that is no mistake.
pub(super) fn warnings(request: Request) -> Vec<String> {
    let mut session = Memory::default();
    super::lower(&request, &mut session).unwrap();
    session.warnings
}

/// A request with build arguments.
pub(super) fn with_args(text: &str, args: &[(&str, &str)]) -> Request {
    let args = args.iter().map(|(key, value)| Kv { key: key.to_string(), value: value.to_string() }).collect();
    Request { args, ..request("Dockerfile", text.as_bytes()) }
}
