#![allow(clippy::unwrap_used, reason = "tests")]
use proptest::prelude::*;

use crate::files::{
    FileTree,
    testing::{keyed, tree},
};
use std::sync::Arc;

fn key(lines: &str, text: &str) -> String {
    let source: Arc<dyn FileTree> = Arc::new(tree(lines));
    keyed(&source, text).unwrap().to_string()
}

const FILES: &str = "t/\nt/a 0644 0:0 x\nt/b 0644 0:0 y\nt/l -> a\no 0644 0:0 z";

#[test]
fn what_is_selected_counts_and_nothing_else() {
    let same = |other: &str| key(FILES, "copy t /d") == key(other, "copy t /d");
    assert!(same(&FILES.replace("o 0644 0:0 z", "o 0600 1:1 other\np")));
    for (from, to) in [
        ("0 x", "0 X"),
        ("t/a 0644", "t/a 0600"),
        ("t/b 0644 0:0", "t/b 0644 1:0"),
        ("-> a", "-> b"),
        ("t/b", "t/c"),
        ("t/\n", "t/ 0700 0:0\n"),
    ] {
        assert!(!same(&FILES.replace(from, to)), "{from} {to}");
    }
    assert!(!same(&FILES.replace("t/b 0644 0:0 y", "t/b = t/a")));
    assert_ne!(key("t/b 0644 0:0 x\nt/a = t/b", "copy t /d"), key("t/b 0644 0:0 x\nt/a 0644 0:0 x", "copy t /d"));
}

#[test]
fn all_of_an_action_counts() {
    let texts = [
        "copy t /d",
        "copy t /e",
        "copy t /d chmod=0755",
        "copy t /d chown=5",
        "copy t /d chown=a",
        "copy t /d exclude=a",
        "copy t /d plain",
        "copy t/* /d",
        "mkfile /d t",
    ];
    let mut keys: Vec<String> = texts.iter().map(|text| key(FILES, text)).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), texts.len());
    assert_eq!(key(FILES, "copy t /d chown=5"), key(&FILES.replace("0:0 x", "9:9 x"), "copy t /d chown=5"));
    assert_ne!(key("a 0644 0:0 x", "copy ? /d/"), key("b 0644 0:0 x", "copy ? /d/"));
    assert_eq!(key(FILES, "copy t /d exclude=b"), key(&FILES.replace("0 y", "0 Y"), "copy t /d exclude=b"));
}

#[test]
fn a_missing_source_is_an_error_already_here() {
    let source: Arc<dyn FileTree> = Arc::new(tree(FILES));
    assert!(keyed(&source, "copy none /d").unwrap_err().to_string().ends_with("\"/none\": not found"));
}

proptest! {
    #[test]
    fn the_order_of_an_archive_does_not_matter(order in Just(vec!["d/a 0644 0:0 1", "d/b 0600 2:3 2", "d/l -> a", "d/e/f 0644 0:0 3", "d/p |"]).prop_shuffle()) {
        prop_assert_eq!(key(&order.join("\n"), "copy d /x"), key("d/a 0644 0:0 1\nd/b 0600 2:3 2\nd/e/f 0644 0:0 3\nd/l -> a\nd/p |", "copy d /x"));
    }
}
