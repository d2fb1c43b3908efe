//! The store from outside: what its callers, other processes and killed commands see.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod cache;
mod check;
mod concurrency;
mod containers;
mod damage;
mod faults;
mod images;
mod ingest;
mod names;
mod prune;
mod remove;
mod repair;
mod serving;
mod support;
