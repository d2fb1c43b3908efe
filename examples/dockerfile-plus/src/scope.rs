//! The variables that hold at a place, and the conditions that are about them.

use std::collections::BTreeMap;

use dockerfile_core::expand::Expander;
use dockerfile_core::syntax::{Argument, Command, Instruction, Mistake};
use nacre_sdk::Platform;
use nacre_sdk::frontend::Request;

type Vars = BTreeMap<String, String>;

/// What a word is expanded with.
pub struct Scope {
    expander: Expander,
    /// `--build-arg`
    given: Vars,
    /// The platform, and what `ARG` declares above the first `FROM`.
    global: Vars,
    /// What `ARG` declares in the stage.
    stage: Option<Vars>,
}

impl Scope {
    pub fn new(request: &Request, platform: &Platform) -> Scope {
        let given: Vars = request.args.iter().map(|arg| (arg.key.clone(), arg.value.clone())).collect();
        let variant = platform.variant.clone().unwrap_or_default();
        let name = [&platform.os, &platform.arch, &variant].map(String::as_str).join("/");
        let known = [
            ("TARGETPLATFORM", name.trim_end_matches('/').to_owned()),
            ("TARGETOS", platform.os.clone()),
            ("TARGETARCH", platform.arch.clone()),
            ("TARGETVARIANT", variant),
        ];
        let global = known.into_iter().map(|(name, value)| (name.to_owned(), given.get(name).cloned().unwrap_or(value))).collect();
        Scope { expander: Expander::new('\\'), given, global, stage: None }
    }

    /// What escapes a character in words.
    pub fn set_escape(&mut self, escape: char) {
        self.expander = Expander::new(escape);
    }

    /// Takes note of what an instruction says about variables.
    pub fn pass(&mut self, instruction: &Instruction) -> Result<(), Mistake> {
        match &instruction.command {
            Command::From(_) => self.stage = Some(Vars::new()),
            Command::Arg(args) => args.iter().try_for_each(|arg| self.declare(arg))?,
            _ => {}
        }
        Ok(())
    }

    fn declare(&mut self, arg: &Argument) -> Result<(), Mistake> {
        let value = match (self.given.get(&arg.name), &arg.default) {
            (Some(given), _) => Some(given.clone()),
            (None, Some(default)) => Some(self.word(default)?),
            (None, None) => self.global.get(&arg.name).cloned(),
        };
        let vars = self.stage.as_mut().unwrap_or(&mut self.global);
        value.map(|value| vars.insert(arg.name.clone(), value));
        Ok(())
    }

    /// A word with its variables' values and without its quotes.
    pub fn word(&self, word: &str) -> Result<String, Mistake> {
        let lookup = |name: &str| self.stage.as_ref().and_then(|vars| vars.get(name)).or_else(|| self.global.get(name)).cloned();
        Ok(self.expander.word(word.trim(), &lookup)?.text)
    }

    /// Whether what stands behind `IF` holds.
    pub fn holds(&self, condition: &str) -> Result<bool, Mistake> {
        let at = |operator| condition.find(operator).unwrap_or(usize::MAX);
        let (equal, unequal) = (at("=="), at("!="));
        if equal == unequal {
            if condition.is_empty() || condition.contains(char::is_whitespace) && !condition.starts_with('"') {
                return Err(Mistake::new("bad-condition", "IF takes one condition").help("write IF A == B, IF A != B, or IF A"));
            }
            let value = self.word(condition)?;
            return Ok(!["", "0", "false"].contains(&value.as_str()));
        }
        let place = equal.min(unequal);
        let same = self.word(&condition[..place])? == self.word(&condition[place + 2..])?;
        Ok(same == (equal < unequal))
    }
}
