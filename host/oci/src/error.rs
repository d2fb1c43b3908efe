//! The one error type of everything that reads, writes or moves images.

use std::io;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, on what. `Display` is one line; the text may hold untrusted bytes, which whoever prints it
/// escapes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A digest string that no rule allows.
    #[error("invalid digest '{text}': {why}")]
    InvalidDigest {
        /// What was given.
        text: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// A reference string outside Docker's grammar.
    #[error("invalid reference '{text}': {why}")]
    InvalidReference {
        /// What was given.
        text: String,
        /// The rule it breaks.
        why: String,
    },
    /// A platform string that cannot be read.
    #[error("invalid platform '{text}': write OS/ARCHITECTURE[/VARIANT], such as linux/arm64/v8")]
    InvalidPlatform {
        /// What was given.
        text: String,
    },
    /// Something that was asked for is not there.
    #[error("{what} was not found")]
    NotFound {
        /// The thing and where it was looked for.
        what: String,
    },
    /// A short name fits more than one thing.
    #[error("ambiguous reference '{text}': {count} images match; use more digits or a name")]
    Ambiguous {
        /// What was given.
        text: String,
        /// How many things match.
        count: usize,
    },
    /// No manifest of an index fits the platform.
    #[error("no manifest for {wanted} in {what}; it has {available}")]
    NoPlatform {
        /// The platform that was asked for.
        wanted: String,
        /// The index.
        what: String,
        /// The platforms that it has, comma-separated.
        available: String,
    },
    /// Bytes do not have the digest or the size that they were announced with.
    #[error("{what} is damaged: expected {expected}, got {actual}")]
    Mismatch {
        /// The content.
        what: String,
        /// The announced digest or size.
        expected: String,
        /// What came.
        actual: String,
    },
    /// A document breaks its specification.
    #[error("{what} is malformed: {why}")]
    Malformed {
        /// The document.
        what: String,
        /// The first thing wrong with it.
        why: String,
    },
    /// More bytes, entries or levels than nacre accepts.
    #[error("{what} is larger than the limit of {limit}")]
    TooLarge {
        /// The content.
        what: String,
        /// The limit, with its unit.
        limit: String,
    },
    /// Valid, but outside what nacre can do.
    #[error("{what} is not supported: {why}")]
    Unsupported {
        /// The thing.
        what: String,
        /// Why not, and what to do instead.
        why: String,
    },
    /// The other side refuses (HTTP 401 and 403, a policy, a pin).
    #[error("{what} was denied: {why}")]
    Denied {
        /// The action.
        what: String,
        /// The other side's reason.
        why: String,
    },
    /// The state of things forbids the action until something else is done.
    #[error("conflict: {0}")]
    Conflict(String),
    /// A file operation failed.
    #[error("cannot {doing}: {source}")]
    Io {
        /// The action and the file.
        doing: String,
        /// The operating system's answer.
        #[source]
        source: io::Error,
    },
    /// The network or the other side's server failed.
    #[error("{doing} failed: {why}")]
    Transport {
        /// The request.
        doing: String,
        /// What came instead of an answer.
        why: String,
    },
    /// The command was told to stop.
    #[error("cancelled")]
    Cancelled,
    /// Anything else, from a part that has an error type of its own.
    #[error("{0}")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// An [`Error::Io`] with what was being done, in the words that follow "cannot".
    pub fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| match source.downcast::<Self>() {
            Ok(own) => own,
            Err(source) => Self::Io { doing, source },
        }
    }

    /// An [`Error::NotFound`].
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }

    /// An [`Error::Malformed`].
    pub fn malformed(what: impl Into<String>, why: impl ToString) -> Self {
        Self::Malformed { what: what.into(), why: why.to_string() }
    }
}

/// Errors pass through `Read` and `Write` inside an `io::Error` and come out whole on the other side (by [`Error::io`]).
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io { source, .. } => source,
            other => io::Error::other(other),
        }
    }
}
