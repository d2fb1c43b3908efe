//! `FROM`: the stages of the file.

use std::rc::Rc;

use nacre_sdk::Platform;

use super::stage::{Stage, Step};
use super::stop::{Lowered, Stop};
use super::{Lowering, expand, platform};
use crate::expand::Expanded;
use crate::lint::Rule;
use crate::syntax::{Command, From, Instruction, Mistake, did_you_mean, quoted};

/// The name of the empty image.
pub(super) const SCRATCH: &str = "scratch";

impl Lowering<'_> {
    /// Reads all stages, with their instructions.
    pub(super) fn read_stages(&mut self) -> Lowered<()> {
        let instructions = self.instructions;
        let starts = instructions.iter().position(|instruction| matches!(instruction.command, Command::From(_)));
        for instruction in &instructions[starts.unwrap_or(instructions.len())..] {
            match &instruction.command {
                Command::From(from) => {
                    let stage = self.stage(instruction, from).map_err(|stop| stop.at(&instruction.lines))?;
                    self.stages.push(stage);
                }
                _ => self.stages.last_mut().into_iter().for_each(|stage| stage.steps.push(Step::new(Rc::clone(instruction)))),
            }
        }
        for stage in &mut self.stages {
            let own = usize::from(stage.base_name != SCRATCH && stage.base.is_none());
            stage.total = own + stage.steps.iter().filter(|step| step.is_counted()).count();
        }
        Ok(())
    }

    fn stage(&mut self, instruction: &Instruction, from: &From) -> Lowered<Stage> {
        let base = expand::with(self.expander(), &from.base, &self.global)?;
        self.complain_of_undeclared(instruction, &base);
        if base.text.is_empty() {
            return Err(Stop::mistake("blank-base", format!("base name ({}) should not be blank", from.base)));
        }
        let name = from.name.as_deref().unwrap_or_default();
        let mut stage = Stage::new(name, &base.text, &instruction.lines);
        stage.platform = from.platform.as_deref().map(|text| self.stage_platform(instruction, name, text)).transpose()?;
        stage.fresh = self.is_fresh(name);
        if name.is_empty() {
            stage.shown = format!("stage-{}", self.stages.len());
            stage.base = self.stage_named(&base.text);
            return Ok(stage);
        }
        let platform = stage.platform.as_ref().unwrap_or(&self.platforms.target);
        stage.replaced_by = self.named_context(name, platform)?.map(|context| context.name.clone());
        if stage.replaced_by.is_none() {
            stage.base = self.stage_named(&base.text);
        }
        Ok(stage)
    }

    /// The last stage of this name, which is in lower case.
    pub(super) fn stage_named(&self, name: &str) -> Option<usize> {
        self.stages.iter().rposition(|stage| !stage.name.is_empty() && stage.name == name)
    }

    fn is_fresh(&self, name: &str) -> bool {
        use nacre_sdk::frontend::Fresh;
        match &self.request.fresh {
            Fresh::None => false,
            Fresh::All => true,
            Fresh::Stages(stages) => stages.iter().any(|stage| stage.eq_ignore_ascii_case(name)),
        }
    }

    /// `--platform`
    fn stage_platform(&mut self, instruction: &Instruction, name: &str, text: &str) -> Lowered<Platform> {
        let expanded = expand::with(self.expander(), text, &self.global)?;
        self.complain_of_undeclared(instruction, &expanded);
        let hint = || {
            let known: Vec<&str> = self.global.names().collect();
            expanded.missing.iter().map(|name| did_you_mean(name, &known, true)).find(|hint| !hint.is_empty()).unwrap_or_default()
        };
        if expanded.text.is_empty() {
            let mistake = Mistake::new("bad-platform", format!("empty platform value from expression {text}{}", hint()));
            return Err(Stop::Mistake(mistake.help("give the argument a default, or a value with --build-arg")));
        }
        let platform = platform::parse(&expanded.text, &self.platforms.build)
            .map_err(|error| Stop::mistake("bad-platform", format!("failed to parse platform {text}: {error}{}", hint())))?;
        self.complain_of_platform(instruction, name, text, &expanded, &platform);
        Ok(platform)
    }

    fn complain_of_undeclared(&mut self, instruction: &Instruction, expanded: &Expanded) {
        let mut known: Vec<&str> = self.global.names().collect();
        let above = self.instructions.iter().map_while(|instruction| match &instruction.command {
            Command::Arg(args) => Some(args),
            _ => None,
        });
        known.extend(above.flatten().map(|arg| arg.name.as_str()));
        for name in expanded.missing.iter().filter(|name| !known.contains(&name.as_str())) {
            self.lint.warn_at(instruction, Rule::UndefinedArgInFrom, Rule::undefined_arg_in_from(name, &known));
        }
    }

    /// Complains of `--platform=$TARGETPLATFORM`, which goes without saying, and of a fixed one.
    fn complain_of_platform(&mut self, instruction: &Instruction, name: &str, text: &str, expanded: &Expanded, platform: &Platform) {
        let is_target = expanded.found.iter().eq(["TARGETPLATFORM"]) && expanded.missing.is_empty();
        if is_target && self.global.get("TARGETPLATFORM") == Some(&expanded.text) {
            self.lint.warn_at(instruction, Rule::RedundantTargetPlatform, Rule::redundant_target_platform(text));
        }
        let is_fixed = expanded.found.is_empty() && expanded.missing.is_empty();
        if is_fixed && !name.contains(&platform.os) && !name.contains(&platform.arch) {
            let message = Rule::from_platform_flag_const_disallowed(&expanded.text);
            self.lint.warn_at(instruction, Rule::FromPlatformFlagConstDisallowed, message);
        }
    }

    /// The stage to build: the last one, or the one of this name.
    pub(super) fn target(&self) -> Lowered<usize> {
        let Some(name) = self.request.target.as_deref().filter(|name| !name.is_empty()) else { return Ok(self.stages.len() - 1) };
        self.stage_named(&name.to_lowercase()).ok_or_else(|| {
            let names: Vec<&str> = self.stages.iter().map(|stage| stage.shown.as_str()).filter(|name| !name.is_empty()).collect();
            let message = format!("target stage {} could not be found{}", quoted(name), did_you_mean(name, &names, true));
            let named: Vec<&str> = self.stages.iter().map(|stage| stage.name.as_str()).filter(|name| !name.is_empty()).collect();
            let help = if named.is_empty() { "no stage has a name".into() } else { format!("stages with a name: {}", named.join(", ")) };
            Stop::Mistake(Mistake::new("unknown-target", message).help(help))
        })
    }
}
