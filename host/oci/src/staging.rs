//! Content on its way in whose digest is known only at its end, such as a layer that is being made.

use std::io::Write;

use crate::{Descriptor, Digest, Result};

/// Where content can be written before its digest is known.
pub trait Staging: Send + Sync {
    /// Begins. What is written stays invisible until [`Staged::commit`].
    ///
    /// # Errors
    /// If no place can be made.
    fn stage(&self) -> Result<Box<dyn Staged>>;
}

/// Content that is being written. Dropping it throws away what was.
pub trait Staged: Write + Send {
    /// The SHA-256 and the size of what was written so far. Who writes need not hash the same bytes again.
    fn written(&self) -> (Digest, u64);

    /// Ends the content and stores it, if it has the descriptor's digest and size. Then it is as if it had been
    /// [`put`](crate::Sink::put).
    ///
    /// # Errors
    /// [`Error::Mismatch`](crate::Error::Mismatch) if the bytes have another digest or size; if they cannot be stored.
    fn commit(self: Box<Self>, descriptor: &Descriptor) -> Result<()>;
}
