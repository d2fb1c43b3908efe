//! Builds from outside: graphs in, images out, over a store of their own.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod cachex;
mod caching;
mod graphs;
mod images;
mod sending;
mod solving;
mod sources;
mod support;
