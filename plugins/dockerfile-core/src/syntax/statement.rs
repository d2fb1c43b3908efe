//! Statements: an instruction's lines, joined and split, before anyone asks what they mean.

use super::directives::{Directives, Key};
use super::flags::split_flags;
use super::heredoc::{Heredoc, heredocs};
use super::json::{Array, array};
use super::source::{Source, is_comment, without_end};
use super::words::{is_space, pairs, split_blanks, split_first, split_quoted};
use super::{CommandLine, Lines, Mistake, Pair};

/// An instruction with the documents behind it.
pub(super) struct Statement {
    /// Without what continues its lines; blanks at its end stay.
    pub(super) text: String,
    pub(super) line: Line,
    pub(super) heredocs: Vec<Heredoc>,
    pub(super) lines: Lines,
    pub(super) comments: Vec<String>,
    /// Its last line, if one of its lines is blank though the one before goes on.
    pub(super) blank_continuation: Option<u32>,
}

/// An instruction's text by its parts.
pub(super) struct Line {
    pub(super) keyword: String,
    pub(super) flags: Vec<String>,
    pub(super) arguments: Arguments,
}

/// What stands behind the flags.
pub(super) enum Arguments {
    Words(Vec<String>),
    /// A JSON array in place of words.
    Array(Vec<String>),
    Pairs(Vec<Pair>),
    Command(CommandLine),
    /// `HEALTHCHECK`: what it begins with, and the rest.
    Check(String, CommandLine),
    Text(String),
    /// `ONBUILD`
    Trigger(Option<Box<Line>>),
    /// There is no such instruction.
    Unknown,
}

/// The statements of a file, and its escape character.
pub(super) fn statements(text: &str) -> Result<(Vec<Statement>, char), Mistake> {
    let mut reader = Reader { source: Source::new(text), escape: '\\', directives: Directives::default() };
    let mut statements = Vec::new();
    while let Some(statement) = reader.statement()? {
        statements.push(statement);
    }
    let last = reader.source.number;
    if statements.is_empty() && reader.source.finish().is_ok() {
        return Err(Mistake::new("no-instructions", "file with no instructions").at(&(last..=last)));
    }
    reader.source.finish()?;
    Ok((statements, reader.escape))
}

struct Reader<'a> {
    source: Source<'a>,
    escape: char,
    directives: Directives,
}

impl Reader<'_> {
    fn statement(&mut self) -> Result<Option<Statement>, Mistake> {
        let mut comments = Vec::new();
        while let Some(line) = self.source.next() {
            let start = self.source.number;
            let line = without_end(line);
            if is_comment(line) {
                if !self.directive(line.trim_start())? {
                    note_comment(&mut comments, line);
                }
                continue;
            }
            self.directives.read(line)?;
            let line = line.trim_start();
            if !line.is_empty() {
                return self.instruction(line, start, comments).map(Some);
            }
        }
        Ok(None)
    }

    /// Whether the comment is a directive. BuildKit's lines of mistakes in them are one too small; this is where the
    /// directive before stands, or the first line.
    fn directive(&mut self, comment: &str) -> Result<bool, Mistake> {
        let number = self.source.number;
        let place = number.saturating_sub(1).max(1)..=number;
        let Some(directive) = self.directives.read(comment).map_err(|mistake| mistake.at(&place))? else {
            return Ok(false);
        };
        if directive.key == Key::Escape {
            self.escape = match directive.value {
                "\\" => '\\',
                "`" => '`',
                other => {
                    let message = format!("invalid escape token '{other}' does not match ` or \\");
                    return Err(Mistake::new("bad-escape", message).at(&place));
                }
            };
        }
        Ok(true)
    }

    fn instruction(&mut self, first: &str, start: u32, comments: Vec<String>) -> Result<Statement, Mistake> {
        let (text, blank) = self.joined(first);
        let place = start..=self.source.number;
        let blank_continuation = blank.then_some(self.source.number);
        let line = Line::parse(&text, self.escape).map_err(|mistake| mistake.at(&place))?;
        let mut documents = if line.takes_documents() { heredocs(&text) } else { Vec::new() };
        for document in &mut documents {
            document.read(&mut self.source, start)?;
        }
        let lines = start..=self.source.number;
        Ok(Statement { text, line, heredocs: documents, lines, comments, blank_continuation })
    }

    /// A line and those that continue it as one, and whether a blank line stands between them.
    fn joined(&mut self, first: &str) -> (String, bool) {
        let mut blank = false;
        let (line, mut goes_on) = continued(first, self.escape);
        let mut text = line.to_owned();
        while goes_on {
            let Some(line) = self.source.next() else { break };
            let line = without_end(line);
            if is_comment(line) {
                continue;
            }
            if line.trim_start().is_empty() {
                blank = true;
                continue;
            }
            let (line, more) = continued(line, self.escape);
            text.push_str(line);
            goes_on = more;
        }
        (text, blank)
    }
}

/// The line without the escape character at its end, if it has a single one, blanks behind it included; it then goes on.
fn continued(line: &str, escape: char) -> (&str, bool) {
    match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
        Some(front) if !front.ends_with(escape) => (front, true),
        _ => (line, false),
    }
}

/// Comments directly above each other describe what follows; an empty one ends them.
fn note_comment(comments: &mut Vec<String>, line: &str) {
    let mut rest = line.chars();
    rest.next();
    match rest.as_str().trim() {
        "" => comments.clear(),
        comment => comments.push(comment.into()),
    }
}

impl Line {
    pub(super) fn parse(text: &str, escape: char) -> Result<Line, Mistake> {
        let (keyword, rest) = split_first(text.trim());
        let (flags, rest) = split_flags(rest.unwrap_or_default(), escape);
        let arguments = Arguments::parse(&keyword.to_ascii_lowercase(), rest.trim(), escape)?;
        Ok(Line { keyword: keyword.into(), flags, arguments })
    }

    /// Whether `<<` in it asks for documents: only in `ADD`, `COPY` and `RUN`, with `ONBUILD` or not, and never in JSON.
    fn takes_documents(&self) -> bool {
        let line = match &self.arguments {
            Arguments::Trigger(Some(trigger)) => trigger,
            _ => self,
        };
        match line.arguments {
            Arguments::Words(_) => ["add", "copy"].iter().any(|keyword| line.keyword.eq_ignore_ascii_case(keyword)),
            Arguments::Command(CommandLine::Shell(_)) => line.keyword.eq_ignore_ascii_case("run"),
            _ => false,
        }
    }
}

impl Arguments {
    fn parse(keyword: &str, text: &str, escape: char) -> Result<Arguments, Mistake> {
        Ok(match keyword {
            "add" | "copy" | "volume" => match array(text) {
                Array::Strings(strings) => Arguments::Array(strings),
                Array::Mixed => return Err(not_strings()),
                Array::No => Arguments::Words(split_blanks(text)),
            },
            "expose" | "from" => Arguments::Words(split_blanks(text)),
            "arg" => Arguments::Words(split_quoted(text, escape)),
            "env" => Arguments::Pairs(pairs(text, "ENV", escape)?),
            "label" => Arguments::Pairs(pairs(text, "LABEL", escape)?),
            "cmd" | "entrypoint" | "run" | "shell" => Arguments::Command(command_line(text)?),
            "healthcheck" => {
                let (kind, rest) = text.split_once(is_space).unwrap_or((text, ""));
                Arguments::Check(kind.into(), command_line(rest.trim_start_matches(is_space))?)
            }
            "maintainer" | "stopsignal" | "user" | "workdir" => Arguments::Text(text.into()),
            "onbuild" => Arguments::Trigger(trigger(text, escape)?),
            _ => Arguments::Unknown,
        })
    }
}

fn command_line(text: &str) -> Result<CommandLine, Mistake> {
    match array(text) {
        Array::Strings(strings) => Ok(CommandLine::Exec(strings)),
        Array::Mixed => Err(not_strings()),
        Array::No => Ok(CommandLine::Shell(text.into())),
    }
}

/// `ONBUILD ONBUILD` is never right: what it asks for is not looked at.
fn trigger(text: &str, escape: char) -> Result<Option<Box<Line>>, Mistake> {
    let (keyword, _) = split_first(text);
    Ok(match keyword {
        "" => None,
        _ if keyword.eq_ignore_ascii_case("onbuild") => {
            Some(Box::new(Line { keyword: keyword.into(), flags: Vec::new(), arguments: Arguments::Unknown }))
        }
        _ => Some(Box::new(Line::parse(text, escape)?)),
    })
}

fn not_strings() -> Mistake {
    Mistake::new("bad-json", "when using JSON array syntax, arrays must be comprised of strings only")
}
