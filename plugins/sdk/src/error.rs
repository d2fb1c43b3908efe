//! Errors in one line.

use crate::{Diagnostic, Error};

/// The input is wrong. `code` is a stable name for the kind of mistake, `message` one line
/// that says what is wrong and what would be right.
pub fn invalid(code: &str, message: impl Into<String>) -> Error {
    Error::Invalid(vec![Diagnostic { code: code.into(), message: message.into(), help: None, at: None }])
}

impl From<&str> for Error {
    fn from(message: &str) -> Error {
        Error::Other(message.into())
    }
}

impl From<String> for Error {
    fn from(message: String) -> Error {
        Error::Other(message)
    }
}
