#![allow(clippy::unwrap_used, reason = "tests")]

mod documents;
mod flags;
mod instructions;
mod lines;
mod mounts;

use super::{Command, File, Instruction, parse};

fn file(text: &str) -> File {
    parse(text.as_bytes()).unwrap_or_else(|mistake| panic!("{text}: {mistake}"))
}

/// The last instruction of a file.
fn last(text: &str) -> Instruction {
    file(text).instructions.pop().unwrap()
}

/// One instruction in a stage.
fn command(text: &str) -> Command {
    last(&format!("FROM scratch\n{text}\n")).command
}

/// What is wrong, and the first line of it.
fn mistake(text: &str) -> (String, u32) {
    let mistake = parse(text.as_bytes()).expect_err(text);
    (mistake.message, mistake.lines.map_or(0, |lines| *lines.start()))
}

/// What is wrong with one instruction in a stage.
fn wrong(text: &str) -> String {
    let (message, line) = mistake(&format!("FROM scratch\n{text}\n"));
    assert_eq!(line, 2, "{text}");
    message
}
