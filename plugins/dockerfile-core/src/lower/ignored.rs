//! Patterns of `.dockerignore`: whether they are some at all, and whether one takes a path away (moby's
//! `patternmatcher`). Nacre itself does the excluding; here it is only for mistakes and complaints.

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`
    One,
    /// `[a-z]`, or `[^a-z]`
    Class {
        except: bool,
        ranges: Vec<(char, char)>,
    },
    /// `*`
    Star,
    /// `**/`: any folders, or none.
    Folders,
    /// `**` at the end.
    Rest,
}

/// Whether it is a pattern.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    let path = pattern.strip_prefix('!').unwrap_or(pattern);
    if path.is_empty() && !pattern.is_empty() {
        return Err("illegal exclusion pattern: \"!\"".into());
    }
    tokens(path).map(drop).ok_or_else(|| format!("syntax error in pattern: {path}"))
}

/// Whether the pattern matches the path or a folder that it lies in.
pub(super) fn takes(pattern: &str, path: &str) -> bool {
    let path: Vec<char> = path.chars().collect();
    let Some(tokens) = tokens(pattern) else { return false };
    // Up to which characters the pattern so far can have matched.
    let mut ends = vec![false; path.len() + 1];
    ends[0] = true;
    for token in &tokens {
        ends = step(token, &ends, &path);
    }
    (0..ends.len()).any(|end| ends[end] && path.get(end).is_none_or(|next| *next == '/'))
}

fn step(token: &Token, ends: &[bool], path: &[char]) -> Vec<bool> {
    let mut next = vec![false; ends.len()];
    let mut before = false;
    for end in 0..ends.len() {
        let last = end.checked_sub(1).map(|last| path[last]);
        let was = end > 0 && ends[end - 1];
        next[end] = match token {
            Token::Star => ends[end] || last.is_some_and(|last| last != '/') && next[end - 1],
            Token::Rest => ends[end] || before,
            Token::Folders => ends[end] || last == Some('/') && before,
            single => was && last.is_some_and(|last| single.matches(last)),
        };
        before |= ends[end];
    }
    next
}

impl Token {
    fn matches(&self, c: char) -> bool {
        match self {
            Token::Char(own) => *own == c,
            Token::One => c != '/',
            Token::Class { except, ranges } => *except != ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)),
            Token::Star | Token::Folders | Token::Rest => false,
        }
    }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// The parts of a pattern; none if it is no pattern for Go's `filepath.Match`.
fn tokens(pattern: &str) -> Option<Vec<Token>> {
    let mut chars = pattern.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '\\' => Token::Char(chars.next()?),
            '[' => class(&mut chars)?,
            '?' => Token::One,
            '*' if chars.next_if_eq(&'*').is_none() => Token::Star,
            '*' => {
                chars.next_if_eq(&'/');
                if chars.peek().is_some() { Token::Folders } else { Token::Rest }
            }
            c => Token::Char(c),
        });
    }
    Some(tokens)
}

/// Reads `^a-z]` behind a `[`.
fn class(chars: &mut Chars) -> Option<Token> {
    let except = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    while ranges.is_empty() || chars.next_if_eq(&']').is_none() {
        let low = class_char(chars)?;
        let high = if chars.next_if_eq(&'-').is_some() { class_char(chars)? } else { low };
        ranges.push((low, high));
    }
    Some(Token::Class { except, ranges })
}

fn class_char(chars: &mut Chars) -> Option<char> {
    match chars.next()? {
        '\\' => chars.next(),
        '-' | ']' => None,
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::{check, takes};

    #[test]
    fn what_is_a_pattern() {
        for good in ["a", "**/*.c", "[a-z]?", "[^a]", r"\[", r"[\]]", "!x"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        assert_eq!(check("!"), Err("illegal exclusion pattern: \"!\"".into()));
        for bad in ["[", "[]", "[]a]", "[a", "[a-]", "a\\", "[-a]"] {
            assert_eq!(check(bad), Err(format!("syntax error in pattern: {bad}")));
        }
    }

    #[test]
    fn what_it_takes() {
        for (pattern, path) in
            [("a", "a/b"), ("*.c", "x.c"), ("**/x", "x"), ("**/x", "a/b/x"), ("a/**", "a/b/c"), ("a?[b-d]", "azc"), ("a**b", "ax/b")]
        {
            assert!(takes(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [("a", "ab"), ("*.c", "a/x.c"), ("a/b", "a"), ("**/x", "ax"), ("a?b", "a/b"), ("[^a]", "a")] {
            assert!(!takes(pattern, path), "{pattern} {path}");
        }
    }
}
