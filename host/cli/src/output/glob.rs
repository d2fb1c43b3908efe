//! Go's `path.Match`, which Docker's `reference` filter uses.

use anyhow::{Result, bail};

/// Whether the whole `text` fits the pattern: `*` is any run without `/`, `?` one character that is not `/`, `[a-z]`
/// and `[^a-z]` a class, and `\` takes the next character as it is.
///
/// # Errors
/// If the pattern is malformed, even where the text would already have failed.
pub(crate) fn matches(pattern: &str, text: &str) -> Result<bool> {
    let tokens = parse(pattern)?;
    let text: Vec<char> = text.chars().collect();
    Ok(matches_tokens(&tokens, &text))
}

enum Token {
    Run,
    One,
    Char(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Token {
    fn fits(&self, c: char) -> bool {
        match self {
            Self::Run => false,
            Self::One => c != '/',
            Self::Char(own) => *own == c,
            Self::Class { negated, ranges } => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated,
        }
    }
}

/// Walks along both, and on a misfit lets the last `*` take one character more. An earlier `*` needs no second try:
/// whatever it could take in its path component, the last one can as well.
fn matches_tokens(tokens: &[Token], text: &[char]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut last_run: Option<(usize, usize)> = None;
    while token < tokens.len() || at < text.len() {
        if matches!(tokens.get(token), Some(Token::Run)) {
            last_run = Some((token, at));
            token += 1;
        } else if tokens.get(token).zip(text.get(at)).is_some_and(|(token, c)| token.fits(*c)) {
            token += 1;
            at += 1;
        } else if let Some((run, end)) = last_run.filter(|(_, end)| text.get(*end).is_some_and(|c| *c != '/')) {
            last_run = Some((run, end + 1));
            (token, at) = (run + 1, end + 1);
        } else {
            return false;
        }
    }
    true
}

fn parse(pattern: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        let token = match c {
            '*' => Some(Token::Run),
            '?' => Some(Token::One),
            '\\' => rest.next().map(Token::Char),
            '[' => parse_class(&mut rest),
            other => Some(Token::Char(other)),
        };
        match token {
            Some(token) => tokens.push(token),
            None => bail!("invalid pattern '{pattern}': a '[' without its ']' or a '\\' at the end"),
        }
    }
    Ok(tokens)
}

fn parse_class(rest: &mut std::str::Chars<'_>) -> Option<Token> {
    let negated = rest.as_str().starts_with('^');
    if negated {
        rest.next();
    }
    let mut ranges = Vec::new();
    while ranges.is_empty() || !rest.as_str().starts_with(']') {
        let low = class_char(rest)?;
        let high = if rest.as_str().starts_with('-') {
            rest.next();
            class_char(rest)?
        } else {
            low
        };
        ranges.push((low, high));
    }
    rest.next();
    Some(Token::Class { negated, ranges })
}

fn class_char(rest: &mut std::str::Chars<'_>) -> Option<char> {
    match rest.next()? {
        '\\' => rest.next(),
        '-' | ']' => None,
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_go_does() {
        for (pattern, text, fits) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a?b", "a/b", false),
            ("a[^x]b", "a/b", true),
            ("[\\]a]", "]", true),
            ("[\\-x]", "-", true),
            ("*x", "xxx", true),
            ("", "", true),
            ("", "a", false),
            ("nginx*", "nginx", true),
            ("*/*", "acme/app:1", true),
            ("**", "a/b", false),
        ] {
            assert_eq!(matches(pattern, text).ok(), Some(fits), "{pattern} {text}");
        }
    }

    #[test]
    fn refuses_malformed_patterns() {
        for pattern in ["[]a]", "[-]", "[x-]", "[-x]", "[", "[^", "[^bc", "a[", "a\\", "[a-b-c]", "zzz["] {
            assert!(matches(pattern, "a").is_err(), "'{pattern}' was accepted");
        }
    }
}
