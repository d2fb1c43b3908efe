//! How arguments are written: JSON arrays and `key=value` pairs with quotes.

use serde_json::Value;

/// The strings of a JSON array; `None` if it is none and so means a shell's line.
pub(super) fn json(text: &str) -> Result<Option<Vec<String>>, String> {
    if !text.starts_with('[') {
        return Ok(None);
    }
    let Ok(list) = serde_json::from_str::<Vec<Value>>(text) else { return Ok(None) };
    let string = |value: Value| if let Value::String(text) = value { Some(text) } else { None };
    let strings: Option<Vec<String>> = list.into_iter().map(string).collect();
    strings.map(Some).ok_or_else(|| "a JSON array may hold only strings".into())
}

/// The pairs of `ENV` and `LABEL`, their quotes and escapes untouched: `k=v …`, or the old `k rest of the line`.
pub(super) fn pairs<'a>(instruction: &str, text: &'a str) -> Result<Vec<(&'a str, &'a str)>, String> {
    let words = quoted(text);
    let Some(first) = words.first() else { return Err(format!("{instruction} requires at least one argument")) };
    let pairs: Vec<(&str, &str)> = if first.contains('=') {
        let pair = |word: &'a str| word.split_once('=').ok_or_else(|| format!("there is no '=' in '{word}': want key=value"));
        words.into_iter().map(pair).collect::<Result<_, _>>()?
    } else {
        let (key, value) = text.split_once(char::is_whitespace).ok_or_else(|| format!("{instruction} requires a key and a value"))?;
        vec![(key, value.trim_start())]
    };
    if pairs.iter().any(|(key, _)| key.is_empty()) { Err(format!("{instruction} has an empty key")) } else { Ok(pairs) }
}

/// The words between blanks, where quotes and backslashes keep blanks in a word.
fn quoted(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut start, mut quote, mut escaped) = (None, None, false);
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        match (quote, c) {
            // In single quotes a backslash is itself.
            (None | Some('"'), '\\') => {
                escaped = true;
                start.get_or_insert(at);
            }
            (Some(open), c) if open == c => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                start.get_or_insert(at);
            }
            (None, c) if c.is_whitespace() => words.extend(start.take().map(|from: usize| &text[from..at])),
            _ => _ = start.get_or_insert(at),
        }
    }
    words.extend(start.map(|from| &text[from..]));
    words
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn json_is_told_from_a_shells_line() {
        assert_eq!(json(r#"[ "a", "b c" ]"#), Ok(Some(vec!["a".into(), "b c".into()])));
        assert_eq!(json("[]"), Ok(Some(vec![])));
        for shell in ["", "a", "['a']", "[\"a\"", "[ -e x ]", "[\"a\"] x"] {
            assert_eq!(json(shell), Ok(None), "{shell}");
        }
        assert!(json(r#"["a", 1]"#).is_err());
    }

    #[test]
    fn quotes_and_backslashes_keep_blanks() {
        let text = r#"a=b c="d e" f=g\ h "i j"='k \' l="\" m""#;
        assert_eq!(quoted(text), ["a=b", r#"c="d e""#, r"f=g\ h", r#""i j"='k \'"#, r#"l="\" m""#]);
        assert_eq!(pairs("ENV", "k v  w ").unwrap(), [("k", "v  w ")]);
        assert_eq!(pairs("ENV", "a=b=c d=").unwrap(), [("a", "b=c"), ("d", "")]);
    }
}
