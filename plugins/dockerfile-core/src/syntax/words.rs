//! How the text behind a keyword is split.

use super::{Mistake, Pair, quoted};

/// The blanks that BuildKit splits at.
pub(super) fn is_blank(next: char) -> bool {
    matches!(next, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ')
}

/// The blanks of ASCII: where BuildKit reads bytes, it knows no others.
pub(super) fn is_space(next: char) -> bool {
    is_blank(next) || next == '\n'
}

/// The text up to the first blanks, and what stands behind them, if there are any.
pub(super) fn split_first(text: &str) -> (&str, Option<&str>) {
    match text.split_once(is_blank) {
        Some((first, rest)) => (first, Some(rest.trim_start_matches(is_blank))),
        None => (text, None),
    }
}

/// Words between blanks, whatever quotes there are.
pub(super) fn split_blanks(text: &str) -> Vec<String> {
    text.split(is_blank).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Words between blanks; blanks in quotes and escaped ones are part of a word. Quotes and escape characters stay.
pub(super) fn split_quoted(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        if next.is_whitespace() && quote.is_none() {
            push_word(&mut words, &mut word);
            continue;
        }
        if next == escape && quote != Some('\'') {
            // The escape character at the very end goes.
            if let Some(escaped) = rest.next() {
                word.extend([next, escaped]);
            }
            continue;
        }
        match quote {
            Some(open) if open == next => quote = None,
            None if matches!(next, '\'' | '"') => quote = Some(next),
            _ => {}
        }
        word.push(next);
    }
    push_word(&mut words, &mut word);
    words
}

fn push_word(words: &mut Vec<String>, word: &mut String) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

/// `key=value ...` of `ENV` and `LABEL`, or their old form `key value` if the first word has no `=`.
pub(super) fn pairs(text: &str, keyword: &str, escape: char) -> Result<Vec<Pair>, Mistake> {
    let words = split_quoted(text, escape);
    let Some(first) = words.first() else { return Ok(Vec::new()) };
    if !first.contains('=') {
        return match split_first(text) {
            (key, Some(value)) => Ok(vec![Pair { key: key.into(), value: value.into(), legacy: true }]),
            (_, None) => Err(Mistake::new("bad-arguments", format!("{keyword} must have two arguments"))),
        };
    }
    words.iter().map(|word| pair(word)).collect()
}

fn pair(word: &str) -> Result<Pair, Mistake> {
    let (key, value) = word.split_once('=').ok_or_else(|| {
        let message = format!("Syntax error - can't find = in {}. Must be of the form: name=value", quoted(word));
        Mistake::new("bad-arguments", message)
    })?;
    Ok(Pair { key: key.into(), value: value.into(), legacy: false })
}
