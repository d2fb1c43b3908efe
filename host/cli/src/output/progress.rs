//! What a pull, push, save or load shows while it works, on standard error.

mod bars;
mod lines;

use std::{
    borrow::Cow,
    collections::HashMap,
    io::{self, IsTerminal, Write},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use nacre_oci::{Descriptor, Digest, Outcome, Progress, Silent};

use super::escape;

/// `--progress`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Bars on a terminal, plain lines elsewhere.
    #[default]
    Auto,
    /// Bars.
    Tty,
    /// Plain lines.
    Plain,
    /// A JSON object on each line.
    #[value(alias = "rawjson")]
    Json,
    /// Nothing.
    #[value(alias = "none")]
    Quiet,
}

/// The annotation that says by what name a descriptor is shown, for content whose digest nobody knows yet.
pub(crate) const LABEL: &str = "nacre.label";

/// How content is called: by its label or by its digest.
fn label(content: &Descriptor) -> Cow<'_, str> {
    content.annotations.get(LABEL).map_or(Cow::Borrowed(content.digest.short()), |label| escape::visible(label))
}

/// What is being done, for the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// From a registry.
    Pull,
    /// To a registry.
    Push,
    /// To an archive.
    Save,
    /// From an archive.
    Load,
    /// Between any two.
    Copy,
    /// From a file that is no archive of images.
    Import,
}

impl Action {
    fn doing(self) -> &'static str {
        match self {
            Self::Pull => "Downloading",
            Self::Push => "Pushing",
            Self::Save => "Saving",
            Self::Load => "Loading",
            Self::Copy => "Copying",
            Self::Import => "Importing",
        }
    }

    fn ended(self, outcome: Outcome) -> &'static str {
        match (self, outcome) {
            (Self::Push, Outcome::Present) => "Layer already exists",
            (_, Outcome::Present) => "Already exists",
            (_, Outcome::Mounted) => "Mounted from another repository",
            (Self::Pull, Outcome::Copied) => "Pull complete",
            (Self::Push, Outcome::Copied) => "Pushed",
            (Self::Save, Outcome::Copied) => "Saved",
            (Self::Load, Outcome::Copied) => "Loaded",
            (Self::Copy, Outcome::Copied) => "Copied",
            (Self::Import, Outcome::Copied) => "Imported",
        }
    }
}

/// Shows what `action` does as `mode` says, and tells it to stop once `stop` is set.
pub(crate) fn show(mode: Mode, action: Action, stop: Arc<AtomicBool>) -> Box<dyn Progress> {
    let view: Box<dyn Progress> = match mode {
        Mode::Auto if io::stderr().is_terminal() => Box::new(bars::Bars::new(action)),
        Mode::Tty => Box::new(bars::Bars::new(action)),
        Mode::Auto | Mode::Plain => Box::new(lines::Plain::new(action, io::stderr())),
        Mode::Json => Box::new(lines::Json::new(io::stderr())),
        Mode::Quiet => Box::new(Silent),
    };
    Box::new(Stoppable { view, stop })
}

struct Stoppable {
    view: Box<dyn Progress>,
    stop: Arc<AtomicBool>,
}

impl Progress for Stoppable {
    fn begin(&self, content: &Descriptor) {
        self.view.begin(content);
    }

    fn advance(&self, content: &Descriptor, bytes: u64) {
        self.view.advance(content, bytes);
    }

    fn end(&self, content: &Descriptor, outcome: Outcome) {
        self.view.end(content, outcome);
    }

    fn note(&self, text: &str) {
        self.view.note(text);
    }

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Counts the bytes of each blob, and says when it is time to tell.
struct Meter {
    every: Duration,
    blobs: Mutex<HashMap<Digest, (u64, Instant)>>,
}

impl Meter {
    fn new(every: Duration) -> Self {
        Self { every, blobs: Mutex::default() }
    }

    fn begin(&self, content: &Descriptor) {
        lock(&self.blobs).insert(content.digest.clone(), (0, Instant::now()));
    }

    /// The bytes so far, if the blob's last telling is long enough ago.
    fn advance(&self, content: &Descriptor, bytes: u64) -> Option<u64> {
        let mut blobs = lock(&self.blobs);
        let (moved, told) = blobs.get_mut(&content.digest)?;
        *moved = moved.saturating_add(bytes);
        if told.elapsed() < self.every {
            return None;
        }
        *told = Instant::now();
        Some(*moved)
    }

    /// Forgets the blob and returns its bytes.
    fn end(&self, content: &Descriptor) -> u64 {
        lock(&self.blobs).remove(&content.digest).map_or(0, |(moved, _)| moved)
    }
}

/// A poisoned lock only guards a view: what is in it is still good enough to show.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Progress that cannot be written is no reason to stop the work.
pub(crate) fn write_line(out: &Mutex<impl Write>, line: &str) {
    let _ = writeln!(lock(out), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_when_told() {
        let stop = Arc::new(AtomicBool::new(false));
        let progress = show(Mode::Quiet, Action::Pull, Arc::clone(&stop));
        assert!(!progress.cancelled());
        stop.store(true, Ordering::Relaxed);
        assert!(progress.cancelled());
    }

    #[test]
    fn a_meter_tells_no_more_often_than_it_should() {
        let blob = Descriptor::of("x", b"blob");
        let (always, never) = (Meter::new(Duration::ZERO), Meter::new(Duration::MAX));
        assert_eq!(always.advance(&blob, 1), None, "it did not begin");
        for meter in [&always, &never] {
            meter.begin(&blob);
        }
        assert_eq!((always.advance(&blob, 1), always.advance(&blob, 2)), (Some(1), Some(3)));
        assert_eq!((never.advance(&blob, 1), never.advance(&blob, 2)), (None, None));
        assert_eq!((always.end(&blob), never.end(&blob), never.end(&blob)), (3, 3, 0));
    }
}
