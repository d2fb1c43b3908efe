//! What a long operation tells about itself.

use crate::Descriptor;

/// How one piece of content ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its bytes were moved.
    Copied,
    /// It was there before.
    Present,
    /// The registry mounted it from another repository.
    Mounted,
}

/// Hears what [`crate::copy`] does. All methods may be called from several threads.
pub trait Progress: Send + Sync {
    /// The content is about to move.
    fn begin(&self, _content: &Descriptor) {}
    /// `bytes` more of it moved (or, on resuming, were there).
    fn advance(&self, _content: &Descriptor, _bytes: u64) {}
    /// It is there.
    fn end(&self, _content: &Descriptor, _outcome: Outcome) {}
    /// Something worth telling happened, such as a retry.
    fn note(&self, _text: &str) {}
    /// Whether the work should stop; asked often.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Hears nothing and says nothing.
pub struct Silent;

impl Progress for Silent {}
