//! `ONBUILD`: what an image or a stage wants done first by what is built on it.

use std::rc::Rc;

use super::Lowering;
use super::stage::{Stage, Step};
use super::stop::{Lowered, Stop};
use crate::syntax::{Command, parse_trigger};

impl Lowering<'_> {
    /// Puts what the base of a stage triggers in front of its instructions. Whether that uses other stages.
    pub(super) fn put_triggers_in_front(&mut self, index: usize) -> Lowered<bool> {
        let triggers = self.triggers(index);
        // Nothing is built on what is only copied from.
        if triggers.is_empty() || self.stages[index].done {
            return Ok(false);
        }
        let lines = self.stages[index].lines.clone();
        let mut steps = Vec::new();
        for trigger in &triggers {
            let instruction = parse_trigger(trigger, &lines).map_err(|mistake| Stop::from(mistake).at(&lines))?;
            steps.push(Step { trigger: true, ..Step::new(Rc::new(instruction)) });
        }
        let more = self.find_steps_sources(index, &mut steps).map_err(|stop| stop.at(&lines))?;
        let stage = &mut self.stages[index];
        stage.total += steps.len();
        stage.steps.splice(0..0, steps);
        Ok(more)
    }

    /// The triggers of the image or of the stage that it is built on, the first time that it is asked.
    fn triggers(&mut self, index: usize) -> Vec<String> {
        let stage = &mut self.stages[index];
        let mut triggers = std::mem::take(&mut stage.image.config.on_build);
        let base = stage.base.filter(|_| !std::mem::replace(&mut stage.triggered, true));
        if let Some(base) = base {
            triggers.extend(own_triggers(&self.stages[base]));
        }
        triggers
    }
}

fn own_triggers(stage: &Stage) -> impl Iterator<Item = String> {
    stage.steps.iter().filter_map(|step| match step.command() {
        Command::Onbuild(trigger) => Some(trigger.clone()),
        _ => None,
    })
}
