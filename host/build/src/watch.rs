//! What a build tells about itself.

use nacre_oci::Progress;
use nacre_plugin::Diagnostic;

use crate::Error;

/// An operation of one build. The same operation has one number, however many images of the build need it.
pub type StepId = usize;

/// Where a program wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// To its standard output.
    Output,
    /// To its standard error.
    Error,
}

/// Something that happens in a build. Every operation that is [`Event::Started`] ends in [`Event::Done`] or
/// [`Event::Failed`].
#[derive(Debug)]
pub enum Event<'a> {
    /// An operation begins.
    Started {
        /// The operation.
        id: StepId,
        /// Its label.
        name: &'a str,
    },
    /// The operation was found in the cache; [`Event::Done`] follows.
    Cached {
        /// The operation.
        id: StepId,
    },
    /// The operation's program wrote something, not cut into lines.
    Output {
        /// The operation.
        id: StepId,
        /// Where it was written.
        stream: Stream,
        /// What was written.
        bytes: &'a [u8],
    },
    /// The operation fetches or writes content.
    Moved {
        /// The operation.
        id: StepId,
        /// What is moved, such as `sha256:…`.
        label: &'a str,
        /// How many bytes of it were moved.
        done: u64,
        /// Of how many; 0 if that is not known.
        total: u64,
    },
    /// The operation is done.
    Done {
        /// The operation.
        id: StepId,
    },
    /// The operation failed or was given up.
    Failed {
        /// The operation.
        id: StepId,
        /// What went wrong.
        error: &'a Error,
    },
    /// Something that is no error.
    Warning(&'a Diagnostic),
}

/// Hears of a build's events, from several threads, and can end it.
pub trait Watcher: Send + Sync {
    /// Something happened.
    fn event(&self, event: Event<'_>);

    /// Whether the build should stop; asked often.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Hears nothing and says nothing.
impl Watcher for () {
    fn event(&self, _event: Event<'_>) {}
}

/// The content that one operation moves, as the build's events.
pub(crate) struct Moving<'a> {
    pub(crate) id: StepId,
    pub(crate) watcher: &'a dyn Watcher,
    /// Whether something else has ended the build.
    pub(crate) stopped: &'a (dyn Fn() -> bool + Send + Sync),
    moved: std::sync::Mutex<std::collections::BTreeMap<nacre_oci::Digest, u64>>,
}

impl<'a> Moving<'a> {
    pub(crate) fn new(id: StepId, watcher: &'a dyn Watcher, stopped: &'a (dyn Fn() -> bool + Send + Sync)) -> Self {
        Self { id, watcher, stopped, moved: std::sync::Mutex::default() }
    }
}

impl Progress for Moving<'_> {
    fn advance(&self, content: &nacre_oci::Descriptor, bytes: u64) {
        let done = {
            let mut moved = self.moved.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let done = moved.entry(content.digest.clone()).or_default();
            *done += bytes;
            *done
        };
        let label = content.digest.to_string();
        self.watcher.event(Event::Moved { id: self.id, label: &label, done, total: content.size });
    }

    fn cancelled(&self) -> bool {
        self.watcher.cancelled() || (self.stopped)()
    }
}
