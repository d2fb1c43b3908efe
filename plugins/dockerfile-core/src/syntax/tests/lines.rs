//! Lines, comments and directives.

use super::super::{Command, CommandLine};
use super::{file, last, mistake};

fn shell(text: &str) -> String {
    match last(text).command {
        Command::Run(run) => match run.line {
            CommandLine::Shell(line) => line,
            CommandLine::Exec(words) => panic!("{words:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn continued_lines_are_joined_as_they_are() {
    assert_eq!(shell("FROM a\nRUN one \\\n  two\\\nthree\\  \n\tfour"), "one   twothree\tfour");
    assert_eq!(shell("FROM a\r\nRUN one \\\r\n  two\r\n"), "one   two");
    assert_eq!(shell("FROM a\nRUN one \\"), "one", "nothing is left to go on with");
    assert_eq!(shell("FROM a\nRUN one \\\\\nRUN two"), "two", "two escape characters do not continue a line");
    assert_eq!(shell("FROM a\n\\\nRUN \\\n\\\ntwo"), "two");
}

#[test]
fn comments_and_blanks_may_stand_between_continued_lines() {
    let text = "FROM a\nRUN one \\\n# remark \\\n   # another\n\n  two # kept\n";
    assert_eq!(shell(text), "one   two # kept");
    assert_eq!(last(text).lines, 2..=6);
    assert_eq!(last(text).text, "RUN one   two # kept");
    assert_eq!(shell("FROM a\nRUN one \\\n\n\n"), "one");
}

#[test]
fn blanks_around_an_instruction_do_not_count() {
    let instruction = last("\u{feff}  \tFROM a \t\n\n \n\t run\t\ttrue  \n");
    assert_eq!((&instruction.keyword[..], &instruction.text[..]), ("run", "run\t\ttrue"));
    assert_eq!(instruction.lines, 4..=4);
}

#[test]
fn places_are_the_first_lines() {
    assert_eq!(mistake("\n# remark\nFROM a\n\nENV \\\n  A=1 \\\n  B\n").1, 5);
    assert_eq!(mistake("FROM a\nRUM \\\n x").1, 2);
}

#[test]
fn a_file_is_split_before_it_is_understood() {
    let (message, line) = mistake("FROM a\nRUM x\nENV A=1 B\n");
    assert_eq!(line, 3, "{message}");
}

#[test]
fn a_file_says_something() {
    assert_eq!(mistake("").0, "the Dockerfile cannot be empty");
    assert_eq!(mistake("# remark\n\n"), ("file with no instructions".into(), 2));
    assert_eq!(mistake("ARG A\n").0, "dockerfile contains no stages to build");
    assert_eq!(mistake("ARG A\nRUN true\n"), ("no build stage in current context".into(), 2));
    assert_eq!(mistake("FROM a\n\\"), ("unknown instruction: ".into(), 2));
}

#[test]
fn the_escape_character_can_be_chosen() {
    let text = "# syntax=docker/dockerfile:1\n#escape = `\n# check=skip=all\nFROM a\nRUN c:\\ `\n x";
    assert_eq!(file(text).escape, '`');
    assert_eq!(shell(text), "c:\\  x");
    assert_eq!(file("# ESCAPE=\\ \nFROM a").escape, '\\');
}

#[test]
fn directives_end_at_the_first_other_line() {
    for before in ["\n", "# remark\n", "# unknown=1\n", "FROM b\n", "#\n"] {
        assert_eq!(file(&format!("{before}# escape=`\nFROM a")).escape, '\\', "{before}");
    }
}

#[test]
fn directives_that_cannot_be() {
    let repeated = "only one escape parser directive can be used";
    assert_eq!(mistake("# escape=`\n# escape=`\nFROM a"), (repeated.into(), 1), "as BuildKit counts it");
    assert_eq!(mistake("#syntax=a\n#SYNTAX=b\nFROM a").0, "only one syntax parser directive can be used");
    assert_eq!(mistake("# escape=x\nFROM a").0, "invalid escape token 'x' does not match ` or \\");
    assert_eq!(mistake("# escape= \nFROM a").0, "invalid escape token ' ' does not match ` or \\");
}

#[test]
fn comments_above_an_instruction_belong_to_it() {
    let instructions = file("# escape=\\\n# one\n#two\n\nFROM a\n# gone\n#\n# three\nRUN x\nRUN y").instructions;
    let comments: Vec<&[String]> = instructions.iter().map(|instruction| &instruction.comments[..]).collect();
    assert_eq!(comments, [&["one", "two"][..], &["three"], &[]]);
}

#[test]
fn lines_have_a_longest() {
    let line = |length: usize| format!("RUN {}", "x".repeat(length - 4));
    assert_eq!(last(&format!("FROM a\n{}\n", line(65535))).text.len(), 65535);
    let (message, number) = mistake(&format!("FROM a\n{}", line(65536)));
    assert_eq!((&message[..], number), ("dockerfile line greater than max allowed size of 65535", 2));
    let many = format!("FROM a\nRUN {}x", "x\\\n".repeat(100_000));
    assert_eq!(last(&many).text.len(), 4 + 100_000 + 1, "joined lines can be longer");
}

#[test]
fn bytes_that_are_no_text_are_only_wrong_in_documents() {
    let comment = super::parse(b"# caf\xe9\nFROM a\nRUN <<EOF\nx\nEOF\n").unwrap();
    assert_eq!(comment.instructions.len(), 2);
    let mistake = super::parse(b"FROM a\nCOPY <<EOF /x\ncaf\xe9\nEOF\n").unwrap_err();
    assert_eq!((&mistake.message[..], mistake.lines), ("the document EOF is not UTF-8", Some(2..=4)));
}
