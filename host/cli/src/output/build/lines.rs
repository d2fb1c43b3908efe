//! What a program prints, as lines that are safe for a terminal.

use std::collections::VecDeque;

use crate::output::escape::visible;

/// Lines that are remembered for when the program fails.
const KEPT: usize = 12;
/// The longest line; a longer one is cut into several.
const LONGEST: usize = 4 << 10;

/// Puts pieces together to lines.
#[derive(Default)]
pub(super) struct Lines {
    open: Vec<u8>,
    last: VecDeque<String>,
}

impl Lines {
    /// The lines that end in this piece.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.open.extend_from_slice(part);
            if self.open.ends_with(b"\n") || self.open.len() >= LONGEST {
                lines.extend(self.rest());
            }
        }
        lines
    }

    /// What is left of a line that does not end.
    pub(super) fn rest(&mut self) -> Vec<String> {
        if self.open.is_empty() {
            return Vec::new();
        }
        let line = shown(&std::mem::take(&mut self.open));
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line.clone());
        vec![line]
    }

    /// The last lines.
    pub(super) fn last(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }
}

/// A line as a terminal would show it: what was overwritten is gone, colours too, and tabs are blanks. Everything else
/// that a terminal must not get becomes visible.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\n', '\r']);
    let text = text.rsplit('\r').next().unwrap_or_default();
    visible(&without_colours(text).replace('\t', "    ")).into_owned()
}

/// Without `ESC [ … m` (ECMA-48, SGR).
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.find(|c: char| !c.is_ascii_digit() && c != ';') {
            Some(end) if part[end..].starts_with('m') => out.push_str(&part[end + 1..]),
            _ => out.extend(["\x1b[", part]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_lines() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"one\ntw"), ["one"]);
        assert_eq!(lines.push(b"o\n\nthree"), ["two", ""]);
        assert_eq!((lines.rest(), lines.rest()), (vec!["three".to_owned()], Vec::new()));
        assert_eq!(lines.last(), ["one", "two", "", "three"]);
        assert_eq!(lines.push(&[b'x'; 10_000]).len(), 1, "a line without end is cut");
    }

    #[test]
    fn a_line_cannot_move_the_cursor() {
        assert_eq!(shown(b"10%\r50%\r100%\r\n"), "100%");
        assert_eq!(shown(b"\x1b[1;31mred\x1b[0m\tand \x1b[2Jgone\x07"), "red    and \\x1b[2Jgone\\x07");
        assert_eq!(shown(b"\xff\xe2\x80\xae"), "\u{fffd}\\u{202e}");
    }
}
