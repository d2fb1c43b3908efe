//! `--name=value` between an instruction's keyword and its arguments.

use super::Mistake;
use super::suggest::did_you_mean;
use super::words::is_space;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `--name`, `--name=true` or `--name=false`
    Bool,
    /// `--name=value`
    Text,
    /// `--name=value` any number of times
    List,
}

/// An instruction's flags, all of them known and with fitting values.
#[derive(Debug, Default)]
pub(super) struct Flags(Vec<(String, String)>);

impl Flags {
    /// Checks flags as they are written against those that there are, which are sorted by their names.
    pub(super) fn check(written: &[String], known: &[(&str, Kind)]) -> Result<Flags, Mistake> {
        let mut flags = Flags::default();
        for flag in written {
            let (name, value) = flag.split_once('=').map_or((&flag[..], None), |(name, value)| (name, Some(value)));
            let bare = name.strip_prefix("--").unwrap_or(name);
            let (_, kind) = known.iter().find(|(known, _)| *known == bare).ok_or_else(|| unknown(name, bare, known))?;
            if *kind != Kind::List && flags.text(bare).is_some() {
                return Err(Mistake::new("repeated-flag", format!("duplicate flag specified: {name}")));
            }
            let value = if *kind == Kind::Bool { boolean(name, value)? } else { value.ok_or_else(|| no_value(name))? };
            flags.0.push((bare.to_owned(), value.to_owned()));
        }
        Ok(flags)
    }

    /// The value of this flag, if it is given.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(flag, _)| flag == name).map(|(_, value)| &value[..])
    }

    /// The value of this flag; an empty one is as none.
    pub(super) fn filled(&self, name: &str) -> Option<String> {
        self.text(name).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// The value of this boolean flag, if it is given.
    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        self.text(name).map(|value| value == "true")
    }

    /// All values of this flag.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(flag, _)| flag == name).map(|(_, value)| value.clone()).collect()
    }

    /// The names of those that are given, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        names.dedup();
        names
    }
}

fn unknown(name: &str, bare: &str, known: &[(&str, Kind)]) -> Mistake {
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    Mistake::new("unknown-flag", format!("unknown flag: {name}{}", did_you_mean(bare, &names, true)))
}

fn boolean<'a>(name: &str, value: Option<&'a str>) -> Result<&'a str, Mistake> {
    match value.map(str::to_lowercase).as_deref() {
        None | Some("true") => Ok("true"),
        Some("false") => Ok("false"),
        Some("") => Err(no_value(name)),
        Some(_) => {
            let message = format!("expecting boolean value for flag {name}, not: {}", value.unwrap_or_default());
            Err(Mistake::new("bad-flag", message))
        }
    }
}

fn no_value(name: &str) -> Mistake {
    Mistake::new("bad-flag", format!("missing a value on flag: {name}"))
}

/// Takes the flags from the front of a text, without their quotes, and leaves the rest. `--` ends them.
pub(super) fn split_flags(text: &str, escape: char) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while rest.starts_with("--") {
        let (flag, behind) = flag(rest, escape);
        if flag == "--" {
            return (flags, behind);
        }
        flags.push(flag);
        rest = behind.trim_start_matches(is_space);
    }
    (flags, rest)
}

/// One word without its quotes and escape characters, and what stands behind it.
fn flag(text: &str, escape: char) -> (String, &str) {
    let mut flag = String::new();
    let mut quote = None;
    let mut rest = text.chars();
    loop {
        let behind = rest.as_str();
        let Some(next) = rest.next() else { return (flag, behind) };
        match quote {
            None if is_space(next) => return (flag, behind),
            _ if quote == Some(next) => quote = None,
            None if matches!(next, '\'' | '"') => quote = Some(next),
            // The escape character at the very end goes.
            _ if next == escape => flag.extend(rest.next()),
            _ => flag.push(next),
        }
    }
}
