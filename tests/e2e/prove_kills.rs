//! Samples of the harnesses that disturb commands; `cargo xtask prove kills --full` and so on run all.

use nacre_tests::prove::{Scope, full_disk::full_disk};
#[cfg(target_arch = "x86_64")]
use nacre_tests::prove::{faults::faults, kills::kills};

const SAMPLE: Scope = Scope { seed: 1, full: false };

#[cfg(target_arch = "x86_64")]
#[test]
fn commands_that_are_killed_at_any_call_lose_nothing_and_leave_nothing() {
    kills(&SAMPLE).assert_whole();
}

#[cfg(target_arch = "x86_64")]
#[test]
fn commands_of_which_a_call_fails_do_not_say_that_they_succeeded() {
    faults(&SAMPLE).assert_whole();
}

#[test]
fn room_can_be_made_on_a_disk_without_a_free_byte() {
    if let Some(report) = full_disk(&SAMPLE) {
        report.assert_whole();
    }
}
