//! `ARG`, and the variables that are there without one.

use std::collections::BTreeMap;

use super::expand::SCANNER_ARGS;
use super::stage::{Stage, Step};
use super::stop::{Lowered, Stop};
use super::vars::Vars;
use super::{Lowering, expand, history, platform};
use crate::lint::{Rule, is_secret};
use crate::syntax::{Argument, Command, Instruction, boolean};

/// Whether vertices show their platform: `BUILDKIT_MULTI_PLATFORM`, or several platforms.
pub(super) fn several_platforms(given: &BTreeMap<String, String>, count: usize) -> Lowered<bool> {
    let Some(text) = given.get("BUILDKIT_MULTI_PLATFORM").filter(|text| !text.is_empty()) else { return Ok(count > 1) };
    match boolean(text) {
        None => Err(Stop::mistake("bad-argument", format!("invalid boolean value for multi-platform: {text}"))),
        Some(false) if count > 1 => {
            Err(Stop::mistake("bad-argument", "conflicting config: returning multiple target platforms is not allowed"))
        }
        Some(several) => Ok(several),
    }
}

/// The variables that the user's proxy is told to programs with, both ways of writing them.
pub(super) fn proxy(given: &BTreeMap<String, String>) -> Vars {
    const NAMES: [&str; 5] = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];
    let value = |name: &str| given.iter().rfind(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone());
    let set = NAMES.into_iter().filter_map(|name| Some((name, value(name).filter(|value| !value.is_empty())?)));
    set.flat_map(|(name, value)| [(name.to_uppercase(), value.clone()), (name.into(), value)]).collect()
}

impl Lowering<'_> {
    /// What `FROM` can use: the platforms', and the `ARG`s above the first stage.
    pub(super) fn read_global_args(&mut self) -> Lowered<()> {
        let defaults = self.platform_args();
        let instructions = self.instructions;
        let above = || {
            instructions.iter().map_while(|instruction| match &instruction.command {
                Command::Arg(args) => Some((&**instruction, args.as_slice())),
                _ => None,
            })
        };
        self.check_defaults(defaults.clone(), above());
        self.global = defaults;
        for (instruction, args) in above() {
            for arg in args {
                let given = self.given.get(&arg.name).cloned();
                self.global = global_arg(self.expander(), std::mem::take(&mut self.global), arg, given)
                    .map_err(|stop| stop.at(&instruction.lines))?;
            }
        }
        Ok(())
    }

    /// The platforms' variables; the user may give other values.
    fn platform_args(&self) -> Vars {
        let (build, target) = (&self.platforms.build, &self.platforms.target);
        let last = self.instructions.iter().rev().find_map(|instruction| match &instruction.command {
            Command::From(from) => Some(from.name.clone().unwrap_or_default()),
            _ => None,
        });
        let stage = self.request.target.clone().or(last).filter(|name| !name.is_empty()).unwrap_or_else(|| "default".into());
        let variant = |platform: &nacre_sdk::Platform| platform.variant.clone().unwrap_or_default();
        let defaults = [
            ("BUILDPLATFORM", platform::format(build)),
            ("BUILDOS", build.os.clone()),
            ("BUILDOSVERSION", String::new()),
            ("BUILDARCH", build.arch.clone()),
            ("BUILDVARIANT", variant(build)),
            ("TARGETPLATFORM", platform::format(target)),
            ("TARGETOS", target.os.clone()),
            ("TARGETOSVERSION", String::new()),
            ("TARGETARCH", target.arch.clone()),
            ("TARGETVARIANT", variant(target)),
            ("TARGETSTAGE", stage),
        ];
        defaults.into_iter().map(|(name, value)| (name, self.given.get(name).cloned().unwrap_or(value))).collect()
    }

    /// Complains of a `FROM` that makes no sense unless the user gives arguments.
    fn check_defaults<'i>(&mut self, mut vars: Vars, above: impl Iterator<Item = (&'i Instruction, &'i [Argument])>) {
        let expander = self.expander();
        for arg in above.flat_map(|(_, args)| args) {
            let Ok(more) = global_arg(expander, vars, arg, None) else { return };
            vars = more;
        }
        for instruction in self.instructions {
            let Command::From(from) = &instruction.command else { continue };
            let Ok(base) = expand::with(expander, &from.base, &vars) else { return };
            if super::reference::Reference::parse(&base.text).is_err() {
                self.lint.warn_at(instruction, Rule::InvalidDefaultArgInFrom, Rule::invalid_default_arg_in_from(&from.base));
            }
        }
    }

    /// `ARG` in a stage.
    pub(super) fn arg(&mut self, stage: &mut Stage, step: &Step, args: &[Argument]) -> Lowered<()> {
        let mut shown = Vec::new();
        for arg in args {
            self.complain_of_secret(step, "ARG", &arg.name);
            let value = match (self.given.get(&arg.name), &arg.default) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(default)) => Some(self.word(stage, step, default)?),
                (None, None) => self.global.get(&arg.name).map(Into::into),
            };
            if let Some(value) = value.as_ref().filter(|_| !SCANNER_ARGS.contains(&arg.name.as_str())) {
                stage.state.vars.set(&arg.name, value);
            }
            shown.push(value.as_ref().map_or_else(|| arg.name.clone(), |value| format!("{}={value}", arg.name)));
            stage.args.push((arg.name.clone(), value));
        }
        stage.image.history.push(history::row(format!("ARG {}", shown.join(" ")), true, self.created()));
        Ok(())
    }

    /// Complains of what looks like a secret, which the history or the configuration would show.
    pub(super) fn complain_of_secret(&mut self, step: &Step, keyword: &str, name: &str) {
        if is_secret(name) {
            self.lint.warn_at(&step.instruction, Rule::SecretsUsedInArgOrEnv, Rule::secrets_used_in_arg_or_env(keyword, name));
        }
    }
}

/// Sets what an `ARG` above the first stage declares.
fn global_arg(expander: crate::expand::Expander, mut vars: Vars, arg: &Argument, given: Option<String>) -> Lowered<Vars> {
    let default = || arg.default.as_ref().map(|default| expand::with(expander, default, &vars).map(|expanded| expanded.text));
    let value = match given {
        Some(given) => Some(given),
        None => default().transpose()?,
    };
    if let Some(value) = value {
        vars.set(&arg.name, value);
    }
    Ok(vars)
}
