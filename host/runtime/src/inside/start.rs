//! The OCI runtime, run over a container's configuration.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nacre_layer::remove_tree;
use nacre_oci::{Error, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    inside::{
        folder::{Folder, Place},
        groups,
    },
    sandbox::Status,
};

/// A line of the runtime's log.
#[derive(Deserialize)]
struct Line {
    level: String,
    msg: String,
}

/// The OCI runtime, for one container.
pub(crate) struct Oci {
    program: PathBuf,
    state: PathBuf,
    /// A folder of a tmpfs: the configuration may hold secrets. It is the container's bundle.
    pub(crate) memory: PathBuf,
    /// The container's name for the runtime.
    pub(crate) id: String,
}

impl Oci {
    /// The one for the container that is run in a folder, over a bundle with this configuration.
    pub(crate) fn new(spec: &Value, memory: &Path, folder: &Folder, place: &Place) -> Result<Self> {
        fs::write(memory.join("config.json"), spec.to_string()).map_err(Error::io("write the container's configuration"))?;
        Ok(Self { program: place.runtime.clone(), state: folder.make("state")?, memory: memory.into(), id: folder.id().into() })
    }

    /// Runs the container until it ends.
    pub(crate) fn run(&self) -> Result<Status> {
        let (code, complaint) = self.call("log", |command| {
            command.args(["run", "--bundle"]).arg(&self.memory).arg(&self.id).stdin(Stdio::null());
            Ok(())
        })?;
        Ok(match complaint {
            Some(why) => Status::NotStarted { code: shell_code(&why), why },
            None => Status::Exited(code),
        })
    }

    /// One of the runtime's commands that print nothing.
    ///
    /// # Errors
    /// In the runtime's words.
    pub(crate) fn order(&self, words: &[&str]) -> Result<()> {
        let log = format!("{}.log", words[0]);
        let (code, complaint) = self.call(&log, |command| {
            command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            Ok(())
        })?;
        match complaint {
            Some(why) => Err(Error::Other(why.into())),
            None if code != 0 => Err(Error::Other(format!("{} {} failed", self.program.display(), words[0]).into())),
            None => Ok(()),
        }
    }

    /// Deletes what the runtime keeps of the container, if it keeps anything.
    pub(crate) fn delete(&self) {
        let state = self.state.join(&self.id);
        // All but control groups go with this run's folder; to start the runtime takes longer than most programs.
        if !state.exists() {
            return;
        }
        if groups::noted(&state).is_some_and(|groups| groups::delete_all(&groups)) {
            let _ = remove_tree(&state);
        } else {
            let _ = self.order(&["delete", "--force", &self.id]);
            // It knows of none if it was killed before it wrote them down.
            groups::delete(self.id.as_ref());
        }
    }

    /// One of the runtime's commands, with a log of this name. Returns its exit code, and what it complained about if that
    /// is not 0: then the command was not carried out.
    pub(crate) fn call(&self, log: &str, with: impl FnOnce(&mut Command) -> std::io::Result<()>) -> Result<(u8, Option<String>)> {
        let doing = || Error::io(format!("start {}", self.program.display()));
        let log = self.memory.join(log);
        let mut command = Command::new(&self.program);
        command.arg("--log").arg(&log).args(["--log-format", "json"]).arg("--root").arg(&self.state);
        // Runtimes look for their own helpers and folders; nothing of this reaches the program.
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("XDG_RUNTIME_DIR", &self.memory);
        with(&mut command).map_err(doing())?;
        let ended = command.status().map_err(doing())?;
        let code = ended.code().and_then(|code| u8::try_from(code).ok()).unwrap_or_else(|| 128 + ended.signal().unwrap_or(0) as u8);
        let lines = fs::read_to_string(&log).unwrap_or_default();
        let _ = fs::remove_file(log);
        Ok((code, complaint(&lines).filter(|_| code != 0)))
    }
}

/// The last error that the runtime has logged: it had one of its own, so the program did not run.
fn complaint(log: &str) -> Option<String> {
    let mut lines = log.lines().rev().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines.find(|line| matches!(line.level.as_str(), "error" | "fatal")).map(|line| line.msg)
}

/// What a shell would give: 127 if the program is not there, else 126.
pub(crate) fn shell_code(why: &str) -> u8 {
    let missing = ["no such file or directory", "executable file not found", "not found in $PATH"];
    if why.contains("exec") && missing.iter().any(|words| why.to_lowercase().contains(&words.to_lowercase())) { 127 } else { 126 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn only_errors_are_complaints() {
        let warning = r#"{"level":"warning","msg":"hm"}"#;
        let error = r#"{"level":"error","msg":"exec: \"/no\": stat /no: no such file or directory"}"#;
        assert_eq!(complaint(warning), None);
        let why = complaint(&format!("{warning}\n{error}\nno json\n")).unwrap();
        assert_eq!(shell_code(&why), 127);
        assert_eq!(shell_code(r#"exec: "/etc/passwd": permission denied"#), 126);
        assert_eq!(shell_code("mount /x: no such file or directory"), 126);
    }
}
