//! The `nacre` command.
#![allow(dead_code, reason = "the verbs that use it come next")]

mod output;

fn main() {}
