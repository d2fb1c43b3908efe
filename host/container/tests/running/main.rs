//! Containers that run.
#![allow(clippy::unwrap_used, reason = "tests")]

mod commits;
mod lives;
mod peers;
mod support;
