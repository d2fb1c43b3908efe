//! Quotes, escapes and variables in a word, as BuildKit's `frontend/dockerfile/shell/lex.go` has them.

use std::{iter::Peekable, str::Chars};

/// `word` without its quotes, and with `$NAME`, `${NAME}`, and `${NAME:-word}` (`-`, `+`, `?`, with or without `:`) replaced
/// from `env`, which holds `NAME=value`.
pub(super) fn expand(word: &str, env: &[String]) -> Result<String, String> {
    let mut lexer = Lexer { chars: word.chars().peekable(), env };
    lexer.until(None).map_err(|why| format!("in '{word}': {why}"))
}

struct Lexer<'a> {
    chars: Peekable<Chars<'a>>,
    env: &'a [String],
}

impl Lexer<'_> {
    /// Everything up to `stop`, or to the end.
    fn until(&mut self, stop: Option<char>) -> Result<String, String> {
        let mut out = String::new();
        while let Some(c) = self.chars.next() {
            match c {
                c if Some(c) == stop => return Ok(out),
                '\'' => self.single_quoted(&mut out)?,
                '"' => self.double_quoted(&mut out)?,
                '$' => out.push_str(&self.variable()?),
                '\\' => out.extend(self.chars.next()),
                c => out.push(c),
            }
        }
        stop.map_or(Ok(out), |stop| Err(format!("there is no closing '{stop}'")))
    }

    fn single_quoted(&mut self, out: &mut String) -> Result<(), String> {
        loop {
            match self.chars.next() {
                Some('\'') => return Ok(()),
                Some(c) => out.push(c),
                None => return Err("there is no closing single quote".into()),
            }
        }
    }

    fn double_quoted(&mut self, out: &mut String) -> Result<(), String> {
        loop {
            match self.chars.next() {
                Some('"') => return Ok(()),
                Some('$') => out.push_str(&self.variable()?),
                Some('\\') => match self.chars.next_if(|next| matches!(next, '"' | '$' | '\\')) {
                    Some(escaped) => out.push(escaped),
                    None => out.push('\\'),
                },
                Some(c) => out.push(c),
                None => return Err("there is no closing double quote".into()),
            }
        }
    }

    /// What stands for `$…`.
    fn variable(&mut self) -> Result<String, String> {
        if self.chars.next_if_eq(&'{').is_none() {
            let name = self.name();
            return Ok(if name.is_empty() { "$".into() } else { self.value(&name).unwrap_or_default().to_owned() });
        }
        let name = self.name();
        let mut modifier = self.chars.next();
        let empty_counts = modifier == Some(':');
        if empty_counts {
            modifier = self.chars.next();
        }
        let modifier = match modifier {
            Some('}') if !name.is_empty() && !empty_counts => return Ok(self.value(&name).unwrap_or_default().to_owned()),
            Some(modifier @ ('-' | '+' | '?')) if !name.is_empty() => modifier,
            _ => return Err(format!("'${{{name}' has no modifier of :-, :+ and :? and no closing '}}'")),
        };
        let word = self.until(Some('}'))?;
        let value = self.value(&name).filter(|value| !(empty_counts && value.is_empty()));
        match (modifier, value) {
            ('-', None) => Ok(word),
            ('+', value) => Ok(if value.is_some() { word } else { String::new() }),
            ('?', None) => Err(if word.is_empty() { format!("{name} is not set") } else { format!("{name}: {word}") }),
            (_, value) => Ok(value.unwrap_or_default().to_owned()),
        }
    }

    /// A variable's name: letters, digits and `_`; digits alone; or one of the shell's special characters.
    fn name(&mut self) -> String {
        let mut name = String::new();
        let Some(first) = self.chars.next_if(|c| c.is_alphanumeric() || "_@*#?!$".contains(*c)) else { return name };
        name.push(first);
        let more: fn(&char) -> bool = match first {
            c if c.is_alphabetic() || c == '_' => |c| c.is_alphanumeric() || *c == '_',
            c if c.is_ascii_digit() => char::is_ascii_digit,
            _ => |_| false,
        };
        while let Some(next) = self.chars.next_if(more) {
            name.push(next);
        }
        name
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.env.iter().find_map(|one| one.strip_prefix(name)?.strip_prefix('='))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lose_quotes_and_gain_values() {
        let env = ["a=x y".to_owned(), "empty=".to_owned()];
        for (word, expected) in [
            (r#"plain"#, "plain"),
            (r#"'$a'"#, "$a"),
            (r#""$a"b"#, "x yb"),
            (r"\$a", "$a"),
            (r"x\y\", "xy"),
            (r#""\$a\x\"\\""#, r#"$a\x"\"#),
            ("$a.${a}", "x y.x y"),
            ("$missing$", "$"),
            ("$1$@x", "x"),
            ("${missing:-d}${empty:-e}${empty-f}", "de"),
            ("${a:+set}${empty:+no}${empty+yes}${missing+no}", "setyes"),
            ("${a:?}${missing:-${a}}", "x yx y"),
            ("é日本", "é日本"),
        ] {
            assert_eq!(expand(word, &env).as_deref(), Ok(expected), "{word}");
        }
    }

    #[test]
    fn what_is_not_closed_or_not_set_is_said() {
        for word in ["'x", "\"x", "${a", "${a:-x", "${}", "${a.b}", "${a:}", "${missing?}", "${missing:?gone}"] {
            assert!(expand(word, &["a=1".to_owned()]).is_err(), "{word}");
        }
    }
}
