//! Go's `filepath.Match`, and what of a tree matches it.

use nacre_layer::path::{self, join, parts};
use nacre_oci::{Error, Result};

use super::{
    Item, Names,
    compiled::{self, Token},
    fail,
    resolve::resolve,
    shown,
};

/// A pattern of Go's `filepath.Match`.
pub(super) struct Glob(Vec<Token>);

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// `syntax error in pattern`, in Go's words, if a class is malformed or a backslash ends it.
    pub(super) fn new(pattern: &str) -> Result<Self> {
        let mut tokens = Vec::new();
        let mut rest = pattern;
        while let Some(first) = rest.chars().next() {
            let behind = &rest[first.len_utf8()..];
            rest = match first {
                '*' => {
                    // Several are as good as one.
                    if tokens.last() != Some(&Token::Star) {
                        tokens.push(Token::Star);
                    }
                    behind
                }
                '?' => {
                    tokens.push(Token::One);
                    behind
                }
                '[' => {
                    let (token, behind) = compiled::class(behind).ok_or_else(|| bad(pattern))?;
                    tokens.push(token);
                    behind
                }
                '\\' => {
                    let escaped = behind.chars().next().ok_or_else(|| bad(pattern))?;
                    let (character, behind) = behind.split_at(escaped.len_utf8());
                    tokens.extend(character.bytes().map(Token::Byte));
                    behind
                }
                _ => {
                    tokens.extend(rest[..first.len_utf8()].bytes().map(Token::Byte));
                    behind
                }
            };
        }
        Ok(Self(tokens))
    }

    /// Whether it matches all of `name`.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        compiled::matches(&self.0, name)
    }
}

pub(super) fn bad(pattern: &str) -> Error {
    fail(format!("syntax error in pattern '{pattern}'"))
}

/// Whether a path has `*`, `?` or `[` that no backslash protects.
pub(super) fn is_pattern(text: &str) -> bool {
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => _ = characters.next(),
            '*' | '?' | '[' => return true,
            _ => {}
        }
    }
    false
}

/// The paths that a pattern matches, folder by folder in the order of their names; a path without a pattern is its own only
/// match, whether it is there or not. Links are followed in the parts before the pattern, and not below.
///
/// # Errors
/// If the pattern is malformed, or the tree cannot be read.
pub(super) fn select(tree: &(impl Names + ?Sized), pattern: &str) -> Result<Vec<Vec<u8>>> {
    let clean = path::clamp(pattern.as_bytes()).map_err(|why| Error::malformed(pattern, why))?;
    let clean = String::from_utf8(clean).map_err(|_| bad(pattern))?;
    let parts: Vec<&str> = parts(clean.as_bytes()).map(|part| std::str::from_utf8(part).expect("cut at slashes")).collect();
    let plain = parts.iter().position(|part| is_pattern(part)).unwrap_or(parts.len());
    let (front, globs) = parts.split_at(plain);
    let front = front.join("/").into_bytes();
    if globs.is_empty() {
        return Ok(vec![front]);
    }
    let globs: Vec<Glob> = globs.iter().map(|part| Glob::new(part)).collect::<Result<_>>()?;
    let start = resolve(tree, &front)?;
    if !tree.get(&start)?.is_some_and(|item| item.is_folder()) {
        return Err(no_such(&start));
    }
    let mut found = Vec::new();
    descend(tree, &start, &globs, &mut found)?;
    Ok(found)
}

fn descend(tree: &(impl Names + ?Sized), folder: &[u8], globs: &[Glob], found: &mut Vec<Vec<u8>>) -> Result<()> {
    let Some((glob, deeper)) = globs.split_first() else { return Ok(()) };
    for Item { entry, .. } in tree.list(folder)? {
        let name = super::resolve::name_of(&entry.path);
        if !glob.matches(name) {
            continue;
        }
        let path = join(folder, name);
        if deeper.is_empty() {
            found.push(path);
        } else if entry.kind == nacre_layer::Kind::Directory {
            descend(tree, &path, deeper, found)?;
        }
    }
    Ok(())
}

/// BuildKit's words for a source that is not there when it is copied.
pub(super) fn no_such(path: &[u8]) -> Error {
    fail(format!("lstat {}: no such file or directory", shown(path)))
}

/// BuildKit's words for a source that is not there, before anything is copied.
pub(crate) fn not_found(path: &[u8]) -> Error {
    fail(format!("failed to compute cache key: failed to calculate checksum of ref: \"{}\": not found", shown(path)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;
    use crate::files::testing::tree;

    #[test]
    fn matches_as_go_does() {
        let cases = [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("a*b*c*d*e*", "axbxcxdxe", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^b-d]", "abe", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "-", true),
            ("[x\\-]", "z", false),
            ("odd[[]x].md", "odd[x].md", true),
        ];
        for (pattern, name, want) in cases {
            assert_eq!(Glob::new(pattern).unwrap().matches(name.as_bytes()), want, "{pattern} {name}");
        }
        for pattern in ["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "\\", "a/b["] {
            assert!(Glob::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn selects_in_order_and_follows_links_only_in_front() {
        let tree = tree("a/x/f\na/y/f\na/z\nb -> a\nb.txt\nc.txt");
        let found = |pattern: &str| {
            let paths = select(&tree, pattern).unwrap().into_iter().map(|path| String::from_utf8(path).unwrap());
            paths.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found("*.txt"), "b.txt c.txt");
        assert_eq!(found("/a/*/f"), "a/x/f a/y/f");
        assert_eq!(found("*/x"), "a/x");
        assert_eq!(found("b/?"), "a/x a/y a/z");
        assert_eq!(found("none"), "none");
        assert_eq!(found("../c.txt/"), "c.txt");
        assert_eq!(found("none*"), "");
        assert!(select(&tree, "[").is_err() && select(&tree, "none/*").is_err());
    }

    proptest! {
        #[test]
        fn stars_alone_match_what_has_the_pieces_in_order(pieces in proptest::collection::vec("[ab]{0,2}", 1..6), name in "[ab]{0,10}") {
            let matched = Glob::new(&pieces.join("*")).unwrap().matches(name.as_bytes());
            let (first, last) = (&pieces[0], &pieces[pieces.len() - 1]);
            let model = if pieces.len() == 1 { *first == name } else {
                let mut rest = name.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str()));
                for piece in &pieces[1..pieces.len() - 1] {
                    rest = rest.and_then(|rest| rest.find(piece.as_str()).map(|at| &rest[at + piece.len()..]));
                }
                rest.is_some()
            };
            prop_assert_eq!(matched, model);
        }
    }
}
