//! The end-to-end tests: the real binary in a sandbox, one module per verb or subject.
//!
//! They test `target/<profile>/nacre`, or what `NACRE_BIN` names: `cargo build -p nacre-cli` first.
#![allow(clippy::unwrap_used, reason = "tests")]

mod admission;
mod archives;
mod build;
mod build_corpus;
mod build_escapes;
mod build_faults;
mod build_inputs;
mod build_kills;
mod build_outputs;
mod build_peers;
mod build_rootless;
mod builder;
mod commands;
mod config;
mod container_faults;
mod container_files;
mod container_kills;
mod container_lives;
mod container_peers;
mod container_rootless;
mod container_terminal;
mod containers;
mod copy;
mod export;
mod faults;
mod filesystems;
mod fixture;
mod frontends;
mod help;
mod history;
mod hostile;
mod images;
mod import;
mod import_peers;
mod in_use;
mod in_use_kills;
mod in_use_shown;
mod inspect;
mod kit;
mod lifecycle;
mod login;
mod machine;
mod peers;
mod plugins;
mod prove_archives;
mod prove_kills;
mod prove_network;
mod proxy;
mod prune;
mod pull;
mod push;
mod rmi;
mod search;
mod serve;
mod start;
mod support;
mod system;
mod tag;
mod terminal;
mod trees;

/// A file that no `mod` names would be a test that never runs.
#[test]
fn every_file_is_a_module() {
    let main = include_str!("main.rs");
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/e2e")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let code = path.join("mod.rs").is_file() || path.extension().is_some_and(|extension| extension == "rs");
        assert!(!code || name == "main" || main.contains(&format!("\nmod {name};")), "main.rs does not name {name}");
    }
}
