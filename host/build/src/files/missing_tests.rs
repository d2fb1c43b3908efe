#![allow(clippy::unwrap_used, reason = "tests")]
use std::sync::Arc;

use crate::files::{
    FileTree,
    testing::{make, tree},
};

const CONTEXT: &str = "a\nd/\nd/x\nd/away -> none\naway -> none\nld -> d";

fn context() -> Arc<dyn FileTree> {
    Arc::new(tree(CONTEXT))
}

fn why(text: &str) -> String {
    make(&[], &context(), text).err().map(|error| error.to_string()).unwrap_or_default()
}

fn not_found(path: &str) -> String {
    format!("failed to compute cache key: failed to calculate checksum of ref: \"{path}\": not found")
}

#[test]
fn what_is_named_is_looked_for_first_unless_it_lies_in_another_source() {
    for (path, missing) in [("none", "/none"), ("a/x", "/a/x"), ("away", "/away"), ("d/away", "/d/away")] {
        assert_eq!(why(&format!("copy {path} /o")), not_found(missing));
    }
    assert_eq!(why("copy d /o/\ncopy d/none /o/"), "lstat /d/none: no such file or directory");
    assert_eq!(why("copy d* /o/\ncopy d/none /o/"), not_found("/d/none"));
}

#[test]
fn patterns_are_tried_only_by_copying() {
    assert_eq!(why("copy none/* /o"), "lstat /none: no such file or directory");
    assert_eq!(why("copy a/* /o"), "lstat /a: no such file or directory");
    assert_eq!(why("copy none /o exclude=q"), "lstat /none: no such file or directory");
    assert_eq!(why("copy none/./* /o/ parents"), "lstat /none: no such file or directory");
    assert_eq!(why("copy none/* /o/ parents"), "");
}

#[test]
fn links_at_the_top_must_lead_somewhere() {
    for text in ["copy aw* /o", "copy away /o exclude=q", "copy / /o exclude=q", "copy /a* /o/ parents"] {
        assert_eq!(why(text), not_found("/away"), "{text}");
    }
    for text in ["copy / /o", "copy / /o exclude=away", "copy d /o exclude=q", "copy d/away /o/ parents", "copy / /o plain exclude=q"] {
        assert_eq!(why(text), "", "{text}");
    }
}

#[test]
fn parents_must_have_what_is_named_and_no_link_may_be_on_the_way() {
    for (text, missing) in [("d/none", "/d/none"), ("none/./a", "/none/a"), ("ld/./x", "/ld/x"), ("ld/x", "/ld/x")] {
        assert_eq!(why(&format!("copy {text} /o/ parents")), not_found(missing));
        assert_eq!(why(&format!("copy {text} /o/ parents plain")), not_found(missing));
    }
    assert_eq!(why("copy d/x /o/ parents exclude=d/x"), not_found("/d/x"));
}
