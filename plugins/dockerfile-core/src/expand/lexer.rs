//! The shell lexer.

use super::output::Output;
use super::pattern::Pattern;
use super::{Expander, Lookup};
use crate::syntax::{Mistake, quoted};
use std::collections::BTreeSet;

/// So many `${` stand in one another at most: each takes some of the stack.
const MAX_DEPTH: u32 = 100;

/// A text that is being expanded.
pub(super) struct Lexer<'a> {
    options: Expander,
    lookup: Lookup<'a>,
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    depth: u32,
    pub(super) found: BTreeSet<String>,
    pub(super) missing: BTreeSet<String>,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(options: Expander, text: &'a str, lookup: Lookup<'a>) -> Lexer<'a> {
        let rest = text.chars().peekable();
        Lexer { options, lookup, rest, depth: 0, found: BTreeSet::new(), missing: BTreeSet::new() }
    }

    /// Expands all of it.
    pub(super) fn run(&mut self) -> Result<Output, Mistake> {
        self.until(None)
    }

    /// Expands up to this character, which is taken too.
    fn until(&mut self, stop: Option<char>) -> Result<Output, Mistake> {
        let mut output = Output::default();
        while let Some(&next) = self.rest.peek() {
            match next {
                _ if Some(next) == stop => {
                    self.rest.next();
                    return Ok(output);
                }
                '$' => output.push_expanded(&self.dollar()?),
                '<' => output.push_raw(&self.angle()),
                '\'' if !self.options.plain_quotes => output.push_raw(&self.single_quotes()?),
                '"' if !self.options.plain_quotes => output.push_raw(&self.double_quotes()?),
                _ => self.plain(&mut output),
            }
        }
        match stop {
            None => Ok(output),
            Some(stop) => Err(bad(format!("unexpected end of statement while looking for matching {stop}"))),
        }
    }

    /// A character without a meaning, or what is escaped. The escape character at the end goes.
    fn plain(&mut self, output: &mut Output) {
        let Some(next) = self.rest.next() else { return };
        if next != self.options.escape {
            return output.push(next);
        }
        if self.options.raw_escapes {
            output.push_raw(next.encode_utf8(&mut [0; 4]));
        }
        if let Some(escaped) = self.rest.next() {
            output.push_raw(escaped.encode_utf8(&mut [0; 4]));
        }
    }

    fn single_quotes(&mut self) -> Result<String, Mistake> {
        let mut text = self.quote();
        loop {
            match self.rest.peek() {
                None => return Err(bad("unexpected end of statement while looking for matching single-quote")),
                Some('\'') => return Ok(text + &self.quote()),
                Some(_) => text.extend(self.rest.next()),
            }
        }
    }

    /// Variables are expanded in double quotes, and only `"`, `$` and the escape character can be escaped.
    fn double_quotes(&mut self) -> Result<String, Mistake> {
        let mut text = self.quote();
        loop {
            match self.rest.peek() {
                None => return Err(bad("unexpected end of statement while looking for matching double-quote")),
                Some('"') => return Ok(text + &self.quote()),
                Some('$') => text += &self.dollar()?,
                Some(&next) => {
                    self.rest.next();
                    text.push_str(&self.in_double_quotes(next));
                }
            }
        }
    }

    fn in_double_quotes(&mut self, first: char) -> String {
        if first != self.options.escape {
            return first.into();
        }
        let kept = if self.options.raw_escapes { first.to_string() } else { String::new() };
        match self.rest.next_if(|&next| next == '"' || next == '$' || next == first) {
            Some(escaped) => kept + escaped.encode_utf8(&mut [0; 4]),
            None if self.rest.peek().is_none() => kept,
            None => kept + first.encode_utf8(&mut [0; 4]),
        }
    }

    /// Takes a quote, which only stays with `raw_quotes`.
    fn quote(&mut self) -> String {
        let quote = self.rest.next();
        quote.filter(|_| self.options.raw_quotes).into_iter().collect()
    }

    /// `<<` and the blanks behind it belong to the word that follows: a document's name.
    fn angle(&mut self) -> String {
        let mut text = String::from(self.rest.next().unwrap_or('<'));
        if let Some(second) = self.rest.next_if_eq(&'<') {
            text.push(second);
            while let Some(blank) = self.rest.next_if(|next| matches!(next, '\t' | '\r' | ' ')) {
                text.push(blank);
            }
        }
        text
    }

    fn dollar(&mut self) -> Result<String, Mistake> {
        self.rest.next();
        if self.rest.next_if_eq(&'{').is_some() {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return Err(bad("syntax error: too many substitutions in one another"));
            }
            let value = self.braces();
            self.depth -= 1;
            return value;
        }
        let name = self.name();
        if name.is_empty() {
            return Ok("$".into());
        }
        Ok(match self.get(&name) {
            None if self.options.keep_unset => format!("${name}"),
            value => value.unwrap_or_default(),
        })
    }

    fn braces(&mut self) -> Result<String, Mistake> {
        match self.rest.peek() {
            None => return Err(missing('}')),
            Some('{' | '}' | ':') => return Err(bad("syntax error: bad substitution")),
            Some(_) => {}
        }
        let name = self.name();
        match self.rest.next() {
            Some('}') => Ok(match self.get(&name) {
                None if self.options.keep_unset => format!("${{{name}}}"),
                value => value.unwrap_or_default(),
            }),
            Some('/') => self.replacement(&name),
            Some(':') => match self.rest.next() {
                Some(modifier @ ('#' | '%')) => Err(unsupported(&format!(":{modifier}"))),
                Some(modifier) => self.modified(&name, modifier, true),
                None => Err(missing('}')),
            },
            Some(modifier @ ('+' | '-' | '?' | '#' | '%')) => self.modified(&name, modifier, false),
            other => Err(unsupported(other.unwrap_or('\u{fffd}').encode_utf8(&mut [0; 4]))),
        }
    }

    /// `${name-word}` and the like; with `:` an empty value counts as none.
    fn modified(&mut self, name: &str, modifier: char, colon: bool) -> Result<String, Mistake> {
        let word = self.operand('}', matches!(modifier, '#' | '%'))?;
        let value = self.get(name);
        let sign = if colon { format!(":{modifier}") } else { modifier.to_string() };
        if value.is_none() && self.options.keep_unset {
            return Ok(format!("${{{name}{sign}{word}}}"));
        }
        let usable = value.clone().filter(|value| !(colon && value.is_empty()));
        match modifier {
            '-' => Ok(usable.unwrap_or(word)),
            '+' => Ok(usable.map(|_| word).unwrap_or_default()),
            '?' => usable.ok_or_else(|| required(name, &word, value.is_some())),
            '#' | '%' => trim(&value.unwrap_or_default(), modifier, &word),
            _ => Err(unsupported(&sign)),
        }
    }

    /// `${name/pattern/text}` and `${name//pattern/text}`
    fn replacement(&mut self, name: &str) -> Result<String, Mistake> {
        let all = self.rest.next_if_eq(&'/').is_some();
        let pattern = self.operand('/', true)?;
        let text = self.operand('}', true)?;
        let value = self.get(name);
        if value.is_none() && self.options.keep_unset {
            let sign = if all { "//" } else { "/" };
            return Ok(format!("${{{name}{sign}{pattern}/{text}}}"));
        }
        Ok(parse_pattern(&pattern)?.replace(&value.unwrap_or_default(), &text, all))
    }

    /// What stands behind a modifier, expanded itself.
    fn operand(&mut self, stop: char, raw_escapes: bool) -> Result<String, Mistake> {
        let outer = std::mem::replace(&mut self.options.raw_escapes, raw_escapes);
        let operand = self.until(Some(stop));
        self.options.raw_escapes = outer;
        match operand {
            Ok(output) => Ok(output.text),
            Err(_) if self.rest.peek().is_none() => Err(missing(stop)),
            Err(mistake) => Err(mistake),
        }
    }

    /// A variable's name: letters, digits and `_`; or only digits; or one of the shell's special parameters.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.rest.peek() {
            Some(first) if first.is_numeric() => {
                while let Some(digit) = self.rest.next_if(|next| next.is_numeric()) {
                    name.push(digit);
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => name.extend(self.rest.next()),
            _ => {
                while let Some(letter) = self.rest.next_if(|&next| next.is_alphanumeric() || next == '_') {
                    name.push(letter);
                }
            }
        }
        name
    }

    fn get(&mut self, name: &str) -> Option<String> {
        let value = (self.lookup)(name);
        let names = if value.is_some() { &mut self.found } else { &mut self.missing };
        names.insert(name.to_owned());
        value
    }
}

/// `${name#pattern}`, `##`, `%`, `%%`: the sign once more asks for the longest.
fn trim(value: &str, sign: char, word: &str) -> Result<String, Mistake> {
    let longest = word.starts_with(sign);
    let pattern = parse_pattern(if longest { &word[sign.len_utf8()..] } else { word })?;
    Ok(if sign == '%' { pattern.trim_suffix(value, longest) } else { pattern.trim_prefix(value, longest) })
}

fn parse_pattern(pattern: &str) -> Result<Pattern, Mistake> {
    Pattern::parse(pattern).map_err(|reason| bad(format!("invalid pattern ({pattern}) in substitution: {reason}")))
}

fn required(name: &str, word: &str, set: bool) -> Mistake {
    let reason = match (word, set) {
        ("", true) => "is not allowed to be empty",
        ("", false) => "is not allowed to be unset",
        _ => word,
    };
    Mistake::new("required-variable", format!("{name}: {reason}"))
}

fn unsupported(modifier: &str) -> Mistake {
    bad(format!("unsupported modifier ({modifier}) in substitution"))
}

fn missing(stop: char) -> Mistake {
    bad(if stop == '/' { "syntax error: missing '/' in ${}" } else { "syntax error: missing '}'" })
}

fn bad(message: impl Into<String>) -> Mistake {
    Mistake::new("bad-substitution", message)
}

/// Names the text that could not be expanded.
pub(super) fn while_processing(text: &str, mistake: Mistake) -> Mistake {
    Mistake { message: format!("failed to process {}: {}", quoted(text), mistake.message), ..mistake }
}
