//! Calls as they were made, for the author's kit: each a folder with `input.json` and `output.json`, which is a
//! golden case of `nacre plugin test`. Only calls that get data and return data are recorded: search filters, prune
//! policies, admission rules and frontends.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use crate::discover::Plugins;
use crate::error::{Error, Fault};
use crate::log::{Level, LogEntry};
use crate::plugin::Plugin;

impl Plugins {
    /// From now on calls leave a case below `folder`, each with the plugin's name and a number. A case that cannot be
    /// written is told of in the plugin's log.
    pub fn record(&self, folder: &Path) {
        self.list().for_each(|plugin| plugin.runtime.record(folder));
    }
}

impl Plugin {
    /// Records a call if calls are recorded.
    pub(crate) fn record<T: Serialize>(&self, input: impl FnOnce() -> Value, answer: Result<T, &Error>) {
        let Some(folder) = self.runtime.recording() else { return };
        let mut input = input();
        if self.settings != self.manifest.settings {
            input["settings"] = json!(self.settings);
        }
        let answer = match answer {
            Ok(answer) => Some(json!({ "ok": answer })),
            Err(Error::Plugin { fault: Fault::Guest(error), .. }) => Some(json!({ "err": error })),
            Err(_) => None,
        };
        if let Err(error) = write(folder, &self.name().replace('/', "-"), &input, answer.as_ref()) {
            let message = format!("the call cannot be recorded in {}: {error}", folder.display());
            self.note(LogEntry { level: Level::Warn, message, fields: Vec::new() });
        }
    }
}

/// Writes a case into the first folder `NAME-1`, `NAME-2`, … that is not there yet.
fn write(folder: &Path, name: &str, input: &Value, answer: Option<&Value>) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let case = free(folder, name)?;
    fs::write(case.join("input.json"), format!("{input:#}\n"))?;
    answer.map_or(Ok(()), |answer| fs::write(case.join("output.json"), format!("{answer:#}\n")))
}

fn free(folder: &Path, name: &str) -> io::Result<PathBuf> {
    for number in 1_u32.. {
        let case = folder.join(format!("{name}-{number}"));
        match fs::create_dir(&case) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| case),
        }
    }
    Err(io::Error::other("it is full"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn cases_are_numbered() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("cases");
        write(&below, "acme-x", &json!({"a": 1}), Some(&json!({"ok": []}))).unwrap();
        write(&below, "acme-x", &json!({"a": 2}), None).unwrap();
        assert_eq!(fs::read_to_string(below.join("acme-x-1/output.json")).unwrap(), "{\n  \"ok\": []\n}\n");
        assert_eq!(fs::read_to_string(below.join("acme-x-2/input.json")).unwrap(), "{\n  \"a\": 2\n}\n");
        assert!(!below.join("acme-x-2/output.json").exists());
    }
}
