//! Samples of the harnesses about what strangers give to nacre, and about many who use one store.

use nacre_tests::prove::{Scope, archives::archives, crowd::crowd, terminal::terminal};

const SAMPLE: Scope = Scope { seed: 1, full: false };

#[test]
fn hostile_archives_stay_inside() {
    archives(&SAMPLE).assert_whole();
}

#[test]
fn strangers_text_reaches_no_terminal_as_it_is() {
    terminal(&SAMPLE).assert_whole();
}

#[test]
fn a_crowd_shares_a_store() {
    crowd(&SAMPLE).assert_whole();
}
