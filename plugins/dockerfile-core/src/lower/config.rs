//! Instructions that change the configuration: how containers run, and what later instructions start from.

use nacre_sdk::graph::{Action, MakeFolder};

use super::image::{Empty, Healthcheck, Image};
use super::stage::{Stage, Step};
use super::stop::{Lowered, Stop};
use super::{Lowering, access, go, history, paths, ports, signal, step};
use crate::lint::Rule;
use crate::syntax::{self, CommandLine, Lines, Pair};

impl Lowering<'_> {
    pub(super) fn env(&mut self, stage: &mut Stage, step: &Step, pairs: &[Pair]) -> Lowered<()> {
        let pairs = self.pairs(stage, step, pairs)?;
        for (name, value) in &pairs {
            self.complain_of_secret(step, "ENV", name);
            stage.state.vars.set(name, value);
            stage.image.set_env(name, value);
        }
        self.note(stage, format!("ENV{}", joined(&pairs)))
    }

    pub(super) fn label_image(&mut self, stage: &mut Stage, step: &Step, pairs: &[Pair]) -> Lowered<()> {
        let pairs = self.pairs(stage, step, pairs)?;
        stage.image.config.labels.extend(pairs.iter().cloned());
        self.note(stage, format!("LABEL{}", joined(&pairs)))
    }

    /// All of them with the variables that hold before the first.
    fn pairs(&mut self, stage: &Stage, step: &Step, pairs: &[Pair]) -> Lowered<Vec<(String, String)>> {
        if pairs.iter().any(|pair| pair.legacy) {
            let keyword = &step.instruction.keyword;
            self.lint.warn_at(&step.instruction, Rule::LegacyKeyValueFormat, Rule::legacy_key_value_format(keyword));
        }
        let mut expanded = Vec::new();
        for pair in pairs {
            expanded.push((self.word(stage, step, &pair.key)?, self.word(stage, step, &pair.value)?));
        }
        Ok(expanded)
    }

    pub(super) fn maintainer(&mut self, stage: &mut Stage, name: &str) -> Lowered<()> {
        stage.image.author = name.into();
        self.note(stage, format!("MAINTAINER {name}"))
    }

    pub(super) fn cmd(&mut self, stage: &mut Stage, step: &Step, line: &CommandLine) -> Lowered<()> {
        self.complain_of_repetition(step, stage.cmd.replace(step.lines().clone()));
        let args = self.command_line(&stage.image, step, line);
        stage.image.config.args_escaped = true;
        let row = format!("CMD {}", go::quoted_list(&args));
        stage.image.config.cmd = args;
        self.note(stage, row)
    }

    /// It replaces the base's `CMD`, but not the stage's own.
    pub(super) fn entrypoint(&mut self, stage: &mut Stage, step: &Step, line: &CommandLine) -> Lowered<()> {
        self.complain_of_repetition(step, stage.entrypoint.replace(step.lines().clone()));
        let args = self.command_line(&stage.image, step, line);
        let row = format!("ENTRYPOINT {}", go::quoted_list(&args));
        stage.image.config.entrypoint = args;
        if stage.cmd.is_none() {
            stage.image.config.cmd.clear();
        }
        self.note(stage, row)
    }

    fn command_line(&mut self, image: &Image, step: &Step, line: &CommandLine) -> Vec<String> {
        if matches!(line, CommandLine::Shell(_)) && image.config.shell.is_empty() {
            let keyword = &step.instruction.keyword;
            self.lint.warn_at(&step.instruction, Rule::JSONArgsRecommended, Rule::json_args_recommended(keyword));
        }
        with_shell(image, line)
    }

    /// Only the last one counts; the one before it is told.
    fn complain_of_repetition(&mut self, step: &Step, before: Option<Lines>) {
        let Some(lines) = before else { return };
        let message = Rule::multiple_instructions_disallowed(&step.instruction.keyword);
        self.lint.warn_within(&step.instruction, &lines, Rule::MultipleInstructionsDisallowed, message);
    }

    pub(super) fn shell(&mut self, stage: &mut Stage, words: &[String]) -> Lowered<()> {
        stage.image.config.shell = words.to_vec();
        self.note(stage, format!("SHELL {}", go::list(words)))
    }

    pub(super) fn user(&mut self, stage: &mut Stage, step: &Step, user: &str) -> Lowered<()> {
        let user = self.word(stage, step, user)?;
        let row = format!("USER {user}");
        stage.image.config.user.clone_from(&user);
        stage.state.user = user;
        self.note(stage, row)
    }

    pub(super) fn volume(&mut self, stage: &mut Stage, step: &Step, volumes: &[String]) -> Lowered<()> {
        let volumes = volumes.iter().map(|path| self.word(stage, step, path)).collect::<Result<Vec<_>, _>>()?;
        if volumes.iter().any(String::is_empty) {
            return Err(Stop::mistake("blank-volume", "VOLUME specified can not be an empty string"));
        }
        let row = format!("VOLUME {}", go::list(&volumes));
        stage.image.config.volumes.extend(volumes.into_iter().map(|path| (path, Empty {})));
        self.note(stage, row)
    }

    pub(super) fn stop_signal(&mut self, stage: &mut Stage, step: &Step, text: &str) -> Lowered<()> {
        let text = self.word(stage, step, text)?;
        signal::check(&text).map_err(|error| Stop::mistake("bad-signal", error))?;
        let row = format!("STOPSIGNAL {text}");
        stage.image.config.stop_signal = text;
        self.note(stage, row)
    }

    pub(super) fn expose(&mut self, stage: &mut Stage, step: &Step, words: &[String]) -> Lowered<()> {
        let mut exposed = Vec::new();
        for word in words {
            let lookup = |name: &str| stage.state.vars.get(name).map(Into::into);
            for word in self.expander().words(word, &lookup)? {
                let ports = ports::parse(&word).map_err(|error| Stop::mistake("bad-port", error))?;
                self.complain_of_ports(step, &word, &ports);
                exposed.extend(ports.ports);
            }
        }
        let row = format!("EXPOSE {}", go::list(&exposed));
        stage.image.config.exposed_ports.extend(exposed.into_iter().map(|port| (port, Empty {})));
        self.note(stage, row)
    }

    fn complain_of_ports(&mut self, step: &Step, word: &str, ports: &ports::Ports) {
        if ports.odd_case {
            self.lint.warn_at(&step.instruction, Rule::ExposeProtoCasing, Rule::expose_proto_casing(word));
        }
        if ports.mapping {
            self.lint.warn_at(&step.instruction, Rule::ExposeInvalidFormat, Rule::expose_invalid_format(word));
        }
    }

    pub(super) fn healthcheck(&mut self, stage: &mut Stage, step: &Step, check: &syntax::Healthcheck) -> Lowered<()> {
        self.complain_of_repetition(step, stage.healthcheck.replace(step.lines().clone()));
        let check = configured(check);
        let row = shown(&check);
        stage.image.config.healthcheck = Some(check);
        self.note(stage, row)
    }

    /// Makes the folder too, unless it is the root. It belongs to `USER`.
    pub(super) fn workdir(&mut self, stage: &mut Stage, step: &Step, path: &str) -> Lowered<()> {
        let path = self.word(stage, step, path)?;
        if !std::mem::replace(&mut stage.workdir_set, true) && !path.starts_with('/') {
            self.lint.warn_at(&step.instruction, Rule::WorkdirRelativePath, Rule::workdir_relative_path(&path));
        }
        stage.set_folder(&path);
        let row = format!("WORKDIR {}", stage.state.folder);
        if stage.state.folder == "/" {
            return self.note(stage, row);
        }
        let vars = stage.state.vars.clone();
        let label = self.step_label(stage, step, self.expander(), "", &vars);
        let user = Some(&stage.image.config.user).filter(|user| !user.is_empty());
        let owner = user.map(|user| access::owner(user));
        let folder = MakeFolder { path: paths::clean(&stage.state.folder), mode: 0o755, parents: true, owner };
        let operation = step::file(self.root(stage), vec![Action::MakeFolder(folder)]);
        let at = Some(self.place(step.lines()));
        stage.state.node = Some(self.graph.push(operation, label, at));
        self.note_layer(stage, history::row(row, false, self.created()))
    }
}

impl Stage {
    /// Sets the working folder; a relative one is seen from the one before. An absolute one stays as it is written.
    pub(super) fn set_folder(&mut self, path: &str) {
        let config = &mut self.image.config;
        let before = if config.working_dir.is_empty() { "/" } else { &config.working_dir };
        config.working_dir = match path {
            "" if before.starts_with('/') => before.into(),
            path if path.starts_with('/') => path.into(),
            path => paths::join(before, path),
        };
        self.state.folder.clone_from(&config.working_dir);
    }
}

/// A command line as it is run.
pub(super) fn with_shell(image: &Image, line: &CommandLine) -> Vec<String> {
    match line {
        CommandLine::Exec(words) => words.clone(),
        CommandLine::Shell(text) => {
            let mut words = image.shell();
            words.push(text.clone());
            words
        }
    }
}

fn joined(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(key, value)| format!(" {key}={value}")).collect()
}

fn configured(check: &syntax::Healthcheck) -> Healthcheck {
    let syntax::Healthcheck::Check(check) = check else { return Healthcheck { test: vec!["NONE".into()], ..Healthcheck::default() } };
    let test = match &check.test {
        CommandLine::Exec(words) => [vec!["CMD".to_string()], words.clone()].concat(),
        CommandLine::Shell(text) => vec!["CMD-SHELL".into(), text.clone()],
    };
    Healthcheck {
        test,
        interval: check.interval.cast_signed(),
        timeout: check.timeout.cast_signed(),
        start_period: check.start_period.cast_signed(),
        start_interval: check.start_interval.cast_signed(),
        retries: check.retries.into(),
    }
}

fn shown(check: &Healthcheck) -> String {
    format!(
        "HEALTHCHECK {{Test:{} Interval:{} Timeout:{} StartPeriod:{} StartInterval:{} Retries:{}}}",
        go::list(&check.test),
        go::duration(check.interval.unsigned_abs()),
        go::duration(check.timeout.unsigned_abs()),
        go::duration(check.start_period.unsigned_abs()),
        go::duration(check.start_interval.unsigned_abs()),
        check.retries
    )
}
