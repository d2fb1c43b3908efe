//! Progress of a build for programs: a JSON object on each line.

use std::{io::Write, sync::Mutex};

use nacre_build::{Event, Stream};
use serde_json::{Value, json};

use super::{Step, View};
use crate::output::{escape, progress::write_line};

/// `event` is `begin`, `cached`, `output`, `progress`, `end`, `error` or `note`; `step` counts from 1.
pub(super) struct Json<W>(Mutex<W>);

impl<W: Write + Send> Json<W> {
    pub(super) fn new(out: W) -> Self {
        Self(Mutex::new(out))
    }

    fn write(&self, line: &Value) {
        write_line(&self.0, &escape::json(&line.to_string()));
    }
}

impl<W: Write + Send> View for Json<W> {
    fn step(&self, event: &Event<'_>, step: &Step, lines: &[String]) {
        let (id, time) = (step.number, step.begun.elapsed().as_secs_f64());
        for line in lines {
            let stream = if let Event::Output { stream: Stream::Error, .. } = event { "stderr" } else { "stdout" };
            self.write(&json!({ "event": "output", "step": id, "time": time, "stream": stream, "text": line }));
        }
        let line = match event {
            Event::Started { .. } => json!({ "event": "begin", "step": id, "name": step.name }),
            Event::Cached { .. } => json!({ "event": "cached", "step": id }),
            Event::Moved { label, done, total, .. } => {
                json!({ "event": "progress", "step": id, "digest": label, "current": done, "total": total })
            }
            Event::Done { .. } => json!({ "event": "end", "step": id, "time": time, "cached": step.cached }),
            Event::Failed { error, .. } => json!({ "event": "error", "step": id, "time": time, "text": error.to_string() }),
            Event::Output { .. } | Event::Warning(_) => return,
        };
        self.write(&line);
    }

    fn note(&self, line: &str) {
        self.write(&json!({ "event": "note", "text": line }));
    }
}
