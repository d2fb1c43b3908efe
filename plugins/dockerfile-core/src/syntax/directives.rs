//! Parser directives: `# syntax=`, `# escape=`, `# check=` in the first lines.

use super::Mistake;

/// One directive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Directive<'a> {
    pub(super) key: Key,
    pub(super) value: &'a str,
}

/// What a directive is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Syntax,
    Escape,
    Check,
}

const KEYS: [(&str, Key); 3] = [("syntax", Key::Syntax), ("escape", Key::Escape), ("check", Key::Check)];

/// Reads directives until the first line that is none; behind it there are no more.
#[derive(Default)]
pub(super) struct Directives {
    seen: Vec<Key>,
    done: bool,
}

impl Directives {
    /// The directive of this line. A second one of its kind is a mistake.
    pub(super) fn read<'a>(&mut self, line: &'a str) -> Result<Option<Directive<'a>>, Mistake> {
        let directive = line.strip_prefix('#').and_then(directive).filter(|_| !self.done);
        let Some(found) = directive else {
            self.done = true;
            return Ok(None);
        };
        if self.seen.contains(&found.key) {
            let message = format!("only one {} parser directive can be used", found.key.name());
            return Err(Mistake::new("repeated-directive", message));
        }
        self.seen.push(found.key);
        Ok(Some(found))
    }
}

impl Key {
    fn name(self) -> &'static str {
        KEYS.iter().find(|(_, key)| *key == self).map_or("", |(name, _)| name)
    }
}

/// The value of the directive of this key in a whole file. Other than for the parser itself, a line `#!...` may stand
/// before all directives, and no blanks before `#` (BuildKit's `ParseDirective`).
pub(super) fn find(text: &str, key: Key) -> Option<&str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().skip(usize::from(text.starts_with("#!")));
    let mut directives = Directives::default();
    lines.map_while(|line| directives.read(line).ok().flatten()).find(|directive| directive.key == key).map(|directive| directive.value)
}

/// The value up to its first blank, of a comment `check=...` above an instruction.
pub(super) fn check(comment: &str) -> Option<&str> {
    let found = directive(comment).filter(|directive| directive.key == Key::Check)?;
    Some(first_word(found.value))
}

/// The text up to its first blank.
pub(super) fn first_word(value: &str) -> &str {
    value.split(' ').next().unwrap_or(value)
}

/// `key = value`
fn directive(text: &str) -> Option<Directive<'_>> {
    let (name, value) = text.split_once('=')?;
    let name = name.trim_start().trim_end_matches(is_blank);
    let (_, key) = KEYS.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    let value = match value.trim_matches(is_blank) {
        // Nothing but blanks is the last one of them; nothing at all is no directive.
        "" => value.get(value.len().checked_sub(1)?..)?,
        value => value,
    };
    Some(Directive { key, value })
}

fn is_blank(next: char) -> bool {
    matches!(next, '\t' | '\n' | '\u{c}' | '\r' | ' ')
}
