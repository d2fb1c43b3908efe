//! Where each line of the flat text comes from.

use std::rc::Rc;

use dockerfile_core::syntax::{Lines, Mistake};
use nacre_sdk::{Error, Span};

/// A line of a file.
#[derive(Clone)]
struct Origin {
    file: Rc<str>,
    line: u32,
}

/// The origins of a text's lines, in their order.
pub struct Origins {
    /// What the flat text is called.
    flat: String,
    lines: Vec<Origin>,
}

impl Origins {
    pub fn of(flat: &str) -> Origins {
        Origins { flat: flat.into(), lines: Vec::new() }
    }

    /// The text has one more line.
    pub fn push(&mut self, file: &Rc<str>, line: u32) {
        self.lines.push(Origin { file: Rc::clone(file), line });
    }

    /// Brings a place in the flat text to where it comes from.
    pub fn span(&self, at: &mut Option<Span>) {
        let Some(span) = at.as_mut().filter(|span| span.file == self.flat) else { return };
        let index = (span.line as usize).saturating_sub(1);
        if let Some(origin) = self.lines.get(index).or(self.lines.last()) {
            span.file = origin.file.to_string();
            span.line = origin.line;
        }
    }

    /// Brings an error's places to where they come from.
    pub fn error(&self, mut error: Error) -> Error {
        if let Error::Invalid(diagnostics) = &mut error {
            diagnostics.iter_mut().for_each(|diagnostic| self.span(&mut diagnostic.at));
        }
        error
    }
}

/// A mistake in these lines of a file.
pub fn mistake(mistake: Mistake, file: &str, lines: &Lines) -> Error {
    Error::Invalid(vec![mistake.at(lines).diagnostic(file)])
}
