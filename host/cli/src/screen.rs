//! What a plugin's command shows: all of it comes from strangers, and is made safe for a terminal here.

use std::{
    io::{self, BufRead, IsTerminal, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use nacre_plugin::{Cell, GuestError, Terminal};
use serde_json::Value;

use crate::{
    failure::StdoutClosed,
    output::{
        self,
        escape::visible,
        format::{self, Format},
        units::{ago, size},
    },
};

/// The user's terminal, or what stands in its place.
pub(crate) struct Screen {
    command: String,
    format: String,
    closed: Arc<AtomicBool>,
}

impl Screen {
    /// For the command of this name, whose tables look as `format` says.
    pub(crate) fn new(command: &str, format: &str) -> Self {
        Self { command: command.to_owned(), format: format.to_owned(), closed: Arc::default() }
    }

    /// Tells whether standard output was closed in between, which is no failure.
    pub(crate) fn closed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.closed)
    }

    fn write_out(&self, bytes: &[u8]) -> Result<(), GuestError> {
        output::write(bytes).map_err(|error| {
            self.closed.fetch_or(error.is::<StdoutClosed>(), Ordering::Relaxed);
            GuestError::Io(error.to_string())
        })
    }
}

impl Terminal for Screen {
    fn text(&mut self, line: &str) -> Result<(), GuestError> {
        self.write_out(format!("{}\n", visible(line)).as_bytes())
    }

    fn table(&mut self, columns: &[String], rows: Vec<Vec<Cell>>) -> Result<(), GuestError> {
        let headings: Vec<String> = columns.iter().map(|name| heading(name)).collect();
        let named: Vec<(&str, &str)> = columns.iter().map(String::as_str).zip(headings.iter().map(String::as_str)).collect();
        let all: Vec<String> = columns.iter().map(|name| format!("{{{{.{name}}}}}")).collect();
        let now = Timestamp::now().as_second();
        let rows = rows.into_iter().map(|row| row.into_iter().map(|cell| shown(cell, now)).collect::<Vec<_>>());
        let rendered = Format::parse(&self.format, &all.join("\t"), None).and_then(|format| format.render(&named, rows));
        let text = rendered.map_err(|error| GuestError::Other(error.to_string()))?;
        self.write_out(text.as_bytes())
    }

    fn write(&mut self, content: &mut dyn Read) -> Result<(), GuestError> {
        let person = io::stdout().is_terminal();
        let mut buffer = vec![0; 64 << 10];
        let mut rest = Vec::new();
        loop {
            let count = content.read(&mut buffer).map_err(read_error)?;
            match (person, count) {
                (false, 0) => return Ok(()),
                (false, _) => self.write_out(&buffer[..count])?,
                (true, 0) => return self.write_out(safe(&rest).as_bytes()),
                (true, _) => {
                    rest.extend_from_slice(&buffer[..count]);
                    let whole = whole_characters(&rest);
                    self.write_out(safe(&rest[..whole]).as_bytes())?;
                    rest.drain(..whole);
                }
            }
        }
    }

    fn note(&mut self, line: &str) {
        // Standard error that is closed leaves nobody to tell.
        let _ = writeln!(io::stderr(), "{}: {}", self.command, visible(line));
    }

    fn confirm(&mut self, question: &str) -> Result<bool, GuestError> {
        if !io::stdin().is_terminal() {
            return Ok(false);
        }
        let failed = |error: io::Error| GuestError::Io(error.to_string());
        let mut ask = io::stderr().lock();
        write!(ask, "{}: {} [y/N] ", self.command, visible(question)).and_then(|()| ask.flush()).map_err(failed)?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map_err(failed)?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }
}

fn read_error(error: io::Error) -> GuestError {
    match error.downcast::<nacre_oci::Error>() {
        Ok(own) => own.into(),
        Err(error) => GuestError::Io(error.to_string()),
    }
}

/// `CreatedAt` as a heading: `CREATED AT`.
fn heading(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut before = None;
    for c in name.chars() {
        if c.is_ascii_uppercase() && before.is_some_and(|c: char| !c.is_ascii_uppercase()) {
            out.push(' ');
        }
        out.push(c.to_ascii_uppercase());
        before = Some(c);
    }
    out
}

/// A value for people and for JSON.
fn shown(cell: Cell, now: i64) -> format::Cell {
    let (text, value) = match cell {
        Cell::None => (String::new(), Value::Null),
        Cell::Text(text) => (text.clone(), text.into()),
        Cell::Number(number) => (number.to_string(), number.into()),
        Cell::Size(bytes) => (size(bytes), bytes.into()),
        Cell::Time(seconds) => (ago(now, i64::try_from(seconds).unwrap_or(i64::MAX)), seconds.into()),
        Cell::Flag(flag) => (if flag { "yes".into() } else { String::new() }, flag.into()),
    };
    format::Cell::Value(text, value)
}

/// Text for a person: line breaks and tabs stay, everything else that a terminal must not get becomes visible.
fn safe(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.split_inclusive(['\n', '\t'])
        .map(|part| match part.strip_suffix(['\n', '\t']) {
            Some(line) => format!("{}{}", visible(line), &part[line.len()..]),
            None => visible(part).into_owned(),
        })
        .collect()
}

/// How many of the bytes end with a whole character: a character may be cut where a piece ends.
fn whole_characters(bytes: &[u8]) -> usize {
    let from = bytes.len().saturating_sub(3);
    let last = bytes[from..].iter().rposition(|byte| byte & 0xc0 != 0x80).map_or(bytes.len(), |at| from + at);
    let needs = match bytes.get(last) {
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf7) => 4,
        _ => return bytes.len(),
    };
    if last + needs > bytes.len() { last } else { bytes.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_made_of_names() {
        for (name, expected) in [("Size", "SIZE"), ("CreatedAt", "CREATED AT"), ("DiffID", "DIFF ID"), ("ID", "ID"), ("a2B", "A2 B")] {
            assert_eq!(heading(name), expected);
        }
    }

    #[test]
    fn cells_are_for_people_and_for_json() {
        let both = |cell| match shown(cell, 1_700_000_000) {
            format::Cell::Value(text, value) => (text, value.to_string()),
            _ => Default::default(),
        };
        let pair = |text: &str, json: &str| (text.to_owned(), json.to_owned());
        assert_eq!(both(Cell::Size(7_800_000)), pair("7.8MB", "7800000"));
        assert_eq!(both(Cell::Time(1_700_000_000 - 3 * 86_400)), pair("3 days ago", "1699740800"));
        assert_eq!((both(Cell::None), both(Cell::Flag(false))), (pair("", "null"), pair("", "false")));
        assert_eq!((both(Cell::Number(-1)), both(Cell::Flag(true))), (pair("-1", "-1"), pair("yes", "true")));
    }

    #[test]
    fn text_for_a_person_keeps_its_lines_and_nothing_dangerous() {
        assert_eq!(safe(b"a\tb\n\x1b[2Jc\r\n\xff"), "a\tb\n\\x1b[2Jc\\r\n\u{fffd}");
        for (text, whole) in [("aé", 3), ("漢", 3), ("🦀", 4)] {
            let bytes = text.as_bytes();
            assert_eq!(whole_characters(bytes), whole);
            let before = text.char_indices().next_back().map_or(0, |(at, _)| at);
            assert!((before + 1..bytes.len()).all(|cut| whole_characters(&bytes[..cut]) == before), "{text}");
        }
        assert_eq!(whole_characters(b"\x80\x80\x80\x80\x80"), 5, "what is no text is not waited for");
    }
}
