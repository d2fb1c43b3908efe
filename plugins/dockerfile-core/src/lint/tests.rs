#![allow(clippy::unwrap_used, reason = "tests")]

use super::{Checks, Linter, Rule, is_secret};
use crate::syntax::parse;

/// What was found, as `Rule:line`.
fn found(text: &str) -> Vec<String> {
    let file = parse(text.as_bytes()).unwrap();
    file.lint.warnings().iter().map(|warning| format!("{}:{}", warning.rule.name(), warning.lines.start())).collect()
}

fn messages(text: &str) -> Vec<String> {
    let file = parse(text.as_bytes()).unwrap();
    file.lint.warnings().iter().map(|warning| warning.message.clone()).collect()
}

#[test]
fn a_tidy_file_has_no_warnings() {
    let text = "# syntax=x\nARG A\n# one is a stage\nFROM a AS one\n# a remark\nRUN x \\\n# another\n y\nfrom b as two\n";
    assert_eq!(found(text), ["ConsistentInstructionCasing:9"]);
    assert!(found("arg A\nFROM a\nRUN x").is_empty(), "what stands before the first stage does not count");
}

#[test]
fn casing() {
    assert_eq!(
        messages("from a AS one\nrun x\nRUN y"),
        ["'AS' and 'from' keywords' casing do not match", "Command 'RUN' should match the case of the command majority (lowercase)",]
    );
    assert_eq!(found("FROM a as one"), ["FromAsCasing:1"]);
    assert_eq!(messages("FROM a AS One"), ["Stage name 'One' should be lowercase"]);
    assert_eq!(found("From a aS one\nRun x"), ["ConsistentInstructionCasing:1", "ConsistentInstructionCasing:2"]);
}

#[test]
fn stage_names() {
    let text = "FROM a AS one\nFROM b AS ONE\nFROM c AS scratch\nFROM d";
    assert_eq!(found(text), ["StageNameCasing:2", "DuplicateStageName:2", "ReservedStageName:3"]);
}

#[test]
fn lines_and_maintainers() {
    let text = "FROM a\nRUN x \\\n\n  y\nMAINTAINER z";
    assert_eq!(found(text), ["NoEmptyContinuation:4", "MaintainerDeprecated:5"]);
}

#[test]
fn descriptions_are_an_experiment() {
    let text = "# what is this\nARG A\n# two\nARG B C\n# A is a stage\nFROM x AS a\n# no name, no description\nFROM y";
    assert!(found(text).is_empty());
    let asked = format!("# check=experimental=all\n{text}");
    let rule = "InvalidDefinitionDescription";
    assert_eq!(found(&asked), [format!("{rule}:3"), format!("{rule}:5"), format!("{rule}:7")]);
    assert_eq!(messages(&asked)[1], "Comment for ARG should follow the format: `# <arg_key> <description>`");
}

#[test]
fn rules_can_be_left_out() {
    let text = "FROM a as One\nMAINTAINER z";
    assert_eq!(found(text).len(), 3);
    assert_eq!(found(&format!("# check=skip=StageNameCasing, FromAsCasing\n{text}")).len(), 2, "a blank ends it");
    assert_eq!(found(&format!("# check=skip=StageNameCasing,FromAsCasing\n{text}")), ["MaintainerDeprecated:3"]);
    assert!(found(&format!("# check=skip=all;error=true\n{text}")).is_empty());
    assert_eq!(found(&format!("\n# check=skip=all\n{text}")), ["MaintainerDeprecated:4"], "above an instruction it is for that one");
}

#[test]
fn warnings_can_be_mistakes() {
    let lint = parse(b"#!/usr/bin/env x\n# check=error=true\nFROM a as One").unwrap().lint;
    let mistake = lint.finish().unwrap_err();
    assert_eq!(mistake.message, "lint violation found for rules: FromAsCasing, StageNameCasing");
    assert!(parse(b"# check=error=true\nFROM a").unwrap().lint.finish().unwrap().is_empty());
}

#[test]
fn checks_that_cannot_be() {
    let error = |text: &str| parse(format!("# check={text}\nFROM a").as_bytes()).unwrap_err().message;
    assert_eq!(error("skip"), "failed to parse check options: invalid check option \"skip\"");
    assert_eq!(error("skpi=all"), "failed to parse check options: invalid check option \"skpi\"");
    assert!(error("error=x").ends_with("failed to parse check option \"error=x\": strconv.ParseBool: parsing \"x\": invalid syntax"));
}

#[test]
fn warnings_are_noted_once_in_the_order_of_lines() {
    let mut lint = Linter::new(Checks::default());
    for line in [3, 1, 3] {
        lint.warn(&(line..=line), Rule::UndefinedVar, Rule::undefined_var("HOEM", &["HOME", "PATH"]));
    }
    let lines: Vec<u32> = lint.warnings().iter().map(|warning| *warning.lines.start()).collect();
    assert_eq!(lines, [1, 3]);
    assert_eq!(lint.warnings()[0].message, "Usage of undefined variable '$HOEM' (did you mean $HOME?)");
}

#[test]
fn names_of_secrets() {
    for name in ["API_KEY", "apikey", "GITHUB_TOKEN", "secret_message", "AUTH", "my_passwd_1"] {
        assert!(is_secret(name), "{name}");
    }
    for name in ["PUBLIC_KEY", "PASSWORD_FILE", "KEYBOARD", "TOKENS", "AUTHOR", "TOKEN_VERSION", ""] {
        assert!(!is_secret(name), "{name}");
    }
}
