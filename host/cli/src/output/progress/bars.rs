//! Progress for people: a line for each blob, with a bar while it moves.

use std::{collections::HashMap, fmt::Write, sync::Mutex};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use nacre_oci::{Descriptor, Digest, Outcome, Progress};

use super::{Action, label, lock};
use crate::output::{escape, units};

/// Draws to standard error's terminal.
pub(super) struct Bars {
    action: Action,
    all: MultiProgress,
    moving: Mutex<HashMap<Digest, ProgressBar>>,
}

impl Bars {
    pub(super) fn new(action: Action) -> Self {
        Self { action, all: MultiProgress::new(), moving: Mutex::default() }
    }

    fn add(&self, content: &Descriptor) -> ProgressBar {
        let bar = ProgressBar::new(content.size).with_prefix(label(content).into_owned());
        self.all.add(bar)
    }
}

impl Progress for Bars {
    fn begin(&self, content: &Descriptor) {
        if content.is_document() {
            return;
        }
        let bar = self.add(content).with_style(style("{prefix}: {msg} [{bar:30}] {moved}"));
        bar.set_message(self.action.doing());
        lock(&self.moving).insert(content.digest.clone(), bar);
    }

    fn advance(&self, content: &Descriptor, bytes: u64) {
        if let Some(bar) = lock(&self.moving).get(&content.digest) {
            bar.inc(bytes);
        }
    }

    fn end(&self, content: &Descriptor, outcome: Outcome) {
        if content.is_document() {
            return;
        }
        let moving = lock(&self.moving).remove(&content.digest);
        let bar = moving.unwrap_or_else(|| self.add(content));
        bar.set_style(style("{prefix}: {msg}"));
        bar.finish_with_message(self.action.ended(outcome));
    }

    fn note(&self, text: &str) {
        // A terminal that is gone is no reason to stop the work.
        let _ = self.all.println(escape::visible(text));
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("the templates in this file are well formed");
    style.progress_chars("=> ").with_key("moved", write_moved)
}

/// `12.3MB/187MB`
fn write_moved(state: &ProgressState, out: &mut dyn Write) {
    // Writing to the line's buffer does not fail.
    let _ = write!(out, "{}/{}", units::size(state.pos()), units::size(state.len().unwrap_or(0)));
}
