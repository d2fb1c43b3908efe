//! Progress for logs and for programs.

use std::{io::Write, sync::Mutex, time::Duration};

use nacre_oci::{Descriptor, Outcome, Progress};
use serde_json::json;

use super::{Action, LABEL, Meter, label, write_line};
use crate::output::{escape, units};

/// A line when a blob begins, one now and then, and one when it ends. Manifests are too small to tell.
pub(super) struct Plain<W> {
    action: Action,
    meter: Meter,
    out: Mutex<W>,
}

impl<W: Write + Send> Plain<W> {
    pub(super) fn new(action: Action, out: W) -> Self {
        Self { action, meter: Meter::new(Duration::from_secs(5)), out: Mutex::new(out) }
    }

    fn line(&self, content: &Descriptor, text: &str) {
        if !content.is_document() {
            write_line(&self.out, &format!("{}: {text}", label(content)));
        }
    }
}

impl<W: Write + Send> Progress for Plain<W> {
    fn begin(&self, content: &Descriptor) {
        self.meter.begin(content);
        self.line(content, &format!("{} {}", self.action.doing(), units::size(content.size)));
    }

    fn advance(&self, content: &Descriptor, bytes: u64) {
        if let Some(moved) = self.meter.advance(content, bytes) {
            self.line(content, &format!("{} {}/{}", self.action.doing(), units::size(moved), units::size(content.size)));
        }
    }

    fn end(&self, content: &Descriptor, outcome: Outcome) {
        self.meter.end(content);
        self.line(content, self.action.ended(outcome));
    }

    fn note(&self, text: &str) {
        write_line(&self.out, &escape::visible(text));
    }
}

/// A JSON object on each line: `event` is `begin`, `progress`, `end` or `note`.
pub(super) struct Json<W> {
    meter: Meter,
    out: Mutex<W>,
}

impl<W: Write + Send> Json<W> {
    pub(super) fn new(out: W) -> Self {
        Self { meter: Meter::new(Duration::from_millis(200)), out: Mutex::new(out) }
    }

    fn event(&self, event: &str, content: &Descriptor, current: u64, outcome: Option<&str>) {
        let mut line = json!({
            "event": event,
            "digest": content.digest.to_string(),
            "mediaType": content.media_type,
            "total": content.size,
            "current": current,
        });
        if let Some(label) = content.annotations.get(LABEL) {
            line["label"] = label.as_str().into();
        }
        if let Some(outcome) = outcome {
            line["outcome"] = outcome.into();
        }
        write_line(&self.out, &escape::json(&line.to_string()));
    }
}

impl<W: Write + Send> Progress for Json<W> {
    fn begin(&self, content: &Descriptor) {
        self.meter.begin(content);
        self.event("begin", content, 0, None);
    }

    fn advance(&self, content: &Descriptor, bytes: u64) {
        if let Some(moved) = self.meter.advance(content, bytes) {
            self.event("progress", content, moved, None);
        }
    }

    fn end(&self, content: &Descriptor, outcome: Outcome) {
        let (current, outcome) = match outcome {
            Outcome::Copied => (self.meter.end(content), "copied"),
            Outcome::Present => (content.size, "present"),
            Outcome::Mounted => (content.size, "mounted"),
        };
        self.event("end", content, current, Some(outcome));
    }

    fn note(&self, text: &str) {
        let line = json!({ "event": "note", "text": text }).to_string();
        write_line(&self.out, &escape::json(&line));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use nacre_oci::media_type;

    fn tell(progress: &dyn Progress) {
        let layer = Descriptor::of(media_type::OCI_LAYER, b"layer");
        let manifest = Descriptor::of(media_type::OCI_MANIFEST, b"{}");
        for content in [&layer, &manifest] {
            progress.begin(content);
            progress.advance(content, 2);
            progress.advance(content, content.size - 2);
            progress.end(content, Outcome::Copied);
        }
        progress.end(&layer, Outcome::Present);
        progress.note("trying again\n\u{1b}[2J");
    }

    #[test]
    fn plain_lines() {
        let plain = Plain { action: Action::Pull, meter: Meter::new(Duration::ZERO), out: Mutex::new(Vec::new()) };
        tell(&plain);
        let text = String::from_utf8(plain.out.into_inner().unwrap()).unwrap();
        let short = Descriptor::of("", b"layer").digest.short().to_owned();
        let expected = "ID: Downloading 5B\nID: Downloading 2B/5B\nID: Downloading 5B/5B\nID: Pull complete\n\
                        ID: Already exists\ntrying again\\n\\x1b[2J\n";
        assert_eq!(text, expected.replace("ID", &short));
    }

    #[test]
    fn json_lines() {
        let events = Json { meter: Meter::new(Duration::ZERO), out: Mutex::new(Vec::new()) };
        tell(&events);
        let text = String::from_utf8(events.out.into_inner().unwrap()).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let kinds: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
        let blob = ["begin", "progress", "progress", "end"];
        assert_eq!(kinds, [&blob[..], &blob[..], &["end", "note"]].concat());
        assert_eq!(lines[1]["current"], 2);
        assert_eq!(lines[3]["outcome"], "copied");
        assert_eq!(lines[3]["current"], lines[3]["total"]);
        assert_eq!(lines[8]["outcome"], "present");
        assert_eq!(lines[9]["text"], "trying again\n\u{1b}[2J");
    }
}
