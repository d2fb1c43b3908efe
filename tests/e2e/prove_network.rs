//! Samples of the proofs about networks and registries; `cargo xtask prove network --full` and `registries --full` run all.

use nacre_tests::prove::{Scope, network, registries};

#[test]
fn a_bad_network_ends_in_the_right_digest_or_an_error() {
    network::network(&Scope { seed: 1, full: false }).assert_whole();
}

#[test]
fn hostile_registries_do_no_harm() {
    registries::registries(&Scope { seed: 1, full: false }).assert_whole();
}
