//! The data that crosses into plugins: `interface types` of `wit/types.wit`.
//!
//! These types are passed to components as they are; wasmtime checks them against each component's
//! own declaration before the first call.

use std::fmt;

use serde::{Deserialize, Serialize};
use wasmtime::component::{ComponentType, Lift, Lower};

use crate::error::one_line;

/// Bytes of each text of a diagnostic that is passed on.
const MAX_TEXT: usize = 4_000;

/// One `KEY=VALUE`. Keys may repeat in a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Kv {
    /// The key.
    pub key: String,
    /// The value; may be empty.
    pub value: String,
}

impl Kv {
    /// A pair of both.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Kv {
        Kv { key: key.into(), value: value.into() }
    }
}

/// A platform in Go's terms.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Platform {
    /// The operating system: `linux`.
    pub os: String,
    /// The architecture: `amd64`.
    pub arch: String,
    /// The architecture's variant: `v8`.
    pub variant: Option<String>,
}

/// What a policy is told about one image of the store. Times are seconds since 1970, sizes bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lower)]
#[serde(rename_all = "kebab-case", default)]
#[component(record)]
pub struct Summary {
    /// The digest of its manifest or index.
    pub id: String,
    /// Its full names; none if it is dangling.
    pub names: Vec<String>,
    /// It lost its name, or never had one.
    pub dangling: bool,
    /// When it was made, as its configuration says; 0 if that is silent.
    pub created: u64,
    /// When it was pulled, loaded or imported here.
    pub pulled: Option<u64>,
    /// When it was built here.
    pub built: Option<u64>,
    /// When a command last used it.
    #[component(name = "last-used")]
    pub last_used: Option<u64>,
    /// The bytes of all its blobs.
    pub size: u64,
    /// How many of them other images need as well.
    pub shared: u64,
    /// A container or a running command needs it.
    #[component(name = "in-use")]
    pub in_use: bool,
    /// The user pinned it.
    pub pinned: bool,
    /// The labels of its configuration.
    pub labels: Vec<Kv>,
    /// The platforms that it holds.
    pub platforms: Vec<Platform>,
}

/// A place in a file that the user wrote; lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Span {
    /// The file's name as the plugin knows it.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The column.
    pub col: u32,
}

/// Something that is wrong with the input of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Diagnostic {
    /// A stable name for the kind of mistake.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where, if the input is a file.
    pub at: Option<Span>,
}

impl Diagnostic {
    /// With texts of at most [`MAX_TEXT`] bytes.
    pub(crate) fn capped(mut self) -> Diagnostic {
        let texts = [Some(&mut self.code), Some(&mut self.message), self.help.as_mut(), self.at.as_mut().map(|at| &mut at.file)];
        texts.into_iter().flatten().for_each(|text| text.truncate(text.floor_char_boundary(MAX_TEXT)));
        self
    }
}

/// A file's content in JSON: a string, or a list of bytes if it is no UTF-8.
pub(crate) mod content {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Content {
        Text(String),
        Bytes(Vec<u8>),
    }

    pub(crate) fn serialize<S: Serializer>(content: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(content) {
            Ok(text) => text.serialize(serializer),
            Err(_) => content.serialize(serializer),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        Ok(match Content::deserialize(deserializer)? {
            Content::Text(text) => text.into_bytes(),
            Content::Bytes(bytes) => bytes,
        })
    }
}

impl From<&nacre_oci::Platform> for Platform {
    fn from(from: &nacre_oci::Platform) -> Platform {
        Platform { os: from.os.clone(), arch: from.architecture.clone(), variant: from.variant.clone() }
    }
}

/// An error that a plugin reported itself, or that it is told.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(variant)]
pub enum GuestError {
    /// The input is wrong.
    #[component(name = "invalid")]
    Invalid(Vec<Diagnostic>),
    /// Something does not exist.
    #[component(name = "not-found")]
    NotFound(String),
    /// Something is not allowed.
    #[component(name = "denied")]
    Denied(String),
    /// The plugin does not do this.
    #[component(name = "unsupported")]
    Unsupported(String),
    /// The input exceeds a limit of the plugin.
    #[component(name = "limit")]
    Limit(String),
    /// Reading or writing failed.
    #[component(name = "io")]
    Io(String),
    /// The call was cancelled.
    #[component(name = "cancelled")]
    Cancelled,
    /// Anything else.
    #[component(name = "other")]
    Other(String),
}

impl GuestError {
    /// The input is wrong, in the words `message`.
    pub(crate) fn invalid(code: &str, message: impl Into<String>) -> GuestError {
        GuestError::Invalid(vec![Diagnostic { code: code.into(), message: message.into(), help: None, at: None }])
    }
}

impl fmt::Display for GuestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, text) = match self {
            GuestError::Invalid(found) => ("invalid input", diagnostics(found)),
            GuestError::NotFound(text) => ("not found", one_line(text)),
            GuestError::Denied(text) => ("denied", one_line(text)),
            GuestError::Unsupported(text) => ("unsupported", one_line(text)),
            GuestError::Limit(text) => ("over a limit", one_line(text)),
            GuestError::Io(text) => ("input or output failed", one_line(text)),
            GuestError::Cancelled => ("cancelled", String::new()),
            GuestError::Other(text) => ("failed", one_line(text)),
        };
        match (self, text.is_empty()) {
            (_, true) => f.write_str(kind),
            // These speak for themselves.
            (GuestError::Invalid(_) | GuestError::Other(_), false) => f.write_str(&text),
            (_, false) => write!(f, "{kind}: {text}"),
        }
    }
}

/// All messages in one line, each with its place in front and its help behind.
fn diagnostics(found: &[Diagnostic]) -> String {
    let show = |one: &Diagnostic| {
        let at = one.at.as_ref().map(|at| format!("{}:{}:{}: ", one_line(&at.file), at.line, at.col));
        let help = one.help.as_ref().map(|help| format!(" ({})", one_line(help)));
        format!("{}{}{}", at.unwrap_or_default(), one_line(&one.message), help.unwrap_or_default())
    };
    one_line(&found.iter().take(5).map(show).collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guests_error_is_one_line() {
        let at = Some(Span { file: "Dockerfile".into(), line: 3, col: 1 });
        let first = Diagnostic { code: "x".into(), message: "bad\nvalue".into(), help: Some("try 1".into()), at };
        let second = Diagnostic { code: "y".into(), message: "worse".into(), help: None, at: None };
        let shown = GuestError::Invalid(vec![first, second]).to_string();
        assert_eq!(shown, "Dockerfile:3:1: bad (try 1); worse");
        assert_eq!(GuestError::Denied("no".into()).to_string(), "denied: no");
        assert_eq!(GuestError::Other(String::new()).to_string(), "failed");
        assert_eq!(GuestError::Other("x".repeat(1_000)).to_string().len(), 400);
    }
}
