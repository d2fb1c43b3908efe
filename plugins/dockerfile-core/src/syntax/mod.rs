//! A Dockerfile's text as instructions: lines, directives, heredocs, flags, words.
//!
//! A file is read twice, as BuildKit does it: first all of it is split into statements, then each says what it means.
//! So a quote that is open in the last line is told before a keyword in the first that does not exist.

mod command;
mod csv;
mod device;
mod directives;
mod files;
mod flags;
mod healthcheck;
mod heredoc;
mod instruction;
mod json;
mod mistake;
mod mount;
mod number;
mod outline;
mod quote;
mod source;
mod statement;
mod suggest;
mod words;

pub use command::{Add, Argument, Command, CommandLine, Copy, Document, Files, From, Instruction, Lines, Network, Pair, Run, Security};
pub use device::Device;
pub use healthcheck::{Check, Healthcheck};
pub use heredoc::Heredoc;
pub use mistake::Mistake;
pub use mount::{Mount, MountFlag, MountKind, Sharing};
pub(crate) use number::boolean;
pub use outline::{Outline, Piece, outline};
pub(crate) use quote::quoted;
pub(crate) use suggest::{did_you_mean, search};

use crate::lint::{self, Checks, Linter, Rule};
use instruction::KEYWORDS;
use nacre_sdk::Span;
use statement::{Statement, statements};

/// A Dockerfile that was read.
#[derive(Debug)]
pub struct File {
    /// What escapes a character and continues a line: `\`, or a backtick.
    pub escape: char,
    /// In their order: only `ARG` before the first `FROM`, and at least one `FROM`.
    pub instructions: Vec<Instruction>,
    /// What `# check=` asks for, and what was found so far that is no error.
    pub lint: Linter,
}

/// Reads a Dockerfile. What BuildKit checks before it carries an instruction out is checked here.
pub fn parse(content: &[u8]) -> Result<File, Mistake> {
    if content.is_empty() {
        return Err(Mistake::new("empty-file", "the Dockerfile cannot be empty"));
    }
    let text = String::from_utf8_lossy(content);
    let mut lint = Linter::new(checks(&text)?);
    let (statements, escape) = statements(&text)?;
    if std::str::from_utf8(content).is_err() {
        statements.iter().try_for_each(|statement| heredoc::check_text(&statement.heredocs, &statement.lines))?;
    }
    for line in statements.iter().filter_map(|statement| statement.blank_continuation) {
        lint.warn(&(line..=line), Rule::NoEmptyContinuation, Rule::no_empty_continuation());
    }
    let instructions = instructions(statements, &mut lint)?;
    lint::of_stages(&mut lint, &instructions);
    Ok(File { escape, instructions, lint })
}

/// Reads what `ONBUILD` recorded. Everything in it has the place of the `FROM` that brought it here.
pub fn parse_trigger(trigger: &str, from: &Lines) -> Result<Instruction, Mistake> {
    let moved = |mistake: Mistake| Mistake { lines: Some(from.clone()), ..mistake };
    let (statements, _) = statements(trigger).map_err(moved)?;
    let mut statements = statements.into_iter();
    let (Some(statement), None) = (statements.next(), statements.next()) else {
        return Err(moved(Mistake::new("bad-trigger", "onbuild trigger should be a single expression")));
    };
    let instruction = statement.instruction().map_err(moved)?;
    if matches!(instruction.command, Command::From(_)) {
        return Err(moved(Mistake::new("bad-trigger", "FROM isn't allowed as an ONBUILD trigger")));
    }
    Ok(Instruction { lines: from.clone(), ..instruction })
}

fn checks(text: &str) -> Result<Checks, Mistake> {
    let value = directives::find(text, directives::Key::Check).map_or("", directives::first_word);
    Checks::parse(value).map_err(|reason| Mistake::new("bad-check", format!("failed to parse check options: {reason}")))
}

fn instructions(statements: Vec<Statement>, lint: &mut Linter) -> Result<Vec<Instruction>, Mistake> {
    let mut stages = false;
    let mut instructions = Vec::with_capacity(statements.len());
    for statement in statements {
        let instruction = statement.instruction()?;
        lint::of_instruction(lint, &instruction);
        stages |= matches!(instruction.command, Command::From(_));
        if !stages && !matches!(instruction.command, Command::Arg(_)) {
            let mistake = Mistake::new("no-stage", "no build stage in current context");
            return Err(instruction.blame(mistake.help("begin the file with FROM; only ARG may stand before it")));
        }
        instructions.push(instruction);
    }
    if !stages {
        return Err(Mistake::new("no-stage", "dockerfile contains no stages to build"));
    }
    Ok(instructions)
}

/// The check options of a comment above an instruction: what stands behind `check=`.
pub(crate) fn check_comment(comment: &str) -> Option<&str> {
    directives::check(comment)
}

/// Where lines begin.
pub(crate) fn span(file: &str, lines: &Lines) -> Span {
    Span { file: file.into(), line: *lines.start(), col: 1 }
}

#[cfg(test)]
mod tests;
