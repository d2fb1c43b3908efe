//! What can go wrong for a plugin's author: always one line that says what to do.

use std::io;
use std::path::{Path, PathBuf};

/// Why a project could not be written, built or tested.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of the project.
    #[error("cannot {verb} {}: {source}", path.display())]
    File {
        /// What was tried: `read` or `write`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A tool of the language is not installed.
    #[error("{tool} is not installed: {install}")]
    Missing {
        /// The program.
        tool: &'static str,
        /// The command that installs it.
        install: &'static str,
    },
    /// A tool ran and failed; what it has to say stands above.
    #[error("{tool} failed: {status}")]
    Failed {
        /// The program.
        tool: &'static str,
        /// How it ended.
        status: String,
    },
    /// Something is wrong with the project.
    #[error("{0}")]
    Project(String),
    /// The plugin host refuses the plugin, or a call of it failed.
    #[error(transparent)]
    Plugin(#[from] nacre_plugin::Error),
}

impl Error {
    pub(crate) fn reading(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
        move |source| Error::File { verb: "read", path: path.to_owned(), source }
    }

    pub(crate) fn writing(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
        move |source| Error::File { verb: "write", path: path.to_owned(), source }
    }
}
