//! The instructions of stages, one after the other.

use std::collections::BTreeSet;

use nacre_sdk::graph::{Action, File, Graph, Node, Operation};

use super::image::Row;
use super::stage::{Stage, Step};
use super::stop::Lowered;
use super::{Lowering, history};
use crate::syntax::Command;

impl Lowering<'_> {
    /// Carries out the stages that are needed, in the order of the file: a stage can only use those before it.
    pub(super) fn carry_out(&mut self, needed: &BTreeSet<usize>) -> Lowered<()> {
        for index in needed {
            if self.stages[*index].done {
                continue;
            }
            let mut stage = std::mem::take(&mut self.stages[*index]);
            if let Some(base) = stage.base {
                stage.inherit(&self.stages[base]);
            }
            self.begin(&mut stage);
            for step in std::mem::take(&mut stage.steps) {
                self.step(&mut stage, &step).map_err(|stop| stop.at(step.lines()))?;
            }
            stage.done = true;
            self.stages[*index] = stage;
        }
        Ok(())
    }

    /// What the base's configuration says holds for the instructions too.
    fn begin(&mut self, stage: &mut Stage) {
        stage.platform.get_or_insert_with(|| self.platforms.target.clone());
        stage.image.set_path();
        for (name, value) in stage.image.env() {
            stage.state.vars.set(name, value);
        }
        if !stage.image.config.working_dir.is_empty() {
            let folder = stage.image.config.working_dir.clone();
            stage.set_folder(&folder);
        }
        if !stage.image.config.user.is_empty() {
            stage.state.user = stage.image.config.user.clone();
        }
    }

    fn step(&mut self, stage: &mut Stage, step: &Step) -> Lowered<()> {
        match step.command() {
            Command::From(_) => Ok(()),
            Command::Arg(args) => self.arg(stage, step, args),
            Command::Env(pairs) => self.env(stage, step, pairs),
            Command::Label(pairs) => self.label_image(stage, step, pairs),
            Command::Maintainer(name) => self.maintainer(stage, name),
            Command::Run(run) => self.run(stage, step, run),
            Command::Copy(copy) => self.copy(stage, step, copy),
            Command::Add(add) => self.add(stage, step, add),
            Command::Cmd(line) => self.cmd(stage, step, line),
            Command::Entrypoint(line) => self.entrypoint(stage, step, line),
            Command::Shell(words) => self.shell(stage, words),
            Command::Workdir(path) => self.workdir(stage, step, path),
            Command::User(user) => self.user(stage, step, user),
            Command::Expose(words) => self.expose(stage, step, words),
            Command::Volume(paths) => self.volume(stage, step, paths),
            Command::StopSignal(signal) => self.stop_signal(stage, step, signal),
            Command::Healthcheck(check) => self.healthcheck(stage, step, check),
            Command::Onbuild(trigger) => {
                stage.image.config.on_build.push(trigger.clone());
                Ok(())
            }
        }
    }

    /// Adds a row to the history for what changes the configuration only.
    pub(super) fn note(&self, stage: &mut Stage, created_by: String) -> Lowered<()> {
        stage.image.history.push(history::row(created_by, true, self.created()));
        Ok(())
    }

    /// Adds a row for what makes a layer.
    pub(super) fn note_layer(&self, stage: &mut Stage, row: Row) -> Lowered<()> {
        stage.image.history.push(row);
        Ok(())
    }

    /// The root filesystem so far.
    pub(super) fn root(&mut self, stage: &Stage) -> Node {
        stage.state.node.unwrap_or_else(|| self.graph.scratch())
    }

    /// Adds an operation of an instruction, which is done anew if the user wants that of its stage.
    pub(super) fn push(&mut self, stage: &Stage, step: &Step, operation: Operation, label: String) -> Node {
        let at = Some(self.place(step.lines()));
        self.graph.no_cache(stage.fresh);
        let node = self.graph.push(operation, label, at);
        self.graph.no_cache(false);
        node
    }
}

/// Changes to the files of `base`.
pub(super) fn file(base: Node, actions: Vec<Action>) -> Operation {
    Operation::File(File { base, actions })
}

/// A root filesystem with nothing but this file.
pub(super) fn document(graph: &mut Graph, path: String, mode: u32, content: String) -> Node {
    use nacre_sdk::graph::MakeFile;
    let scratch = graph.scratch();
    let make = MakeFile { path, content: content.into_bytes(), mode, owner: None };
    graph.file(scratch, vec![Action::MakeFile(make)], "[internal] preparing inline document", None)
}
