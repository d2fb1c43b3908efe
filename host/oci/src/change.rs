//! Docker's `--change`: instructions of a Dockerfile that alter what a container starts with.
//!
//! `import` and `commit` take them. The rules are moby's (`builder/dockerfile/{builder,dispatchers}.go`) with BuildKit's
//! parser: the changes together are the lines of one Dockerfile, so a `\` continues a line and `#` begins a comment.

mod expand;
mod health;
mod lines;
mod ports;
mod signal;
mod words;

use serde_json::{Value, json};

use crate::{Error, Result, RunConfig, clean_path};
use lines::Line;

/// What an instruction says that is wrong.
type Outcome = std::result::Result<(), String>;

/// What does an instruction.
type Handler = fn(&mut Changing, &Line<'_>) -> Outcome;

/// The instructions that Docker takes as changes.
const INSTRUCTIONS: [(&str, Handler); 11] = [
    ("CMD", Changing::cmd),
    ("ENTRYPOINT", Changing::entrypoint),
    ("ENV", Changing::env),
    ("EXPOSE", Changing::expose),
    ("HEALTHCHECK", Changing::healthcheck),
    ("LABEL", Changing::label),
    ("ONBUILD", Changing::onbuild),
    ("STOPSIGNAL", Changing::stop_signal),
    ("USER", Changing::user),
    ("VOLUME", Changing::volume),
    ("WORKDIR", Changing::workdir),
];

/// Applies `changes` to `config`, in their order.
///
/// # Errors
/// [`Error::Unsupported`] for an instruction that is no change, [`Error::Malformed`] for one that is wrong; `config` is
/// as before then.
pub fn change(config: &mut RunConfig, changes: &[String]) -> Result<()> {
    let mut changing = Changing { config: config.clone(), cmd_given: false };
    for text in lines::join(changes) {
        let what = || format!("the change '{text}'");
        let line = Line::parse(&text);
        let Some((_, handler)) = INSTRUCTIONS.iter().find(|(name, _)| *name == line.instruction) else {
            let known = INSTRUCTIONS.map(|(name, _)| name).join(", ");
            return Err(Error::Unsupported { what: what(), why: format!("a change is one of {known}") });
        };
        handler(&mut changing, &line).map_err(|why| Error::malformed(what(), why))?;
    }
    *config = changing.config;
    Ok(())
}

struct Changing {
    config: RunConfig,
    /// An entrypoint drops the command that was there before, not the one that the user gave.
    cmd_given: bool,
}

impl Changing {
    fn cmd(&mut self, line: &Line<'_>) -> Outcome {
        line.no_flags()?;
        self.config.cmd = match words::json(line.rest)? {
            Some(list) => Some(list).filter(|list| !list.is_empty()),
            None => Some(self.in_shell(line.rest)),
        };
        self.cmd_given = true;
        Ok(())
    }

    fn entrypoint(&mut self, line: &Line<'_>) -> Outcome {
        line.no_flags()?;
        let list = match words::json(line.rest)? {
            Some(list) => list,
            None if line.rest.is_empty() => Vec::new(),
            None => self.in_shell(line.rest),
        };
        self.config.entrypoint = Some(list).filter(|list| !list.is_empty());
        if !self.cmd_given {
            self.config.cmd = None;
        }
        Ok(())
    }

    /// The command line that has the image's shell run `text`.
    fn in_shell(&self, text: &str) -> Vec<String> {
        let own = self.config.rest.get("Shell").and_then(Value::as_array).filter(|shell| !shell.is_empty());
        let own = own.map(|shell| shell.iter().filter_map(Value::as_str).map(str::to_owned).collect());
        let mut list: Vec<String> = own.unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()]);
        list.extend((!text.is_empty()).then(|| text.to_owned()));
        list
    }

    fn env(&mut self, line: &Line<'_>) -> Outcome {
        for (key, value) in self.pairs(line)? {
            let named = |one: &&mut String| one.split('=').next() == Some(&key);
            let text = format!("{key}={value}");
            match self.config.env.iter_mut().find(named) {
                Some(held) => *held = text,
                None => self.config.env.push(text),
            }
        }
        Ok(())
    }

    fn label(&mut self, line: &Line<'_>) -> Outcome {
        let pairs = self.pairs(line)?;
        self.config.labels.extend(pairs);
        Ok(())
    }

    /// The keys and values of a line, expanded with the environment before the line.
    fn pairs(&self, line: &Line<'_>) -> std::result::Result<Vec<(String, String)>, String> {
        line.no_flags()?;
        let pairs = words::pairs(&line.instruction, line.rest)?;
        pairs.iter().map(|(key, value)| Ok((self.expand(key)?, self.expand(value)?))).collect()
    }

    fn expand(&self, word: &str) -> std::result::Result<String, String> {
        expand::expand(word, &self.config.env)
    }

    fn expose(&mut self, line: &Line<'_>) -> Outcome {
        for word in line.some_words()? {
            for spec in self.expand(&word)?.split_whitespace() {
                self.config.exposed_ports.extend(ports::ports(spec)?.into_iter().map(|port| (port, json!({}))));
            }
        }
        Ok(())
    }

    fn healthcheck(&mut self, line: &Line<'_>) -> Outcome {
        self.config.rest.insert("Healthcheck".into(), health::check(line)?);
        Ok(())
    }

    fn onbuild(&mut self, line: &Line<'_>) -> Outcome {
        line.no_flags()?;
        let trigger = line.rest.split_whitespace().next().map(str::to_ascii_uppercase);
        match trigger.as_deref() {
            None => return Err("ONBUILD requires an instruction".into()),
            Some("ONBUILD") => return Err("an ONBUILD within an ONBUILD is not allowed".into()),
            Some(trigger @ ("FROM" | "MAINTAINER")) => return Err(format!("{trigger} is not allowed as an ONBUILD trigger")),
            Some(_) => {}
        }
        let triggers = self.config.rest.entry("OnBuild").or_insert(Value::Null);
        match triggers {
            Value::Array(list) => list.push(line.rest.into()),
            other => *other = json!([line.rest]),
        }
        Ok(())
    }

    fn stop_signal(&mut self, line: &Line<'_>) -> Outcome {
        let signal = self.expand(line.one_argument()?)?;
        signal::check(&signal)?;
        self.config.stop_signal = Some(signal);
        Ok(())
    }

    fn user(&mut self, line: &Line<'_>) -> Outcome {
        self.config.user = self.expand(line.one_argument()?)?;
        Ok(())
    }

    fn volume(&mut self, line: &Line<'_>) -> Outcome {
        for word in line.some_words()? {
            let path = self.expand(word.trim())?;
            if path.is_empty() {
                return Err("a volume's path is empty".into());
            }
            self.config.volumes.insert(path, json!({}));
        }
        Ok(())
    }

    /// A relative path starts where the one before ended; an absolute one stays as it was written.
    fn workdir(&mut self, line: &Line<'_>) -> Outcome {
        let path = self.expand(line.one_argument()?)?;
        if path.is_empty() {
            return Err("the path is empty".into());
        }
        self.config.working_dir = if path.starts_with('/') { path } else { clean_path(&format!("{}/{path}", self.config.working_dir)) };
        Ok(())
    }
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
