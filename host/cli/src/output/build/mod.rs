//! What a build shows while it works, on standard error: its steps with their times, and what programs print.
//!
//! Labels, programs' output and errors come from strangers: [`text`] is the one way to the terminal.

mod json;
mod lines;
mod plain;
mod tty;

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use nacre_build::{Event, StepId, Watcher};
use nacre_oci::{Progress, Silent};
use nacre_plugin::Diagnostic;

use self::lines::Lines;
use super::{
    escape::visible,
    progress::{Mode, lock},
};

/// One operation as it is shown.
struct Step {
    /// Counted from 1, in the order of their beginnings.
    number: usize,
    name: String,
    begun: Instant,
    cached: bool,
    lines: Lines,
}

/// What has begun so far.
#[derive(Default)]
struct Steps(BTreeMap<StepId, Step>);

impl Steps {
    fn begin(&mut self, id: StepId, name: &str) -> &mut Step {
        let number = self.0.len() + 1;
        let new = || Step { number, name: text(name), begun: Instant::now(), cached: false, lines: Lines::default() };
        self.0.entry(id).or_insert_with(new)
    }
}

/// A way to show events. `step` is what they are about.
trait View: Send + Sync {
    /// Something happened to a step; `lines` are what its program has printed since.
    fn step(&self, event: &Event<'_>, step: &Step, lines: &[String]);
    /// A line that belongs to no step.
    fn note(&self, line: &str);
    /// Nothing follows.
    fn end(&self) {}
}

/// A build's watcher, which also remembers what is told at the end.
pub(crate) struct Shown {
    view: Option<Box<dyn View>>,
    stop: Arc<AtomicBool>,
    steps: Mutex<Steps>,
    warnings: Mutex<Vec<Diagnostic>>,
    /// The label and the last lines of the step that failed first.
    failed: Mutex<Option<(String, Vec<String>)>>,
}

impl Shown {
    /// As `mode` says; the build stops once `stop` is set.
    pub(crate) fn new(mode: Mode, stop: Arc<AtomicBool>) -> Self {
        let view: Option<Box<dyn View>> = match mode {
            Mode::Auto if io::stderr().is_terminal() => Some(Box::new(tty::Tty::new())),
            Mode::Tty => Some(Box::new(tty::Tty::new())),
            Mode::Auto | Mode::Plain => Some(Box::new(plain::Plain::new(io::stderr()))),
            Mode::Json => Some(Box::new(json::Json::new(io::stderr()))),
            Mode::Quiet => None,
        };
        Self { view, stop, steps: Mutex::default(), warnings: Mutex::default(), failed: Mutex::default() }
    }

    /// Ends what moves on the screen.
    pub(crate) fn end(&self) {
        if let Some(view) = &self.view {
            view.end();
        }
    }

    /// What the frontend warned of, each once.
    pub(crate) fn warnings(&self) -> Vec<Diagnostic> {
        lock(&self.warnings).clone()
    }

    /// The label and the last lines of the program that failed.
    pub(crate) fn failed(&self) -> Option<(String, Vec<String>)> {
        lock(&self.failed).clone()
    }

    fn show(&self, event: &Event<'_>, id: StepId) {
        let mut steps = lock(&self.steps);
        let step = match event {
            Event::Started { name, .. } => steps.begin(id, name),
            _ => steps.begin(id, ""),
        };
        let lines = match event {
            Event::Output { bytes, .. } => step.lines.push(bytes),
            Event::Done { .. } | Event::Failed { .. } => step.lines.rest(),
            _ => Vec::new(),
        };
        step.cached |= matches!(event, Event::Cached { .. });
        if let Event::Failed { error, .. } = event
            && !error.is_cancelled()
        {
            lock(&self.failed).get_or_insert_with(|| (step.name.clone(), step.lines.last()));
        }
        if let Some(view) = &self.view {
            view.step(event, step, &lines);
        }
    }
}

impl Watcher for Shown {
    fn event(&self, event: Event<'_>) {
        match &event {
            Event::Warning(warning) => {
                let mut warnings = lock(&self.warnings);
                if !warnings.contains(warning) {
                    warnings.push((*warning).clone());
                }
            }
            Event::Started { id, .. }
            | Event::Cached { id }
            | Event::Output { id, .. }
            | Event::Moved { id, .. }
            | Event::Done { id }
            | Event::Failed { id, .. } => self.show(&event, *id),
        }
    }

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// For registries, which tell of their retries, and for plugins.
impl Progress for Shown {
    fn note(&self, line: &str) {
        match &self.view {
            Some(view) => view.note(&text(line)),
            None => Silent.note(line),
        }
    }

    fn cancelled(&self) -> bool {
        Watcher::cancelled(self)
    }
}

/// Text from outside as one line that is safe to show.
fn text(text: &str) -> String {
    visible(text.trim_end()).into_owned()
}

/// `0.4`: seconds as BuildKit shows them.
fn seconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64())
}
