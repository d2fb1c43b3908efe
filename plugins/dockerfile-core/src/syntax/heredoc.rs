//! Documents behind an instruction: `<<EOF` up to the line `EOF`.

use super::source::{Source, without_end};
use super::{CommandLine, Lines, Mistake, Run};
use crate::expand::Expander;

/// A document behind an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it, without quotes.
    pub name: String,
    /// Variables in it are to be expanded: no part of its name was quoted.
    pub expand: bool,
    /// Written with `<<-`: tabs at the front of lines go, see [`Heredoc::chomped`].
    pub chomp: bool,
    /// Its lines with their ends, tabs included.
    pub content: String,
}

impl Heredoc {
    /// The content, with `<<-` without the tabs at the front of its lines.
    pub fn chomped(&self) -> String {
        if !self.chomp {
            return self.content.clone();
        }
        self.content.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }

    /// Reads the lines up to the one that ends it; `place` is where its instruction begins.
    pub(super) fn read(&mut self, source: &mut Source, start: u32) -> Result<(), Mistake> {
        for line in source.by_ref() {
            let end = without_end(line);
            if self.name == if self.chomp { end.trim_start_matches('\t') } else { end } {
                return Ok(());
            }
            self.content.push_str(line);
        }
        source.finish()?;
        let help = format!("end it with a line that is only {}", self.name);
        Err(Mistake::new("unterminated-heredoc", "unterminated heredoc").help(help).at(&(start..=source.number)))
    }
}

impl Run {
    /// The document that is all of the command: `RUN <<EOF`. It is a script of its own if it begins with `#!`, and
    /// otherwise one for the shell; any other command has its documents behind it for the shell to read.
    pub fn script(&self) -> Option<&Heredoc> {
        match &self.line {
            CommandLine::Shell(line) => self.heredocs.first().filter(|_| heredoc(line).is_some()),
            CommandLine::Exec(_) => None,
        }
    }
}

/// The documents that a line asks for, still empty.
pub(super) fn heredocs(line: &str) -> Vec<Heredoc> {
    if !line.contains("<<") {
        return Vec::new();
    }
    let lexer = Expander { raw_quotes: true, raw_escapes: true, keep_unset: true, ..Expander::new('\\') };
    // A line that cannot be split has no documents: it may be no shell that is to read it.
    let words = lexer.words(line, &|_| None).unwrap_or_default();
    words.iter().filter_map(|word| heredoc(word)).collect()
}

/// The document that a word asks for, still empty: `<<EOF`, `<<-EOF`, `3<<"EOF"`.
pub(super) fn heredoc(word: &str) -> Option<Heredoc> {
    let rest = word.trim_start_matches(|digit: char| digit.is_ascii_digit()).strip_prefix("<<")?;
    let (chomp, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
    let written = rest.trim_start_matches(['\t', '\n', '\u{c}', '\r', ' ']);
    if written.contains('<') {
        return None;
    }
    let lexer = Expander { keep_unset: true, ..Expander::new('\\') };
    let names = lexer.words(written, &|_| None).ok()?;
    let raw = Expander { raw_quotes: true, ..lexer }.words(written, &|_| None).ok()?;
    let ([name], [raw]) = (&names[..], &raw[..]) else { return None };
    let quotes = |text: &str| text.matches(['\'', '"']).count();
    Some(Heredoc { name: name.clone(), expand: quotes(name) == quotes(raw), chomp, content: String::new() })
}

/// Checks that the documents came whole out of the file, if not all of the file did.
pub(super) fn check_text(heredocs: &[Heredoc], lines: &Lines) -> Result<(), Mistake> {
    match heredocs.iter().find(|heredoc| heredoc.content.contains(char::REPLACEMENT_CHARACTER)) {
        Some(heredoc) => {
            let message = format!("the document {} is not UTF-8", heredoc.name);
            Err(Mistake::new("not-utf8", message).help("put it into a file and COPY that").at(lines))
        }
        None => Ok(()),
    }
}
