//! What can go wrong in a build.

use nacre_plugin::{Diagnostic, Span};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a build failed. `Display` is one line; the text may hold untrusted bytes, which whoever prints it escapes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One operation of the graph failed.
    #[error("{source}")]
    Step {
        /// What the user sees of the operation, such as `[build 2/5] RUN make`.
        label: String,
        /// Where it stands in the user's file.
        at: Option<Span>,
        /// What went wrong.
        source: Box<Error>,
    },
    /// A program of the build ended with another code than 0 (in BuildKit's words).
    #[error("process \"{command}\" did not complete successfully: exit code: {code}")]
    Exit {
        /// Its arguments, with blanks between them.
        command: String,
        /// Its exit code; 128 and the signal's number if one killed it.
        code: i32,
    },
    /// A program of the build could not be started (in BuildKit's words).
    #[error("process \"{command}\" did not complete successfully: {why}")]
    NotStarted {
        /// Its arguments, with blanks between them.
        command: String,
        /// Why.
        why: String,
    },
    /// The frontend's graph breaks a rule of `wit/graph.wit`.
    #[error("plugin {plugin} made a malformed build graph: {why}")]
    Graph {
        /// The frontend's plugin.
        plugin: String,
        /// The first rule that it breaks.
        why: String,
    },
    /// The frontend gave no graph; among other things because of mistakes in the user's file.
    #[error(transparent)]
    Frontend(#[from] nacre_plugin::Error),
    /// Content could not be read, made or stored.
    #[error(transparent)]
    Data(#[from] nacre_oci::Error),
}

impl Error {
    /// Where in the user's file the build failed, if an operation of the graph did and its frontend told.
    pub fn at(&self) -> Option<&Span> {
        match self {
            Self::Step { at, source, .. } => at.as_ref().or_else(|| source.at()),
            _ => None,
        }
    }

    /// Whether the build ended because it was told to.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Step { source, .. } => source.is_cancelled(),
            Self::Data(error) => matches!(error, nacre_oci::Error::Cancelled),
            _ => false,
        }
    }

    /// The error as a mistake in the user's file: what a frontend is told, and what it may hand on as its own answer.
    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic { code: "build-failed".into(), message: self.to_string(), help: None, at: self.at().cloned() }
    }
}
