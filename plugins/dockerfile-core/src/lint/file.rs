//! The rules that need nothing but the file.

use super::{Linter, Rule};
use crate::syntax::{Argument, Command, From, Instruction};
use std::collections::BTreeSet;

/// Checks an instruction by itself.
pub(crate) fn of_instruction(lint: &mut Linter, instruction: &Instruction) {
    match &instruction.command {
        Command::Maintainer(_) => lint.warn_at(instruction, Rule::MaintainerDeprecated, Rule::maintainer_deprecated()),
        Command::From(From { name: Some(name), .. }) => {
            from_casing(lint, instruction);
            description(lint, instruction, "FROM", &[name]);
        }
        Command::Arg(arguments) => {
            let names: Vec<&str> = arguments.iter().map(|Argument { name, .. }| &name[..]).collect();
            description(lint, instruction, "ARG", &names);
        }
        _ => {}
    }
}

/// The case of a stage's name, and of `AS` if that of `FROM` is one.
fn from_casing(lint: &mut Linter, instruction: &Instruction) {
    let mut words = instruction.text.split_whitespace().rev();
    let (Some(name), Some(r#as)) = (words.next(), words.next()) else { return };
    if name != name.to_lowercase() {
        lint.warn_at(instruction, Rule::StageNameCasing, Rule::stage_name_casing(name));
    }
    let from = &instruction.keyword;
    let matches = match Case::of(from) {
        Some(Case::Lower) => r#as == r#as.to_lowercase(),
        Some(Case::Upper) => r#as == r#as.to_uppercase(),
        None => true,
    };
    if !matches {
        lint.warn_at(instruction, Rule::FromAsCasing, Rule::from_as_casing(from, r#as));
    }
}

/// The comment above a stage or an argument is to begin with its name.
fn description(lint: &mut Linter, instruction: &Instruction, keyword: &str, names: &[&str]) {
    let Some(comment) = instruction.comments.last() else { return };
    if names.iter().any(|&name| comment.split(' ').next() == Some(name)) {
        return;
    }
    let example = if let [name] = names { name } else { "<arg_key>" };
    lint.warn_at(instruction, Rule::InvalidDefinitionDescription, Rule::invalid_definition_description(keyword, example));
}

/// Checks the stages' names, and the case of all instructions from the first `FROM` on.
pub(crate) fn of_stages(lint: &mut Linter, instructions: &[Instruction]) {
    stage_names(lint, instructions);
    let begin = instructions.iter().position(|instruction| matches!(instruction.command, Command::From(_)));
    keyword_casing(lint, &instructions[begin.unwrap_or(instructions.len())..]);
}

fn stage_names(lint: &mut Linter, instructions: &[Instruction]) {
    let mut seen = BTreeSet::new();
    for instruction in instructions {
        let Command::From(From { name: Some(name), .. }) = &instruction.command else { continue };
        if matches!(&name[..], "context" | "scratch") {
            lint.warn(&instruction.lines, Rule::ReservedStageName, Rule::reserved_stage_name(name));
        }
        if !seen.insert(name) {
            lint.warn(&instruction.lines, Rule::DuplicateStageName, Rule::duplicate_stage_name(name));
        }
    }
}

/// Keywords are to be as most of them are; as many of both is upper case.
fn keyword_casing(lint: &mut Linter, instructions: &[Instruction]) {
    let count = |case: Case| instructions.iter().filter(|instruction| Case::of(&instruction.keyword) == Some(case)).count();
    let (wanted, name) = match count(Case::Lower) > count(Case::Upper) {
        true => (Case::Lower, "lowercase"),
        false => (Case::Upper, "uppercase"),
    };
    for instruction in instructions.iter().filter(|instruction| Case::of(&instruction.keyword) != Some(wanted)) {
        let message = Rule::consistent_instruction_casing(&instruction.keyword, name);
        lint.warn(&instruction.lines, Rule::ConsistentInstructionCasing, message);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Lower,
    Upper,
}

impl Case {
    /// The case of a keyword, if all of it has the same.
    fn of(keyword: &str) -> Option<Case> {
        match keyword {
            _ if keyword == keyword.to_lowercase() => Some(Case::Lower),
            _ if keyword == keyword.to_uppercase() => Some(Case::Upper),
            _ => None,
        }
    }
}
