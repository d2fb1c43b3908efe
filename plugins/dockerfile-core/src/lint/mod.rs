//! What is no error but should not be so: BuildKit's rules.
//!
//! What a file alone shows is checked when it is read. For what depends on variables, images or stages there are
//! messages in [`Rule`]'s words here, and the few decisions that are more than a comparison.

mod checks;
mod file;
mod rule;
mod secrets;

pub use checks::{Checks, Names};
pub(crate) use file::{of_instruction, of_stages};
pub use rule::Rule;
pub use secrets::is_secret;

use crate::syntax::{self, Instruction, Lines, Mistake};
use nacre_sdk::Diagnostic;

/// Which rules hold, and what they found.
#[derive(Debug, Clone, Default)]
pub struct Linter {
    checks: Checks,
    warnings: Vec<Warning>,
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The rule.
    pub rule: Rule,
    /// What it found, in one line.
    pub message: String,
    /// Where.
    pub lines: Lines,
}

impl Linter {
    /// With the checks of a whole file.
    pub fn new(checks: Checks) -> Linter {
        Linter { checks, warnings: Vec::new() }
    }

    /// Notes a warning about lines of the file, if the rule holds in it. The same warning is noted once.
    pub fn warn(&mut self, lines: &Lines, rule: Rule, message: impl Into<String>) {
        if self.checks.holds(rule) {
            self.note(Warning { rule, message: message.into(), lines: lines.clone() });
        }
    }

    /// Notes a warning about an instruction, if the rule holds there: a comment above it can have a `check=` too.
    pub fn warn_at(&mut self, instruction: &Instruction, rule: Rule, message: impl Into<String>) {
        self.warn_within(instruction, &instruction.lines, rule, message);
    }

    /// Notes a warning that an instruction gives rise to about other lines, if the rule holds at the instruction.
    pub fn warn_within(&mut self, instruction: &Instruction, lines: &Lines, rule: Rule, message: impl Into<String>) {
        if self.checks.with(&instruction.comments).holds(rule) {
            self.note(Warning { rule, message: message.into(), lines: lines.clone() });
        }
    }

    /// What was found, in the order of the lines.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// What was found, or with `error=true` the mistake that something was.
    pub fn finish(self) -> Result<Vec<Warning>, Mistake> {
        if !self.checks.error || self.warnings.is_empty() {
            return Ok(self.warnings);
        }
        let mut rules: Vec<&str> = self.warnings.iter().map(|warning| warning.rule.name()).collect();
        rules.sort_unstable();
        rules.dedup();
        Err(Mistake::new("lint", format!("lint violation found for rules: {}", rules.join(", "))))
    }

    /// Keeps the order of the lines.
    fn note(&mut self, warning: Warning) {
        let start = warning.lines.start();
        let place = self.warnings.partition_point(|noted| noted.lines.start() <= start);
        let mut same_line = self.warnings[..place].iter().rev().take_while(|noted| noted.lines.start() == start);
        if !same_line.any(|noted| *noted == warning) {
            self.warnings.insert(place, warning);
        }
    }
}

impl Warning {
    /// As nacre shows it, for a file of that name.
    pub fn diagnostic(&self, file: &str) -> Diagnostic {
        Diagnostic { code: self.rule.name().into(), message: self.message.clone(), help: None, at: Some(syntax::span(file, &self.lines)) }
    }
}

#[cfg(test)]
mod tests;
