//! Globs over relative paths: `*` and `?` within a part, `**` for any number of parts.
//!
//! A pattern may be matched against another pattern: it then tells whether everything that the second
//! matches, the first does. That is sound but not complete: `?` never covers `*`, nor `*` covers `**`.

/// Whether this is a pattern: relative, without `.`, `..`, empty parts, or `**` beside other text.
pub(crate) fn is_valid(pattern: &str) -> bool {
    is_path(pattern) && pattern.split('/').all(|part| part == "**" || !part.contains("**"))
}

/// Whether this is a relative path that leads nowhere but down.
pub(crate) fn is_path(path: &str) -> bool {
    path.split('/').all(|part| !part.is_empty() && part != "." && part != "..") && !path.contains(['\0', '\\'])
}

/// Whether the pattern matches the path, or covers the other pattern.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    wild(&pattern, &path, |part| *part == "**", part_matches)
}

fn part_matches(pattern: &&str, part: &&str) -> bool {
    if *part == "**" || *pattern == "**" {
        return pattern == part;
    }
    let (pattern, part): (Vec<char>, Vec<char>) = (pattern.chars().collect(), part.chars().collect());
    wild(&pattern, &part, |c| *c == '*', |pattern, c| pattern == c || (*pattern == '?' && *c != '*'))
}

/// Matches a sequence against a pattern in which what `is_any` stands for any number of items. It goes back to the last
/// such place only, so its time is bounded by the product of the lengths.
fn wild<T>(pattern: &[T], items: &[T], is_any: fn(&T) -> bool, one: fn(&T, &T) -> bool) -> bool {
    let (mut at, mut item, mut retry) = (0, 0, None);
    while item < items.len() {
        match pattern.get(at) {
            Some(here) if is_any(here) => {
                retry = Some((at + 1, item));
                at += 1;
            }
            Some(here) if one(here, &items[item]) => (at, item) = (at + 1, item + 1),
            _ => {
                let Some((again, taken)) = retry else { return false };
                retry = Some((again, taken + 1));
                (at, item) = (again, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(is_any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_paths_are_matched() {
        let yes = [
            ("a", "a"),
            ("*", "a"),
            ("*.rs", "x.rs"),
            ("?x", "äx"),
            ("**", "a/b/c"),
            ("src/**", "src/a/b"),
            ("**/x", "x"),
            ("**/x", "a/b/x"),
            ("a/**/b", "a/b"),
            ("a/**/b/*", "a/b/b/c"),
            ("a*b*c", "axxbyybc"),
        ];
        for (pattern, path) in yes {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("a", "b"),
            ("*", "a/b"),
            ("?", ""),
            ("*.rs", "x.rsx"),
            ("src/*", "src/a/b"),
            ("**/x", "a/xx"),
            ("a/**/b", "a/c"),
            ("a*b", "ba"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_covers_narrower_ones() {
        for (wide, narrow) in [("**", "**"), ("**", "src/*"), ("src/**", "src/**/*.rs"), ("*.rs", "a*.rs"), ("*", "?"), ("a/*/c", "a/b*/c")]
        {
            assert!(matches(wide, narrow), "{wide} {narrow}");
        }
        for (wide, narrow) in [("*", "**"), ("src/**", "**"), ("?", "*"), ("a", "*"), ("*.rs", "*"), ("src/*", "src/**"), ("*/x", "**/x")] {
            assert!(!matches(wide, narrow), "{wide} {narrow}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!matches(&format!("{}b", "**/a/".repeat(20)), &format!("{}c", "a/".repeat(2_000))));
        assert!(!matches(&format!("{}b", "*a".repeat(40)), &"a".repeat(20_000)));
    }

    #[test]
    fn only_paths_that_lead_down_are_paths() {
        assert!(is_path("a/b.c") && is_valid("a/**/*.c"));
        for bad in ["", "/a", "a/", "a//b", ".", "a/../b", "a\\b", "a\0"] {
            assert!(!is_path(bad), "{bad:?}");
        }
        assert!(!is_valid("a**") && !is_valid("a/**b"));
    }
}
