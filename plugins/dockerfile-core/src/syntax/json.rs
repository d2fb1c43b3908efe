//! JSON arrays of strings, as `encoding/json` of Go reads them: the exec form of instructions.

/// So deep can arrays and objects stand in one another; deeper ones count as no JSON.
const MAX_DEPTH: u32 = 100;

/// What a text is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Array {
    /// An array of strings.
    Strings(Vec<String>),
    /// An array, but with something else in it.
    Mixed,
    /// No JSON array.
    No,
}

/// Reads a text that is nothing but a JSON array.
pub(super) fn array(text: &str) -> Array {
    let mut reader = Reader { rest: text.trim_start() };
    match reader.strings().filter(|_| reader.ended()) {
        Some(Some(strings)) => Array::Strings(strings),
        Some(None) => Array::Mixed,
        None => Array::No,
    }
}

/// Reads values; `None` says that this is no JSON.
struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    /// The array's strings, or that there is something else in it.
    fn strings(&mut self) -> Option<Option<Vec<String>>> {
        self.take('[')?;
        let mut strings = Some(Vec::new());
        if self.after_blanks(']') {
            return Some(strings);
        }
        loop {
            self.skip_blanks();
            if !self.rest.starts_with('"') {
                self.value(MAX_DEPTH)?;
                strings = None;
            } else if let (string, Some(strings)) = (self.string()?, &mut strings) {
                strings.push(string);
            }
            if !self.another(']')? {
                return Some(strings);
            }
        }
    }

    fn value(&mut self, depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.skip_blanks();
        match self.rest.chars().next()? {
            '"' => self.string().map(drop),
            '[' => self.items('[', ']', |reader| reader.value(depth)),
            '{' => self.items('{', '}', |reader| {
                reader.skip_blanks();
                reader.string()?;
                reader.skip_blanks();
                reader.take(':')?;
                reader.value(depth)
            }),
            '-' | '0'..='9' => self.number(),
            _ => ["true", "false", "null"].into_iter().find_map(|word| self.word(word)),
        }
    }

    fn items(&mut self, open: char, close: char, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(open)?;
        if self.after_blanks(close) {
            return Some(());
        }
        loop {
            item(self)?;
            if !self.another(close)? {
                return Some(());
            }
        }
    }

    /// Takes `,` or what closes the list; anything else is no JSON.
    fn another(&mut self, close: char) -> Option<bool> {
        if self.after_blanks(',') {
            return Some(true);
        }
        self.take(close).map(|()| false)
    }

    fn string(&mut self) -> Option<String> {
        self.take('"')?;
        let mut text = String::new();
        loop {
            let next = self.next()?;
            match next {
                '"' => return Some(text),
                '\\' => text.push(self.escaped()?),
                '\0'..='\u{1f}' => return None,
                _ => text.push(next),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        Some(match self.next()? {
            plain @ ('"' | '\\' | '/') => plain,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => self.unicode()?,
            _ => return None,
        })
    }

    /// A half of a surrogate pair without the other one becomes U+FFFD.
    fn unicode(&mut self) -> Option<char> {
        let first = self.hex()?;
        if !(0xd800..0xdc00).contains(&first) {
            return Some(char::from_u32(first).unwrap_or('\u{fffd}'));
        }
        let before = self.rest;
        let second = self.word("\\u").and_then(|()| self.hex()).filter(|second| (0xdc00..0xe000).contains(second));
        match second {
            Some(second) => char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)),
            None => {
                self.rest = before;
                Some('\u{fffd}')
            }
        }
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        let value = u32::from_str_radix(digits, 16).ok()?;
        self.rest = &self.rest[4..];
        Some(value)
    }

    fn number(&mut self) -> Option<()> {
        self.word("-");
        if self.word("0").is_none() {
            self.digits()?;
        }
        if self.word(".").is_some() {
            self.digits()?;
        }
        if self.word("e").or_else(|| self.word("E")).is_some() {
            self.word("+").or_else(|| self.word("-"));
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let rest = self.rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
        let some = rest.len() < self.rest.len();
        self.rest = rest;
        some.then_some(())
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    fn take(&mut self, wanted: char) -> Option<()> {
        self.word(wanted.encode_utf8(&mut [0; 4]))
    }

    fn after_blanks(&mut self, wanted: char) -> bool {
        self.skip_blanks();
        self.take(wanted).is_some()
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn ended(&mut self) -> bool {
        self.skip_blanks();
        self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Array, array};

    fn strings(text: &str) -> Vec<String> {
        match array(text) {
            Array::Strings(strings) => strings,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn strings_are_read() {
        assert_eq!(strings(r#"["a", "b\tc" ,"\"\\\/\u00e9\ud83d\udc1a" ] "#), ["a", "b\tc", "\"\\/é🐚"]);
        assert_eq!(strings(r#"["\ud800", "\udc00x", "\ud800\u0041"]"#), ["\u{fffd}", "\u{fffd}x", "\u{fffd}A"]);
        assert!(strings(" [ ]").is_empty());
    }

    #[test]
    fn arrays_of_something_else_are_told_apart() {
        for text in ["[1]", r#"["a", -0.5e+7, null]"#, "[[]]", r#"[{"a": [true, {}]}]"#] {
            assert_eq!(array(text), Array::Mixed, "{text}");
        }
    }

    #[test]
    fn what_is_no_json() {
        let deep = "[".repeat(100_000);
        let texts = [
            "",
            "x",
            "[",
            "[\"a\"",
            "['a']",
            "[\"a\",]",
            "[\"a\"] b",
            "[\"a\" \"b\"]",
            "[\"\\x\"]",
            "[\"\\u12\"]",
            "[01]",
            "[1.]",
            "[\"a\nb\"]",
            "[tru]",
            "[\"a\"]]",
            &deep,
        ];
        for text in texts {
            assert_eq!(array(text), Array::No, "{text}");
        }
    }
}
