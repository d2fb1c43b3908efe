//! What goes wrong with containers, in Docker's words (moby's `daemon` and `errdefs`, docker/cli's `opts`).

use nacre_oci::Error as Data;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was not done. `Display` is one line; it may hold untrusted text, which whoever prints it escapes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing has this name or id.
    #[error("No such container: {0}")]
    NoSuchContainer(String),
    /// The store does not have the image, or not for the platform: it may be pulled.
    #[error("{0}")]
    NoSuchImage(String),
    /// What was asked for is wrong in itself.
    #[error("{0}")]
    Invalid(String),
    /// The state of things forbids it.
    #[error("{0}")]
    Conflict(String),
    /// Files, the store, or the runtime.
    #[error(transparent)]
    Data(#[from] Data),
}

impl Error {
    pub(crate) fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
    }

    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let data = Data::io(doing);
        move |source| Self::Data(data(source))
    }
}
