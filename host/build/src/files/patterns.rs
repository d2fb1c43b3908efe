//! Patterns of `.dockerignore` and `--exclude`, as moby's patternmatcher takes them.

use nacre_oci::Result;

use super::{
    compiled::{self, Token},
    fail,
    glob::{Glob, bad},
};

/// A list of patterns: the last that matches a path or a folder above it decides.
pub struct Patterns {
    patterns: Vec<Pattern>,
    exceptions: bool,
}

struct Pattern {
    text: String,
    exception: bool,
    how: How,
}

/// moby compares patterns without special characters as text, which tells them from their expressions at `**`.
enum How {
    Exact,
    Prefix(String),
    Suffix(String),
    Tokens(Vec<Token>),
}

/// Which patterns match a folder, for what it holds. Empty at the root.
pub(super) type Matched = Vec<bool>;

impl Patterns {
    /// Reads patterns; empty ones count for nothing.
    ///
    /// # Errors
    /// If one is malformed, in BuildKit's words.
    pub fn new(patterns: &[String]) -> Result<Self> {
        let trimmed = patterns.iter().map(|pattern| pattern.trim()).filter(|pattern| !pattern.is_empty());
        let patterns: Vec<Pattern> = trimmed.map(Pattern::new).collect::<Result<_>>()?;
        Ok(Self { exceptions: patterns.iter().any(|pattern| pattern.exception), patterns })
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether one begins with `!`.
    pub(super) fn has_exceptions(&self) -> bool {
        self.exceptions
    }

    /// Whether `path` matches, and what to hand in as `parent` for what it holds. `parent` is empty for what lies in the root.
    pub(super) fn matches(&self, path: &[u8], parent: &[bool]) -> (bool, Matched) {
        let mut all = false;
        let mut matched = vec![false; self.patterns.len()];
        for (index, pattern) in self.patterns.iter().enumerate() {
            let above = parent.get(index).copied().unwrap_or_default();
            // One that could change nothing is not asked.
            if !above && pattern.exception != all {
                continue;
            }
            matched[index] = above || pattern.matches(path);
            if matched[index] {
                all = !pattern.exception;
            }
        }
        (all, matched)
    }

    /// Whether an exception may match something below a folder that matches.
    pub(super) fn may_except_below(&self, folder: &[u8]) -> bool {
        let plain = |pattern: &&Pattern| !pattern.front().contains(['*', '[', ']', '?', '^', '\\']);
        let exceptions = || self.patterns.iter().filter(|pattern| pattern.exception);
        let below = [folder, b"/"].concat();
        !exceptions().all(|pattern| plain(&pattern))
            || exceptions().any(|pattern| [pattern.front(), "/"].concat().as_bytes().starts_with(&below))
    }
}

impl Pattern {
    fn new(text: &str) -> Result<Self> {
        let clean = clean(text);
        let (exception, text) = match clean.strip_prefix('!') {
            Some("") => return Err(fail("illegal exclusion pattern: \"!\"")),
            Some(rest) => (true, rest),
            None => (false, clean.as_str()),
        };
        Glob::new(text)?;
        Ok(Self { text: text.into(), exception, how: compile(text)? })
    }

    fn matches(&self, path: &[u8]) -> bool {
        match &self.how {
            How::Exact => path == self.text.as_bytes(),
            How::Prefix(front) => path.starts_with(front.as_bytes()),
            How::Suffix(end) => path.ends_with(end.as_bytes()) || end.strip_prefix('/').is_some_and(|name| path == name.as_bytes()),
            How::Tokens(tokens) => compiled::matches(tokens, path),
        }
    }

    /// Without `/**` or `/*` at its end.
    fn front(&self) -> &str {
        let front = self.text.strip_suffix("/**").unwrap_or(&self.text);
        front.strip_suffix("/*").unwrap_or(front)
    }
}

/// Go's `filepath.Clean`.
fn clean(text: &str) -> String {
    let rooted = text.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    for part in text.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match (part, kept.last()) {
            ("..", Some(last)) if *last != ".." => _ = kept.pop(),
            ("..", None) if rooted => {}
            _ => kept.push(part),
        }
    }
    match (rooted, kept.join("/")) {
        (true, path) => format!("/{path}"),
        (false, path) if path.is_empty() => ".".into(),
        (false, path) => path,
    }
}

fn compile(text: &str) -> Result<How> {
    let mut tokens = Vec::new();
    let mut special = false;
    let mut how = None;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let at_start = rest.len() == text.len();
        let behind = &rest[first.len_utf8()..];
        rest = match first {
            '*' if behind.starts_with('*') => {
                let behind = &behind[1..];
                let behind = behind.strip_prefix('/').unwrap_or(behind);
                if behind.is_empty() && how.is_none() && !special {
                    how = Some(How::Prefix(text[..text.len() - 2].into()));
                } else {
                    special = true;
                }
                tokens.push(if behind.is_empty() { Token::Rest } else { Token::Folders });
                if at_start {
                    (how, special) = (Some(How::Suffix(text[2..].into())), false);
                }
                behind
            }
            '*' | '?' => {
                special = true;
                tokens.push(if first == '*' { Token::Star } else { Token::One });
                behind
            }
            '[' => {
                special = true;
                let (token, behind) = compiled::class(behind).ok_or_else(|| bad(text))?;
                tokens.push(token);
                behind
            }
            '\\' if !behind.is_empty() => {
                special = true;
                let escaped = behind.chars().next().map_or(0, char::len_utf8);
                tokens.extend(behind[..escaped].bytes().map(Token::Byte));
                &behind[escaped..]
            }
            _ => {
                special |= first == ']';
                tokens.extend(rest[..first.len_utf8()].bytes().map(Token::Byte));
                behind
            }
        };
    }
    Ok(if special { How::Tokens(tokens) } else { how.unwrap_or(How::Exact) })
}

#[cfg(test)]
#[path = "patterns_tests.rs"]
mod tests;
