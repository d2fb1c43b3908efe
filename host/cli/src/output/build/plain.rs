//! Progress of a build for logs, as BuildKit writes it: `#5 [2/3] RUN make`, `#5 0.312 output`, `#5 DONE 0.4s`.

use std::{
    collections::BTreeMap,
    io::Write,
    sync::Mutex,
    time::{Duration, Instant},
};

use nacre_build::Event;

use super::{Step, View, lock, seconds, text};
use crate::output::units;

/// How often it is told what was moved.
const EVERY: Duration = Duration::from_secs(5);

/// Writes lines, one after the other.
pub(super) struct Plain<W>(Mutex<State<W>>);

struct State<W> {
    out: W,
    /// The step that the last line was about.
    current: Option<usize>,
    /// What moves, and when it was told last.
    moving: BTreeMap<(usize, String), Instant>,
}

impl<W: Write> Plain<W> {
    pub(super) fn new(out: W) -> Self {
        Self(Mutex::new(State { out, current: None, moving: BTreeMap::new() }))
    }
}

impl<W: Write> State<W> {
    /// A line about a step; when it is another than before, its label comes first.
    fn line(&mut self, step: &Step, line: &str) {
        if self.current != Some(step.number) {
            let gap = if self.current.is_some() { "\n" } else { "" };
            self.write(&format!("{gap}#{} {}", step.number, step.name));
            self.current = Some(step.number);
        }
        if !line.is_empty() {
            self.write(&format!("#{} {line}", step.number));
        }
    }

    /// Progress that cannot be written is no reason to stop the work.
    fn write(&mut self, line: &str) {
        let _ = writeln!(self.out, "{line}");
    }

    fn moved(&mut self, step: &Step, label: &str, done: u64, total: u64) {
        let told = self.moving.entry((step.number, label.to_owned())).or_insert_with(Instant::now);
        let whole = total > 0 && done >= total;
        if whole || told.elapsed() >= EVERY {
            *told = Instant::now();
            let end = if whole { " done" } else { "" };
            let line = format!("{} {} / {} {}s{end}", text(label), units::size(done), units::size(total), seconds(step.begun.elapsed()));
            self.line(step, &line);
        }
    }
}

impl<W: Write + Send> View for Plain<W> {
    fn step(&self, event: &Event<'_>, step: &Step, lines: &[String]) {
        let mut state = lock(&self.0);
        let time = step.begun.elapsed();
        for line in lines {
            state.line(step, &format!("{:.3} {line}", time.as_secs_f64()));
        }
        match event {
            Event::Started { .. } => state.line(step, ""),
            Event::Moved { label, done, total, .. } => state.moved(step, label, *done, *total),
            Event::Done { .. } if step.cached => state.line(step, "CACHED"),
            Event::Done { .. } => state.line(step, &format!("DONE {}s", seconds(time))),
            Event::Failed { error, .. } if error.is_cancelled() => state.line(step, "CANCELED"),
            Event::Failed { error, .. } => state.line(step, &format!("ERROR: {}", text(&error.to_string()))),
            Event::Output { .. } | Event::Cached { .. } | Event::Warning(_) => {}
        }
    }

    fn note(&self, line: &str) {
        lock(&self.0).write(line);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::output::build::Steps;

    #[test]
    fn lines_say_which_step_they_are_about() {
        let plain = Plain::new(Vec::new());
        let mut steps = Steps::default();
        let error = nacre_build::Error::Exit { command: "make".into(), code: 2 };
        steps.begin(7, "[1/2] FROM x\x1b[2J");
        steps.begin(3, "[2/2] RUN make");
        let step = |event: Event<'_>, id: usize, lines: &[&str]| {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            plain.step(&event, &steps.0[&id], &lines);
        };
        step(Event::Started { id: 7, name: "" }, 7, &[]);
        step(Event::Started { id: 3, name: "" }, 3, &[]);
        step(Event::Moved { id: 7, label: "sha256:0", done: 7_800_000, total: 7_800_000 }, 7, &[]);
        step(Event::Output { id: 3, stream: nacre_build::Stream::Output, bytes: b"" }, 3, &["hello"]);
        step(Event::Failed { id: 3, error: &error }, 3, &["half"]);
        step(Event::Failed { id: 7, error: &nacre_oci::Error::Cancelled.into() }, 7, &[]);
        let text = String::from_utf8(plain.0.into_inner().unwrap().out).unwrap();
        let expected = "#1 [1/2] FROM x\\x1b[2J\n\n#2 [2/2] RUN make\n\n#1 [1/2] FROM x\\x1b[2J\n#1 sha256:0 7.8MB / 7.8MB 0.0s done\n\n\
                        #2 [2/2] RUN make\n#2 T hello\n#2 T half\n\
                        #2 ERROR: process \"make\" did not complete successfully: exit code: 2\n\n#1 [1/2] FROM x\\x1b[2J\n#1 CANCELED\n";
        let timeless: String = text
            .lines()
            .map(|line| if line.starts_with("#2 0.0") { format!("#2 T{}\n", &line[8..]) } else { format!("{line}\n") })
            .collect();
        assert_eq!(timeless, expected);
    }
}
