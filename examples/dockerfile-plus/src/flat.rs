//! One text out of a file and those that it includes, without what no condition asks for.
//!
//! `INCLUDE`, `IF`, `ELSE` and `ENDIF` leave blank lines; all others are copied as they are.

use std::rc::Rc;

use dockerfile_core::lower::Session;
use dockerfile_core::syntax::{Lines, Mistake, Piece, outline};
use nacre_sdk::frontend::{FILE_CONTEXT, MAIN_CONTEXT, Request};
use nacre_sdk::{Error, Platform};

use crate::origin::{Origins, mistake};
use crate::scope::Scope;

/// Files that include each other, one in the other.
const MAX_DEPTH: usize = 16;
/// Bytes of the flat text.
const MAX_SIZE: usize = 4 << 20;

/// The flat text of a request, and where its lines come from.
pub fn flatten(request: &Request, platform: &Platform, session: &mut dyn Session) -> Result<(String, Origins), Error> {
    let (folder, name) = request.file.rsplit_once('/').map_or(("", &*request.file), |(folder, name)| (folder, name));
    let file = File { context: FILE_CONTEXT, path: name.into(), shown: request.file.as_str().into() };
    let scope = Scope::new(request, platform);
    let origins = Origins::of(&request.file);
    let mut flat = Flat { session, folder, scope, escape: None, open: Vec::new(), text: String::new(), origins };
    flat.file(file, &request.content)?;
    Ok((flat.text, flat.origins))
}

/// A file of a context.
struct File {
    context: &'static str,
    path: String,
    /// What the user calls it.
    shown: Rc<str>,
}

/// An `IF` that has no `ENDIF` yet.
struct Branch {
    lines: Lines,
    /// Whether what stands in it now counts.
    active: bool,
    /// Whether what follows `ELSE` counts; none behind `ELSE`.
    otherwise: Option<bool>,
}

struct Flat<'a> {
    session: &'a mut dyn Session,
    /// The folder of the build's file, as the user calls it.
    folder: &'a str,
    scope: Scope,
    /// The escape character of the build's file, once it is known.
    escape: Option<char>,
    /// The files that are being read, each included by the one before.
    open: Vec<File>,
    text: String,
    origins: Origins,
}

impl Flat<'_> {
    fn file(&mut self, file: File, content: &[u8]) -> Result<(), Error> {
        if content.is_empty() {
            // For the build's own file that is a mistake, which is the Dockerfile's to tell.
            return Ok(());
        }
        let shown = Rc::clone(&file.shown);
        let wrong = |why: Mistake| mistake(why, &shown, &(1..=1));
        let text = std::str::from_utf8(content).map_err(|_| wrong(Mistake::new("no-text", "the file is not UTF-8")))?;
        let outline = outline(text).map_err(wrong)?;
        self.check_escape(outline.escape, text).map_err(wrong)?;
        self.open.push(file);
        self.pieces(&text.split_inclusive('\n').collect::<Vec<_>>(), outline.pieces, &shown)?;
        self.open.pop();
        Ok(())
    }

    /// A file has the escape character of the one that includes it, and goes on in no other file.
    fn check_escape(&mut self, escape: char, text: &str) -> Result<(), Mistake> {
        let Some(first) = self.escape else {
            self.scope.set_escape(escape);
            self.escape = Some(escape);
            return Ok(());
        };
        if escape != first {
            let help = format!("begin it with # escape={first}");
            return Err(Mistake::new("other-escape", "an included file must have the escape character of the first").help(help));
        }
        let last = text.trim_end().lines().last().unwrap_or_default();
        match last.strip_suffix(escape).filter(|front| !front.ends_with(escape) && !last.trim_start().starts_with('#')) {
            Some(_) => Err(Mistake::new("open-end", format!("the file's last line goes on: there is a {escape} at its end"))),
            None => Ok(()),
        }
    }

    fn pieces(&mut self, raw: &[&str], pieces: Vec<Piece>, shown: &Rc<str>) -> Result<(), Error> {
        let mut branches: Vec<Branch> = Vec::new();
        let mut copied = 0;
        for piece in pieces {
            let lines = match &piece {
                Piece::Instruction(instruction) => instruction.lines.clone(),
                Piece::Foreign { lines, .. } => lines.clone(),
            };
            let active = branches.iter().all(|branch| branch.active);
            let comments = copied..*lines.start() as usize - 1;
            if active {
                self.copy(raw, comments, shown);
            }
            copied = *lines.end() as usize;
            let place = *lines.start() as usize - 1..copied;
            match piece {
                _ if self.text.len() > MAX_SIZE => return Err(mistake(too_large(), shown, &lines)),
                Piece::Foreign { keyword, rest, .. } if is(&keyword, "INCLUDE") && active => self.include(&rest, shown, &lines)?,
                Piece::Foreign { keyword, rest, .. } if is_own(&keyword) => {
                    self.blank(shown, &lines);
                    self.branch(&keyword, &rest, &mut branches, active, &lines).map_err(|why| mistake(why, shown, &lines))?;
                }
                Piece::Instruction(instruction) if active => {
                    self.scope.pass(&instruction).map_err(|why| mistake(why, shown, &lines))?;
                    self.copy(raw, place, shown);
                }
                Piece::Foreign { .. } if active => self.copy(raw, place, shown),
                Piece::Instruction(_) | Piece::Foreign { .. } => {}
            }
        }
        match branches.pop() {
            Some(open) => Err(mistake(Mistake::new("open-if", "this IF has no ENDIF in its file"), shown, &open.lines)),
            None => Ok(()),
        }
    }

    fn copy(&mut self, raw: &[&str], lines: std::ops::Range<usize>, shown: &Rc<str>) {
        for (number, line) in (1..).zip(raw).skip(lines.start).take(lines.len()) {
            self.text.push_str(line.strip_suffix('\n').unwrap_or(line));
            self.text.push('\n');
            self.origins.push(shown, number);
        }
    }

    fn blank(&mut self, shown: &Rc<str>, lines: &Lines) {
        self.text.push('\n');
        self.origins.push(shown, *lines.start());
    }

    /// `IF`, `ELSE`, `ENDIF`, or an `INCLUDE` that does not count.
    fn branch(&self, keyword: &str, rest: &str, branches: &mut Vec<Branch>, active: bool, lines: &Lines) -> Result<(), Mistake> {
        if is(keyword, "IF") {
            let holds = active && self.scope.holds(rest)?;
            branches.push(Branch { lines: lines.clone(), active: holds, otherwise: Some(!holds) });
            return Ok(());
        }
        if is(keyword, "INCLUDE") {
            return Ok(());
        }
        if !rest.is_empty() {
            return Err(Mistake::new("bad-condition", format!("{keyword} stands alone: {rest:?} is too much")));
        }
        let alone = || Mistake::new("no-if", format!("there is no IF in this file for this {keyword}"));
        if is(keyword, "ENDIF") {
            return branches.pop().map(drop).ok_or_else(alone);
        }
        let branch = branches.last_mut().ok_or_else(alone)?;
        branch.active = branch.otherwise.take().ok_or_else(|| Mistake::new("no-if", "this IF has an ELSE already"))?;
        Ok(())
    }

    fn include(&mut self, path: &str, shown: &Rc<str>, lines: &Lines) -> Result<(), Error> {
        self.blank(shown, lines);
        let wrong = |why| mistake(why, shown, lines);
        let file = self.scope.word(path).and_then(|path| self.locate(&path)).map_err(wrong)?;
        let content = self.session.read_file(file.context, &file.path)?;
        let content = content.ok_or_else(|| {
            let help = "a path is relative to the folder of its own file; with a / in front, to the build's context";
            wrong(Mistake::new("no-file", format!("there is no file {} to include", file.shown)).help(help))
        })?;
        self.file(file, content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&content))
    }

    /// The file that is meant in the one that is being read.
    fn locate(&self, path: &str) -> Result<File, Mistake> {
        let (context, folder) = match self.open.last() {
            Some(file) if !path.starts_with('/') => (file.context, file.path.rsplit_once('/').map_or("", |(folder, _)| folder)),
            _ => (MAIN_CONTEXT, ""),
        };
        let clean = clean(&format!("{folder}/{path}")).ok_or_else(|| Mistake::new("bad-path", format!("no file can be {path:?}")))?;
        let shown = if context == FILE_CONTEXT && !self.folder.is_empty() { format!("{}/{clean}", self.folder) } else { clean.clone() };
        let file = File { context, path: clean, shown: shown.into() };
        if self.open.iter().any(|open| open.context == file.context && open.path == file.path) {
            let way: Vec<&str> = self.open.iter().map(|open| &*open.shown).chain([&*file.shown]).collect();
            return Err(Mistake::new("include-cycle", format!("files include each other: {}", way.join(" → "))));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(Mistake::new("include-depth", format!("files include each other more than {MAX_DEPTH} deep")));
        }
        Ok(file)
    }
}

fn is(keyword: &str, name: &str) -> bool {
    keyword.eq_ignore_ascii_case(name)
}

fn is_own(keyword: &str) -> bool {
    ["INCLUDE", "IF", "ELSE", "ENDIF"].iter().any(|own| is(keyword, own))
}

fn too_large() -> Mistake {
    Mistake::new("too-large", format!("the file and what it includes have more than {} MiB", MAX_SIZE >> 20))
}

/// The path without `.` and `..`; none if it leads out or nowhere.
fn clean(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match part {
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}
