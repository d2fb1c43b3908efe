//! A file's lines.

use super::Mistake;

/// The longest line, in bytes without its end (Go's `bufio.MaxScanTokenSize`, which BuildKit reads with).
const MAX_LINE: usize = 65535;

/// Lines one after the other, with their ends.
pub(super) struct Source<'a> {
    rest: std::str::SplitInclusive<'a, char>,
    /// How many lines were read: the number of the last one.
    pub(super) number: u32,
    /// The reading ended at a line that is too long.
    too_long: bool,
}

impl<'a> Source<'a> {
    /// Without the byte order mark at the front.
    pub(super) fn new(text: &'a str) -> Source<'a> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Source { rest: text.split_inclusive('\n'), number: 0, too_long: false }
    }

    /// The mistake of a line that was too long to be read.
    pub(super) fn finish(&self) -> Result<(), Mistake> {
        if self.too_long {
            let message = format!("dockerfile line greater than max allowed size of {MAX_LINE}");
            let place = self.number + 1;
            return Err(Mistake::new("line-too-long", message).at(&(place..=place)));
        }
        Ok(())
    }
}

impl<'a> Iterator for Source<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.too_long {
            return None;
        }
        let line = self.rest.next()?;
        if line.strip_suffix('\n').unwrap_or(line).len() > MAX_LINE {
            self.too_long = true;
            return None;
        }
        self.number += 1;
        Some(line)
    }
}

/// Without the line's end.
pub(super) fn without_end(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

/// Whether the line is a comment, whatever blanks stand before `#`.
pub(super) fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}
