//! A sample of the power-loss states that `cargo xtask prove power --full` tries.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use nacre_tests::prove::{Scope, power::power};

#[test]
fn a_power_loss_at_any_change_breaks_no_promise() {
    power(&Scope { seed: 1, full: false }).assert_whole();
}
