//! What the user is told of a build that failed, and of warnings: the place, the line itself, and what to do.

use std::{
    borrow::Cow,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Component, Path},
};

use anyhow::Result;
use nacre_build::Error;
use nacre_plugin::{Diagnostic, Fault, GuestError, Span};

use super::inputs::MAX_FILE;
use crate::{
    context::Context,
    failure::Shown as Told,
    output::{build::Shown, escape::visible, units::ellipsis},
};

/// Columns of the file's line that are shown: more would bury what is wrong with it.
const MAX_LINE: usize = 200;

/// What is needed to tell it.
pub(super) struct Report<'a> {
    pub file: &'a str,
    pub content: &'a [u8],
    /// Where the file lies, and those that it includes.
    pub folder: Option<&'a Path>,
    pub shown: &'a Shown,
}

impl Report<'_> {
    /// Tells why the build failed. What has no place in a file is left to the caller.
    pub(super) fn failure(&self, error: Error) -> anyhow::Error {
        self.warnings();
        if error.is_cancelled() {
            return anyhow::anyhow!("cancelled");
        }
        let mut text = self.output();
        match mistakes(&error) {
            Some(found) => found.iter().for_each(|one| self.snippet(&mut text, "error", one)),
            None => match error.at() {
                Some(at) => self.snippet(&mut text, "error", &Diagnostic { at: Some(at.clone()), help: None, ..error.diagnostic() }),
                None => {
                    tell(&text);
                    return error.into();
                }
            },
        }
        tell(&text);
        Told.into()
    }

    /// What the program that failed had to say.
    fn output(&self) -> String {
        let Some((name, lines)) = self.shown.failed().filter(|(_, lines)| !lines.is_empty()) else { return String::new() };
        let mut text = format!("------\n > {name}:\n");
        lines.iter().for_each(|line| _ = writeln!(text, "{line}"));
        text + "------\n"
    }

    /// Tells all warnings, a line each.
    pub(super) fn warnings(&self) {
        let warnings = self.shown.warnings();
        let mut text = String::new();
        for Diagnostic { code, message, at, .. } in &warnings {
            let place = at.as_ref().map(|at| format!("{}:{}: ", visible(&at.file), at.line)).unwrap_or_default();
            let _ = writeln!(text, "warning: {place}{}: {}", visible(code), visible(message));
        }
        tell(&text);
    }

    /// The answer of `--check`: warnings fail it, as in Docker.
    pub(super) fn checked(&self, context: &Context) -> Result<()> {
        let warnings = self.shown.warnings();
        let mut text = String::new();
        for warning in &warnings {
            self.snippet(&mut text, "warning", warning);
        }
        context.write(&text)?;
        match warnings.len() {
            0 => context.print("Check complete, no warnings found."),
            1 => Err(anyhow::anyhow!("check complete, 1 warning has been found")),
            count => Err(anyhow::anyhow!("check complete, {count} warnings have been found")),
        }
    }

    /// A message, its place, and the lines around it with a mark.
    fn snippet(&self, text: &mut String, kind: &str, diagnostic: &Diagnostic) {
        let Diagnostic { code, message, help, at } = diagnostic;
        let code = if kind == "warning" { format!("[{}]", visible(code)) } else { String::new() };
        let _ = writeln!(text, "{kind}{code}: {}", visible(message));
        let width = at.as_ref().map_or(1, |at| at.line.to_string().len());
        if let Some(at) = at {
            let _ = writeln!(text, "{:width$}--> {}:{}", "", visible(&at.file), at.line);
            self.line(text, at, width);
        }
        if let Some(help) = help {
            let _ = writeln!(text, "{:width$} = help: {}", "", visible(help));
        }
    }

    /// What a file below the folder holds that a frontend names. Dialects let one file include others.
    fn beside(&self, name: &str) -> Option<Vec<u8>> {
        let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        let path = self.folder.filter(|_| inside)?.join(name);
        // A FIFO would never end.
        fs::symlink_metadata(&path).ok().filter(|meta| meta.is_file() && meta.len() <= MAX_FILE)?;
        fs::read(path).ok()
    }

    /// The line itself, if the place is in the file that was given or beside it.
    fn line(&self, text: &mut String, at: &Span, width: usize) {
        let content = if at.file == self.file { Some(Cow::Borrowed(self.content)) } else { self.beside(&at.file).map(Cow::Owned) };
        let Some(content) = content else { return };
        let content = String::from_utf8_lossy(&content);
        let Some(line) = (at.line as usize).checked_sub(1).and_then(|index| content.lines().nth(index)) else { return };
        let line = ellipsis(&visible(line.trim_end()).replace("\\t", "    "), MAX_LINE);
        let start = (at.col as usize).saturating_sub(1).min(line.chars().count());
        let marks = line.chars().skip(start).count().max(1);
        let _ = writeln!(text, "{:width$} |", "");
        let _ = writeln!(text, "{:width$} | {line}", at.line);
        let _ = writeln!(text, "{:width$} | {:start$}{}", "", "", "^".repeat(marks));
    }
}

/// Mistakes in the user's files, if those are why the build failed.
fn mistakes(error: &Error) -> Option<&[Diagnostic]> {
    match error {
        Error::Frontend(nacre_plugin::Error::Plugin { fault: Fault::Guest(GuestError::Invalid(found)), .. }) if !found.is_empty() => {
            Some(found)
        }
        _ => None,
    }
}

/// Standard error that is closed leaves nobody to tell.
fn tell(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::output::progress::Mode;

    #[test]
    fn a_mistake_is_shown_with_its_line() {
        let shown = Shown::new(Mode::Quiet, Arc::default());
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("parent"), "one\ntwo\n").expect("a file");
        let content = b"FROM scratch\n  COPY\t\x1b[2J\n";
        let report = Report { file: "Dockerfile", content, folder: Some(folder.path()), shown: &shown };
        let at = Some(Span { file: "Dockerfile".into(), line: 2, col: 3 });
        let wrong = Diagnostic { code: "x".into(), message: "COPY wants\ntwo".into(), help: Some("name them".into()), at };
        let mut text = String::new();
        report.snippet(&mut text, "error", &wrong);
        let expected =
            "error: COPY wants\\ntwo\n --> Dockerfile:2\n  |\n2 |   COPY    \\x1b[2J\n  |   ^^^^^^^^^^^^^^^\n  = help: name them\n";
        assert_eq!(text, expected);
        let elsewhere = |file: &str, line| {
            let at = Some(Span { file: file.into(), line, col: 1 });
            let mut text = String::new();
            report.snippet(&mut text, "warning", &Diagnostic { at, help: None, ..wrong.clone() });
            text
        };
        assert_eq!(elsewhere("parent", 9), "warning[x]: COPY wants\\ntwo\n --> parent:9\n");
        assert_eq!(elsewhere("parent", 2), "warning[x]: COPY wants\\ntwo\n --> parent:2\n  |\n2 | two\n  | ^^^\n");
        let outside = folder.path().join("parent").display().to_string();
        assert!(!elsewhere(&outside, 2).contains('|') && !elsewhere("../parent", 2).contains('|') && !elsewhere(".", 1).contains('|'));
    }
}
