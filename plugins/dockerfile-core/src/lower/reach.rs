//! Which stages use which, and which are needed.

use std::collections::BTreeSet;

use super::Lowering;
use super::expand;
use super::stage::{Stage, Step};
use super::stop::{Lowered, Stop};
use super::vars::Vars;
use crate::syntax::{Command, Lines, Mistake};

impl Lowering<'_> {
    /// Finds what every instruction copies from or mounts.
    pub(super) fn find_sources(&mut self) -> Lowered<()> {
        for index in 0..self.stages.len() {
            if self.stages[index].replaced_by.is_some() {
                continue;
            }
            let mut steps = std::mem::take(&mut self.stages[index].steps);
            let found = self.find_steps_sources(index, &mut steps);
            self.stages[index].steps = steps;
            found?;
        }
        self.refuse_circles()?;
        if let [only] = &mut self.stages[..] {
            only.shown.clear();
        }
        Ok(())
    }

    /// Whether they use any stage at all.
    pub(super) fn find_steps_sources(&mut self, index: usize, steps: &mut [Step]) -> Lowered<bool> {
        let mut any = false;
        for step in steps {
            step.sources = self.sources(step).map_err(|stop| stop.at(step.lines()))?;
            for source in step.sources.iter().flatten() {
                any = true;
                self.stages[index].uses.push((*source, step.lines().clone()));
            }
        }
        Ok(any)
    }

    fn sources(&mut self, step: &Step) -> Lowered<Vec<Option<usize>>> {
        match step.command() {
            Command::Copy(copy) => Ok(copy.from.iter().map(|from| self.copied(step, from).map(Some)).collect::<Lowered<_>>()?),
            Command::Run(run) => {
                let names = run.mounts.iter().map(|mount| mount.from.as_deref().filter(|from| !from.is_empty()));
                Ok(names.map(|from| from.map(|from| self.stage_or_image(step, from))).collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The stage of a `COPY --from`, by number or name.
    fn copied(&mut self, step: &Step, from: &str) -> Lowered<usize> {
        if expand::with(self.expander(), from, &Vars::default())?.text != from {
            let message =
                "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround";
            return Err(Stop::mistake("variable-in-from", message));
        }
        let Ok(number) = from.parse::<i64>() else { return Ok(self.stage_or_image(step, from)) };
        let declared = self.stages.iter().filter(|stage| stage.declared).count();
        let index = usize::try_from(number).ok().filter(|index| *index < declared);
        index.ok_or_else(|| {
            let help = format!("the file has {declared} stages, counted from 0");
            Stop::Mistake(Mistake::new("unknown-stage", format!("invalid stage index {number}")).help(help))
        })
    }

    /// The stage of that name, or a new one that is the named context or the image.
    fn stage_or_image(&mut self, step: &Step, name: &str) -> usize {
        let known = self.stage_named(&name.to_lowercase());
        let known = known.or_else(|| self.stages.iter().position(|stage| !stage.declared && stage.base_name == name));
        known.unwrap_or_else(|| {
            self.stages.push(Stage { declared: false, ..Stage::new("", name, step.lines()) });
            self.stages.len() - 1
        })
    }

    /// A stage must not use itself, in whatever way.
    fn refuse_circles(&self) -> Lowered<()> {
        let mut visited = vec![false; self.stages.len()];
        for start in 0..self.stages.len() {
            if let Some(lines) = self.circle(start, &mut visited) {
                let message = format!("circular dependency detected on stage: {}", self.stages[start].shown);
                return Err(Stop::mistake("circular-stages", message).at(&lines));
            }
        }
        Ok(())
    }

    /// Walks in depth; where the walk meets its own way is a circle. Tells the first use on that way.
    fn circle(&self, start: usize, visited: &mut [bool]) -> Option<Lines> {
        let mut way: Vec<(usize, usize)> = Vec::new();
        if !std::mem::replace(&mut visited[start], true) {
            way.push((start, 0));
        }
        while let Some((stage, next)) = way.last_mut() {
            let Some((used, _)) = self.stages[*stage].uses.get(*next) else {
                way.pop();
                continue;
            };
            *next += 1;
            if way.iter().any(|(stage, _)| stage == used) {
                let (first, next) = way[0];
                return Some(self.stages[first].uses[next - 1].1.clone());
            }
            if !std::mem::replace(&mut visited[*used], true) {
                way.push((*used, 0));
            }
        }
        None
    }

    /// The stages that this one needs, itself among them; all of the file for a check without a target.
    pub(super) fn needed(&self, target: usize) -> BTreeSet<usize> {
        let all = self.request.check && self.request.target.is_none();
        let mut waiting: Vec<usize> = if all { (0..self.stages.len()).collect() } else { vec![target] };
        let mut needed = BTreeSet::new();
        while let Some(index) = waiting.pop() {
            if needed.insert(index) {
                waiting.extend(self.stages[index].base);
                waiting.extend(self.stages[index].uses.iter().map(|(used, _)| *used));
            }
        }
        needed
    }

    /// The root filesystem of a stage that something is copied from or mounted of.
    pub(super) fn source_state(&self, index: usize, refuse: impl FnOnce() -> String) -> Lowered<Option<nacre_sdk::graph::Node>> {
        let stage = &self.stages[index];
        match stage.done {
            true => Ok(stage.state.node),
            false => Err(Stop::mistake("stage-too-late", refuse())),
        }
    }
}
