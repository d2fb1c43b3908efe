//! What is wrong with a Dockerfile, and where.

use super::Lines;
use nacre_sdk::Diagnostic;
use std::borrow::Cow;

/// An error in a file, in BuildKit's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// A stable name for this kind of mistake, such as `unknown-flag`.
    pub code: &'static str,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do about it, if the message does not say so.
    pub help: Option<Cow<'static, str>>,
    /// Where; none if it is in no file or not yet known.
    pub lines: Option<Lines>,
}

impl Mistake {
    /// Without help or place.
    pub fn new(code: &'static str, message: impl Into<String>) -> Mistake {
        Mistake { code, message: message.into(), help: None, lines: None }
    }

    /// Says what to do about it.
    pub fn help(mut self, help: impl Into<Cow<'static, str>>) -> Mistake {
        self.help = Some(help.into());
        self
    }

    /// Says where it is, unless it says so already.
    pub fn at(mut self, lines: &Lines) -> Mistake {
        self.lines.get_or_insert_with(|| lines.clone());
        self
    }

    /// As nacre shows it, for a file of that name.
    pub fn diagnostic(&self, file: &str) -> Diagnostic {
        Diagnostic {
            code: self.code.into(),
            message: self.message.clone(),
            help: self.help.as_ref().map(|help| help.to_string()),
            at: self.lines.as_ref().map(|lines| super::span(file, lines)),
        }
    }
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Mistake {}
