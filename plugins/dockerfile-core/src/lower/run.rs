//! `RUN`.

use nacre_sdk::Kv;
use nacre_sdk::graph::{BindMount, Exec, Mount, MountKind, Network, Operation};

use super::mounts::Mounts;
use super::stage::{Stage, Step};
use super::stop::{Lowered, Stop};
use super::vars::Vars;
use super::{Lowering, args, config, history, step};
use crate::expand::Expander;
use crate::syntax::{self, CommandLine, Mistake, Run, Security};

/// Where documents that are programs are mounted.
const PIPES: &str = "/dev/pipes/";

impl Lowering<'_> {
    pub(super) fn run(&mut self, stage: &mut Stage, step: &Step, run: &Run) -> Lowered<()> {
        let (line, program) = self.script(stage, run);
        let args = config::with_shell(&stage.image, &line);
        if args.is_empty() {
            return Err(Stop::mistake("no-command", "failed to marshal LLB definition: arguments are required"));
        }
        refuse(run)?;
        let network = self.network(run);
        let mut mounts = self.mounts(stage, step, run)?;
        mounts.mounts.extend(program);
        let label = self.run_label(stage, step, run, &mounts);
        let row = history::built(format!("RUN {}", history::command(&args, stage)), self.created());
        let exec = Exec {
            base: self.root(stage),
            args,
            env: pairs(&mounts.env(&stage.state.vars)),
            uncached_env: pairs(&args::proxy(&self.given)),
            secret_env: mounts.secret_env,
            cwd: Some(&stage.state.folder).filter(|folder| !folder.is_empty()).map_or_else(|| "/".into(), Clone::clone),
            user: stage.state.user.clone(),
            mounts: mounts.mounts,
            network,
            hostname: self.given.get("BUILDKIT_SANDBOX_HOSTNAME").cloned().unwrap_or_default(),
        };
        stage.state.node = Some(self.push(stage, step, Operation::Exec(exec), label));
        self.note_layer(stage, row)
    }

    /// What is run. A document is a program of its own if it begins with `#!`, else a script for the shell; other
    /// documents stand behind the line, for the shell to read.
    fn script(&mut self, stage: &Stage, run: &Run) -> (CommandLine, Option<Mount>) {
        let Some(document) = run.script() else { return (with_documents(run), None) };
        let content = document.chomped();
        if stage.image.os == "windows" || !content.starts_with("#!") {
            return (CommandLine::Shell(content), None);
        }
        let from = step::document(&mut self.graph, format!("/{}", document.name), 0o755, content);
        let bind = MountKind::Bind(BindMount { from, source: "/".into() });
        let mount = Mount { target: PIPES.into(), readonly: true, kind: bind };
        (CommandLine::Shell(format!("{PIPES}{}", document.name)), Some(mount))
    }

    /// Whether the host's network is allowed is not the frontend's to say.
    fn network(&self, run: &Run) -> Network {
        match run.network {
            syntax::Network::Default => self.request.network,
            syntax::Network::None => Network::None,
            syntax::Network::Host => Network::Host,
        }
    }

    /// The label has the variables' values, except those of secrets, and of a script its first line.
    fn run_label(&self, stage: &mut Stage, step: &Step, run: &Run, mounts: &Mounts) -> String {
        let mut vars = stage.state.vars.clone();
        mounts.secret_env.iter().for_each(|secret| vars.set(&secret.name, "****"));
        let summary = run.script().map(|document| format!(" ({})", summary(&document.content))).unwrap_or_default();
        let expander = Expander { raw_quotes: true, keep_unset: true, ..self.expander() };
        self.step_label(stage, step, expander, &summary, &vars)
    }
}

fn refuse(run: &Run) -> Lowered<()> {
    if run.security == Security::Insecure {
        let mistake = Mistake::new("security-not-allowed", "failed to load LLB: security.insecure is not allowed");
        return Err(Stop::Mistake(mistake.help("programs of a build run without privileges; leave out --security=insecure")));
    }
    if !run.devices.is_empty() {
        return Err(Stop::mistake("unsupported", "RUN --device is not supported: programs of a build get no devices"));
    }
    Ok(())
}

fn with_documents(run: &Run) -> CommandLine {
    match &run.line {
        CommandLine::Shell(line) => {
            let documents = run.heredocs.iter().map(|document| format!("\n{}{}", document.content, document.name));
            CommandLine::Shell(std::iter::once(line.clone()).chain(documents).collect())
        }
        exec => exec.clone(),
    }
}

fn summary(document: &str) -> String {
    let document = document.trim();
    let first = document.lines().next().unwrap_or_default();
    format!("{first}{}", if document.lines().nth(1).is_some() { "..." } else { "" })
}

fn pairs(vars: &Vars) -> Vec<Kv> {
    vars.iter().map(|(key, value)| Kv { key: key.into(), value: value.into() }).collect()
}
