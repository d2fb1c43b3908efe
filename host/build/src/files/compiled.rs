//! What patterns are made of: characters, `*`, `?`, classes, and runs that cross slashes.

/// One piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Exactly this byte.
    Byte(u8),
    /// `?`: any character but a slash.
    One,
    /// `*`: any number of characters, none of them a slash.
    Star,
    /// `**/`: nothing, or anything that ends in a slash.
    Folders,
    /// `**` at the end: anything.
    Rest,
    /// `[a-z]`: a character of these ranges, or not of these.
    Class { ranges: Vec<(char, char)>, negated: bool },
}

/// Whether tokens match all of `path`. Remembers where each token failed, so that it takes at most the product of both
/// lengths, whatever the pattern.
pub(super) fn matches(tokens: &[Token], path: &[u8]) -> bool {
    let mut failed = vec![false; (tokens.len() + 1) * (path.len() + 1)];
    try_from((tokens, 0), (path, 0), &mut failed)
}

fn try_from((tokens, mut t): (&[Token], usize), (path, mut p): (&[u8], usize), failed: &mut [bool]) -> bool {
    let width = path.len() + 1;
    loop {
        if failed[t * width + p] {
            return false;
        }
        let (start, rest) = ((t, p), &path[p..]);
        let Some(token) = tokens.get(t) else { return rest.is_empty() };
        t += 1;
        let stepped = match token {
            Token::Byte(byte) => (rest.first() == Some(byte)).then_some(1),
            Token::One => character(rest).filter(|(found, _)| *found != '/').map(|(_, length)| length),
            Token::Class { ranges, negated } => character(rest)
                .filter(|(found, _)| ranges.iter().any(|(low, high)| (low..=high).contains(&found)) != *negated)
                .map(|(_, length)| length),
            Token::Rest => return true,
            Token::Star => {
                let reach = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
                return note((0..=reach).any(|count| try_from((tokens, t), (path, p + count), failed)), start, width, failed);
            }
            Token::Folders => {
                let ends = rest.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at + 1);
                let found = std::iter::once(0).chain(ends).any(|count| try_from((tokens, t), (path, p + count), failed));
                return note(found, start, width, failed);
            }
        };
        match stepped {
            Some(count) => p += count,
            None => return false,
        }
    }
}

fn note(found: bool, (t, p): (usize, usize), width: usize, failed: &mut [bool]) -> bool {
    failed[t * width + p] = !found;
    found
}

/// The first character and its length; a byte that is no UTF-8 is a character of its own.
fn character(bytes: &[u8]) -> Option<(char, usize)> {
    let head = &bytes[..bytes.len().min(4)];
    let chunk = head.utf8_chunks().next()?;
    match chunk.valid().chars().next() {
        Some(found) => Some((found, found.len_utf8())),
        None => Some((char::REPLACEMENT_CHARACTER, 1)),
    }
}

/// A class behind its `[`, up to and with its `]`, and what follows; `None` if it is malformed (Go's `filepath.Match`).
pub(super) fn class(pattern: &str) -> Option<(Token, &str)> {
    let (negated, mut rest) = match pattern.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let mut ranges = Vec::new();
    loop {
        if let Some(behind) = rest.strip_prefix(']')
            && !ranges.is_empty()
        {
            return Some((Token::Class { ranges, negated }, behind));
        }
        let (low, behind) = member(rest)?;
        let (high, behind) = match behind.strip_prefix('-') {
            Some(behind) => member(behind)?,
            None => (low, behind),
        };
        ranges.push((low, high));
        rest = behind;
    }
}

/// One character of a class, and what follows.
fn member(text: &str) -> Option<(char, &str)> {
    let escaped = text.strip_prefix('\\');
    let mut characters = escaped.unwrap_or(text).chars();
    let found = characters.next()?;
    if escaped.is_none() && matches!(found, '-' | ']') {
        return None;
    }
    // A class that ends with the pattern is none.
    let rest = characters.as_str();
    (!rest.is_empty()).then_some((found, rest))
}
