#![allow(clippy::unwrap_used, reason = "tests")]
use proptest::prelude::*;

use super::*;

/// Asks for a path by way of the folders above it.
fn excluded(patterns: &[&str], path: &str) -> bool {
    let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).into()).collect();
    let patterns = Patterns::new(&patterns).unwrap();
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    ends.fold((false, Vec::new()), |(_, above), end| patterns.matches(&path.as_bytes()[..end], &above)).0
}

#[test]
fn single_patterns_match_as_in_moby() {
    let cases = [
        ("**", "file", true),
        ("**", "dir/file", true),
        ("**/", "dir/file", true),
        ("**/file", "file", true),
        ("**/file", "a/b/file", true),
        ("**/file", "a/bfile", false),
        ("**file", "a/bfile", true),
        ("dir/**", "dir/a/b", true),
        ("dir/**", "dir", false),
        ("dir**", "directory", true),
        ("a/**/b", "a/b", true),
        ("a/**/b", "a/x/y/b", true),
        ("a/**/b", "a/xb", false),
        ("**/*.log", "keep.log", true),
        ("**/*.log", "a/b/x.log", true),
        ("**/dir/**", "a/dir/x", true),
        ("**/**/*.txt", "dir/a.txt", true),
        ("*.txt", "a/b.txt", false),
        ("a?.txt", "ab.txt", true),
        ("a.c", "abc", false),
        ("a[b-d]e", "ace", true),
        ("a[^b-d]e", "ace", false),
        ("a\\*c", "a*c", true),
        ("a\\ b", "a b", true),
        ("(x+)|$", "(x+)|$", true),
        ("dir", "dir/x/y", true),
        ("dir/x", "dir/x/y", true),
        ("./dir//x/", "dir/x/y", true),
        ("dir/../b", "b", true),
        ("/a", "a", false),
        ("A", "a", false),
        (" a ", "a", true),
        ("日?", "日本", true),
    ];
    for (pattern, path, want) in cases {
        assert_eq!(excluded(&[pattern], path), want, "{pattern} {path}");
    }
}

#[test]
fn the_last_pattern_that_matches_decides() {
    let cases: [(&[&str], &str, bool); 9] = [
        (&["*", "!a"], "a", false),
        (&["*", "!a"], "b", true),
        (&["*", "!a/b"], "a", true),
        (&["*", "!a/b"], "a/b", false),
        (&["*", "!a/b"], "a/c", true),
        (&["!a", "*"], "a", true),
        (&["**", "!**/*.txt", "a/b.txt"], "a/b.txt", true),
        (&["**", "!**/*.txt", "a/b.txt"], "a/c.txt", false),
        (&["a", "!a/b", "a/b/c"], "a/b/c", true),
    ];
    for (patterns, path, want) in cases {
        assert_eq!(excluded(patterns, path), want, "{patterns:?} {path}");
    }
}

#[test]
fn bad_patterns_are_errors_in_buildkits_words() {
    let error = |pattern: &str| Patterns::new(&[pattern.into()]).err().unwrap().to_string();
    assert!(error("[").contains("syntax error in pattern"));
    assert!(error("a\\").contains("syntax error in pattern"));
    assert_eq!(error("!"), "illegal exclusion pattern: \"!\"");
    assert!(Patterns::new(&[String::new(), "  ".into()]).unwrap().is_empty());
}

#[test]
fn tells_below_which_folders_exceptions_may_match() {
    let patterns = |list: &[&str]| Patterns::new(&list.iter().map(|text| (*text).into()).collect::<Vec<_>>()).unwrap();
    let two = patterns(&["*", "!a/b/**"]);
    assert!(two.may_except_below(b"a") && two.may_except_below(b"a/b") && !two.may_except_below(b"b"));
    assert!(patterns(&["*", "!**/x"]).may_except_below(b"b"));
    assert!(!patterns(&["*"]).may_except_below(b"b"));
}

/// A pattern as an expression over whole parts, for the model.
fn model(pattern: &[&str], path: &[&str]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some((&"**", rest)) => (0..=path.len()).any(|count| model(rest, &path[count..])) && !(rest.is_empty() && path.is_empty()),
        Some((&"*", rest)) => !path.is_empty() && model(rest, &path[1..]),
        Some((part, rest)) => path.first() == Some(part) && model(rest, &path[1..]),
    }
}

proptest! {
    #[test]
    fn whole_parts_match_as_in_the_model(
        pattern in proptest::collection::vec(proptest::sample::select(&["a", "b", "*", "**"][..]), 1..5),
        path in proptest::collection::vec(proptest::sample::select(&["a", "b"][..]), 1..6),
    ) {
        // A match of a folder above counts too.
        let want = (1..=path.len()).any(|count| model(&pattern, &path[..count]));
        prop_assert_eq!(excluded(&[&pattern.join("/")], &path.join("/")), want);
    }

    #[test]
    fn many_stars_take_no_forever(stars in 1..40_usize) {
        let pattern = "**/a*".repeat(stars) + "/b";
        prop_assert!(!excluded(&[&pattern], &"a".repeat(200)));
    }
}
