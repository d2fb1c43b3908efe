//! Containers in a real store, as far as nothing is run.
#![allow(clippy::unwrap_used, reason = "tests")]

mod create;
mod images;
mod listing;
mod support;
mod views;
