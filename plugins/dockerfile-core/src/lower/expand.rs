//! Variables in an instruction's words, and complaints about those that are not set.

use std::collections::BTreeSet;

use super::Lowering;
use super::stage::{Stage, Step};
use super::vars::Vars;
use crate::expand::{Expanded, Expander};
use crate::lint::Rule;
use crate::syntax::Mistake;

/// What BuildKit's scanner for SBOMs reads; they are no variables of programs.
pub(super) const SCANNER_ARGS: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// Expands a word with these variables.
pub(super) fn with(expander: Expander, word: &str, vars: &Vars) -> Result<Expanded, Mistake> {
    expander.word(word, &|name| vars.get(name).map(Into::into))
}

impl Lowering<'_> {
    pub(super) fn expander(&self) -> Expander {
        Expander::new(self.escape)
    }

    /// A word with the stage's variables.
    pub(super) fn word(&mut self, stage: &Stage, step: &Step, word: &str) -> Result<String, Mistake> {
        self.expanded(self.expander(), stage, step, word)
    }

    /// A document behind an instruction with the stage's variables.
    pub(super) fn document(&mut self, stage: &Stage, step: &Step, text: &str) -> Result<String, Mistake> {
        self.expanded(Expander::document(), stage, step, text)
    }

    fn expanded(&mut self, expander: Expander, stage: &Stage, step: &Step, word: &str) -> Result<String, Mistake> {
        let expanded = with(expander, word, &stage.state.vars)?;
        self.complain_of_missing(stage, step, &expanded.missing);
        Ok(expanded.text)
    }

    fn complain_of_missing(&mut self, stage: &Stage, step: &Step, missing: &BTreeSet<String>) {
        let declared = |name: &&String| stage.args.iter().any(|(arg, _)| arg == *name) || SCANNER_ARGS.contains(&name.as_str());
        let known: Vec<&str> = stage.state.vars.names().collect();
        for name in missing.iter().filter(|name| !declared(name)) {
            self.lint.warn_at(&step.instruction, Rule::UndefinedVar, Rule::undefined_var(name, &known));
        }
    }
}
