//! Statements as instructions: which arguments and flags each takes (BuildKit's `instructions`).

use super::files::{add, copy};
use super::flags::{Flags, Kind};
use super::statement::{Arguments, Line, Statement};
use super::suggest::did_you_mean;
use super::{
    Argument, Command, CommandLine, Device, From, Heredoc, Instruction, Mistake, MountFlag, Network, Pair, Run, Security, healthcheck,
    quoted,
};

pub(super) const KEYWORDS: [&str; 18] = [
    "add",
    "arg",
    "cmd",
    "copy",
    "entrypoint",
    "env",
    "expose",
    "from",
    "healthcheck",
    "label",
    "maintainer",
    "onbuild",
    "run",
    "shell",
    "stopsignal",
    "user",
    "volume",
    "workdir",
];

impl Statement {
    /// What the statement says. Its mistake has the statement's place.
    pub(super) fn instruction(self) -> Result<Instruction, Mistake> {
        let command = self.command().map_err(|mistake| mistake.at(&self.lines))?;
        Ok(Instruction { keyword: self.line.keyword, command, text: self.text.trim().into(), lines: self.lines, comments: self.comments })
    }

    fn command(&self) -> Result<Command, Mistake> {
        let keyword = self.line.keyword.to_ascii_uppercase();
        let flags = &self.line.flags[..];
        match &self.line.arguments {
            Arguments::Words(words) | Arguments::Array(words) => self.of_words(&keyword, words),
            Arguments::Pairs(pairs) => of_pairs(&keyword, pairs, flags),
            Arguments::Command(line) => self.of_command(&keyword, line),
            Arguments::Check(kind, rest) => healthcheck::parse(kind, rest, flags).map(Command::Healthcheck),
            Arguments::Text(text) => of_text(&keyword, text, flags),
            Arguments::Trigger(trigger) => self.trigger(trigger.as_deref()).map(Command::Onbuild),
            Arguments::Unknown => Err(unknown(&self.line.keyword)),
        }
    }

    fn of_words(&self, keyword: &str, words: &[String]) -> Result<Command, Mistake> {
        match (keyword, words) {
            ("FROM", _) => from(words, &self.line.flags).map(Command::From),
            ("ADD", _) => add(words, &self.heredocs, &self.line.flags).map(Command::Add),
            ("COPY", _) => copy(words, &self.heredocs, &self.line.flags).map(Command::Copy),
            (_, []) => Err(at_least_one(keyword)),
            ("ARG", _) => words.iter().map(|word| argument(word)).collect::<Result<_, _>>().map(Command::Arg),
            ("EXPOSE", _) => {
                Flags::check(&self.line.flags, &[])?;
                let mut ports = words.to_vec();
                ports.sort();
                Ok(Command::Expose(ports))
            }
            _ => {
                Flags::check(&self.line.flags, &[])?;
                words.iter().map(|word| volume(word)).collect::<Result<_, _>>().map(Command::Volume)
            }
        }
    }

    fn of_command(&self, keyword: &str, line: &CommandLine) -> Result<Command, Mistake> {
        if keyword == "RUN" {
            return run(line, &self.heredocs, &self.line.flags).map(Command::Run);
        }
        Flags::check(&self.line.flags, &[])?;
        match (keyword, line) {
            ("CMD", line) => Ok(Command::Cmd(line.clone())),
            ("ENTRYPOINT", line) => Ok(Command::Entrypoint(line.clone())),
            (_, CommandLine::Exec(words)) if !words.is_empty() => Ok(Command::Shell(words.clone())),
            (_, CommandLine::Shell(line)) if !line.is_empty() => Err(bad(format!("{keyword} requires the arguments to be in JSON form"))),
            _ => Err(at_least_one(keyword)),
        }
    }

    /// What `ONBUILD` records: its text with the documents, though not with the tabs before what ends them.
    fn trigger(&self, trigger: Option<&Line>) -> Result<String, Mistake> {
        let trigger = trigger.ok_or_else(|| at_least_one("ONBUILD"))?;
        Flags::check(&self.line.flags, &[])?;
        match trigger.keyword.to_uppercase().as_str() {
            "ONBUILD" => return Err(bad("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")),
            name @ ("MAINTAINER" | "FROM") => return Err(bad(format!("{name} isn't allowed as an ONBUILD trigger"))),
            _ => {}
        }
        let behind = &self.text.trim_start()[self.line.keyword.len()..];
        let mut recorded = behind.trim_start_matches(|next: char| next.is_ascii_whitespace()).to_owned();
        for heredoc in &self.heredocs {
            recorded.extend(["\n", &heredoc.content, &heredoc.name]);
        }
        Ok(recorded)
    }
}

fn of_pairs(keyword: &str, pairs: &[Pair], flags: &[String]) -> Result<Command, Mistake> {
    Flags::check(flags, &[])?;
    if pairs.is_empty() {
        return Err(at_least_one(keyword));
    }
    if pairs.iter().any(|pair| pair.key.is_empty()) {
        return Err(bad(format!("{keyword} names can not be blank")));
    }
    let pairs = pairs.to_vec();
    Ok(if keyword == "ENV" { Command::Env(pairs) } else { Command::Label(pairs) })
}

fn of_text(keyword: &str, text: &str, flags: &[String]) -> Result<Command, Mistake> {
    if text.is_empty() {
        return Err(bad(format!("{keyword} requires exactly one argument")));
    }
    let text = text.to_owned();
    if keyword == "STOPSIGNAL" {
        return Ok(Command::StopSignal(text));
    }
    Flags::check(flags, &[])?;
    Ok(match keyword {
        "MAINTAINER" => Command::Maintainer(text),
        "USER" => Command::User(text),
        _ => Command::Workdir(text),
    })
}

fn from(words: &[String], flags: &[String]) -> Result<From, Mistake> {
    let (base, name) = match words {
        [base] => (base, None),
        [base, r#as, name] if r#as.eq_ignore_ascii_case("as") => (base, Some(stage_name(name)?)),
        [_, _, _] | [] | [_, _, ..] => return Err(bad("FROM requires either one or three arguments")),
    };
    let flags = Flags::check(flags, &[("platform", Kind::Text)])?;
    Ok(From { base: base.clone(), platform: flags.filled("platform"), name })
}

/// A letter, then letters, digits, `-`, `_` and `.`.
fn stage_name(name: &str) -> Result<String, Mistake> {
    let lower = name.to_lowercase();
    let fits = |next: char| next.is_ascii_lowercase() || next.is_ascii_digit() || matches!(next, '-' | '_' | '.');
    if lower.starts_with(|first: char| first.is_ascii_lowercase()) && lower.chars().all(fits) {
        return Ok(lower);
    }
    let reason = "name can't start with a number or contain symbols";
    Err(Mistake::new("bad-stage-name", format!("invalid name for build stage: {}, {reason}", quoted(name))))
}

fn argument(word: &str) -> Result<Argument, Mistake> {
    match word.split_once('=') {
        Some(("", _)) => Err(bad("ARG names can not be blank")),
        Some((name, default)) => Ok(Argument { name: name.into(), default: Some(default.into()) }),
        None => Ok(Argument { name: word.into(), default: None }),
    }
}

fn volume(word: &str) -> Result<String, Mistake> {
    match word.trim() {
        "" => Err(bad("VOLUME specified can not be an empty string")),
        path => Ok(path.into()),
    }
}

fn run(line: &CommandLine, heredocs: &[Heredoc], flags: &[String]) -> Result<Run, Mistake> {
    const FLAGS: [(&str, Kind); 4] = [("device", Kind::List), ("mount", Kind::List), ("network", Kind::Text), ("security", Kind::Text)];
    let flags = Flags::check(flags, &FLAGS)?;
    Ok(Run {
        line: line.clone(),
        heredocs: heredocs.to_vec(),
        devices: flags.list("device").iter().map(|text| Device::parse(text)).collect::<Result<_, _>>()?,
        mounts: flags.list("mount").iter().map(|text| MountFlag::parse(text)).collect::<Result<_, _>>()?,
        network: network(flags.text("network"))?,
        security: security(flags.text("security"))?,
        flags: flags.names(),
    })
}

fn network(value: Option<&str>) -> Result<Network, Mistake> {
    match value {
        None | Some("default") => Ok(Network::Default),
        Some("none") => Ok(Network::None),
        Some("host") => Ok(Network::Host),
        Some(other) => Err(Mistake::new("bad-flag", format!("invalid network mode {}", quoted(other)))),
    }
}

fn security(value: Option<&str>) -> Result<Security, Mistake> {
    match value {
        None | Some("sandbox") => Ok(Security::Sandbox),
        Some("insecure") => Ok(Security::Insecure),
        Some(other) => Err(Mistake::new("bad-flag", format!("security {} is not valid", quoted(other)))),
    }
}

fn unknown(keyword: &str) -> Mistake {
    let hint = did_you_mean(keyword, &KEYWORDS, false);
    Mistake::new("unknown-instruction", format!("unknown instruction: {keyword}{hint}"))
}

fn at_least_one(keyword: &str) -> Mistake {
    bad(format!("{keyword} requires at least one argument"))
}

pub(super) fn bad(message: impl Into<String>) -> Mistake {
    Mistake::new("bad-arguments", message)
}
