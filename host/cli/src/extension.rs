//! Subcommands of plugins: `nacre NAME …`.
//!
//! What they are called and take is in the manifests, so that help and completion run nothing. The manifests are read
//! only where the command line names no verb of nacre's own.

use std::{collections::BTreeSet, ffi::OsString, iter, process::ExitCode, sync::atomic::Ordering};

use anyhow::Result;
use clap::{Arg, ArgAction, ArgMatches, Args as _, CommandFactory, Parser, Subcommand};
use nacre_plugin::{Argument, Command, Kv, Plugin, Plugins};

use crate::{args, args::Cli, context::Context, global::Global, output::escape::visible, screen::Screen};

/// Where plugins' commands stand in the help: behind nacre's own.
const LAST: usize = 10_000;

/// Nacre's own options, wherever they stand.
#[derive(Parser)]
struct Globals {
    #[command(flatten)]
    global: Global,
}

/// What can be told of a command line without knowing all commands.
pub(crate) struct Early {
    verb: Option<String>,
    /// The word behind it that is no option.
    second: Option<String>,
    global: Vec<OsString>,
    version: bool,
}

impl Early {
    /// Looks for the first word that is no option, and for nacre's own options.
    pub(crate) fn read(words: impl IntoIterator<Item = OsString>) -> Self {
        let known = globals();
        let mut early = Self { verb: None, second: None, global: Vec::new(), version: false };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let text = word.to_string_lossy();
            early.version |= early.verb.is_none() && (text == "-V" || text == "--version");
            let Some(option) = text.strip_prefix("--") else {
                if !text.starts_with('-') {
                    let first_free = if early.verb.is_none() { &mut early.verb } else { &mut early.second };
                    first_free.get_or_insert_with(|| text.into_owned());
                }
                continue;
            };
            if option.is_empty() {
                break;
            }
            let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
            let Some(arg) = known.get_arguments().find(|arg| arg.get_long() == Some(name)) else { continue };
            let takes_next = arg.get_action().takes_values() && value.is_none();
            early.global.push(word);
            early.global.extend(takes_next.then(|| words.next()).flatten());
        }
        early
    }

    /// Whether the verb is one of nacre's own, or the version is asked for, so that no plugin has to be looked for.
    pub(crate) fn is_own(&self) -> bool {
        self.version || self.verb.as_deref().is_some_and(|verb| verb != "help" && is_own(verb))
    }

    /// Whether a program is to be run in a container, so that exit code 2 could be that program's.
    pub(crate) fn runs_a_program(&self) -> bool {
        let verb = self.verb.as_deref().filter(|verb| *verb != "container").or(self.second.as_deref());
        matches!(verb, Some("run" | "exec"))
    }

    /// Whether an image is to be built.
    pub(crate) fn builds(&self) -> bool {
        let groups = ["image", "builder", "buildx"];
        let verb = self.verb.as_deref().filter(|verb| !groups.contains(verb)).or(self.second.as_deref());
        verb == Some("build")
    }

    /// Whether an error is shown with its causes.
    pub(crate) fn debug(&self) -> bool {
        self.global.iter().any(|option| option == "--debug")
    }

    /// Whether the user only wants to see what there is.
    fn is_help(&self) -> bool {
        self.verb.as_deref().is_none_or(|verb| verb == "help")
    }

    /// What the options in front of, and behind, the verb say. Wrong ones are told by the full command line.
    fn context(&self) -> Option<Result<Context>> {
        let parsed = Globals::try_parse_from(iter::once(&OsString::from("nacre")).chain(&self.global));
        parsed.ok().map(|globals| Context::new(globals.global))
    }

    /// The context and the plugins, where they can be had. Help does without them.
    pub(crate) fn plugins(&self) -> Result<Option<(Context, Plugins)>> {
        let Some(context) = self.context() else { return Ok(None) };
        let both = context.and_then(|context| context.plugins().map(|plugins| (context, plugins)));
        match both {
            Err(_) if self.is_help() => Ok(None),
            both => both.map(Some),
        }
    }
}

/// The command line with the plugins' commands in it; of two with one name the first.
pub(crate) fn extended(plugins: &Plugins) -> clap::Command {
    let mut had = BTreeSet::new();
    let globals = globals();
    let can_be_had = plugins.commands().filter(|(_, command)| problem(&globals, command).is_none() && had.insert(&command.name));
    Cli::command().subcommands(can_be_had.map(|(plugin, command)| described(plugin, command)))
}

/// Why a plugin's command cannot be had: nacre's own verbs and options, which are `globals`, stay what they are.
fn problem(globals: &clap::Command, command: &Command) -> Option<String> {
    if is_own(&command.name) {
        return Some(format!("its command {} cannot be had: nacre {} is a verb of nacre's own", command.name, command.name));
    }
    let taken = |argument: &&Argument| {
        !argument.is_position() && (argument.name == "version" || globals.get_arguments().any(|own| own.get_long() == Some(&argument.name)))
    };
    let argument = command.arguments.iter().find(taken)?;
    Some(format!("its command {} cannot be had: --{} is an option of nacre's own", command.name, argument.name))
}

/// What of the plugins' commands cannot be had.
pub(crate) fn problems(plugins: &Plugins) -> Vec<String> {
    let globals = globals();
    let of = |plugin: &Plugin, command| Some(format!("plugin {}: {}", plugin.name(), problem(&globals, command)?));
    plugins.commands().filter_map(|(plugin, command)| of(plugin, command)).collect()
}

/// Whether a verb is nacre's own. The whole command line is not made for that: it has a thousand arguments.
fn is_own(verb: &str) -> bool {
    // has_subcommand knows no aliases.
    ["help", "buildx"].contains(&verb) || args::Command::has_subcommand(verb)
}

/// Nacre's own options, which stand before or behind any verb.
fn globals() -> clap::Command {
    Global::augment_args(clap::Command::new("nacre"))
}

fn described(plugin: &Plugin, command: &Command) -> clap::Command {
    let about = format!("{} [{}]", visible(&command.about), plugin.name());
    let own = clap::Command::new(command.name.clone()).about(about).display_order(LAST);
    let format = Arg::new("format").long("format").value_name("FORMAT").default_value("").hide_default_value(true);
    let format = command.table.then(|| format.help("`table`, `table TEMPLATE`, `json` or a Go template over the columns"));
    own.args(command.arguments.iter().map(argument)).args(format)
}

fn argument(argument: &Argument) -> Arg {
    let action = match argument {
        Argument { switch: true, .. } => ArgAction::SetTrue,
        Argument { repeated: true, .. } => ArgAction::Append,
        _ => ArgAction::Set,
    };
    let arg = Arg::new(id(argument)).help(visible(&argument.help).into_owned()).action(action);
    let arg = arg.required(argument.required).value_name(argument.name.to_uppercase());
    match argument {
        Argument { repeated: true, .. } if argument.is_position() => arg.num_args(1..),
        _ if argument.is_position() => arg,
        _ => arg.long(argument.name.clone()),
    }
}

/// Not the name alone: that could be the name of one of nacre's own.
fn id(argument: &Argument) -> String {
    format!("plugin {}", argument.name)
}

/// Runs the plugin's command that the command line names; `None` if it names one of nacre's own.
pub(crate) fn run(context: &Context, plugins: &Plugins, matches: &ArgMatches) -> Option<Result<ExitCode>> {
    let (name, matches) = matches.subcommand()?;
    if is_own(name) {
        return None;
    }
    // As in `extended`, of those that can be had the first.
    let globals = globals();
    let (plugin, command) = plugins.commands().find(|(_, command)| command.name == name && problem(&globals, command).is_none())?;
    Some(call(context, plugin, command, matches))
}

fn call(context: &Context, plugin: &Plugin, command: &Command, matches: &ArgMatches) -> Result<ExitCode> {
    let format = if command.table { matches.get_one::<String>("format").map_or("", String::as_str) } else { "" };
    let screen = Screen::new(&command.name, format);
    let closed = screen.closed();
    let code = plugin.run(&command.name, &values(command, matches), Box::new(screen));
    context.show_log(plugin);
    match code {
        Err(_) if closed.load(Ordering::Relaxed) => Ok(ExitCode::SUCCESS),
        code => Ok(ExitCode::from(code?)),
    }
}

/// What the user gave, in the order of the command line.
fn values(command: &Command, matches: &ArgMatches) -> Vec<Kv> {
    let mut given: Vec<(usize, Kv)> = Vec::new();
    for argument in &command.arguments {
        let id = id(argument);
        let from_user = matches.value_source(&id) == Some(clap::parser::ValueSource::CommandLine);
        let indices = matches.indices_of(&id).into_iter().flatten().filter(|_| from_user);
        if argument.switch {
            given.extend(indices.map(|index| (index, Kv::new(&argument.name, "true"))));
        } else {
            let all = matches.get_many::<String>(&id).into_iter().flatten();
            given.extend(indices.zip(all).map(|(index, value)| (index, Kv::new(&argument.name, value))));
        }
    }
    given.sort_by_key(|(index, _)| *index);
    given.into_iter().map(|(_, value)| value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn early(line: &str) -> Early {
        Early::read(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_verb_is_found_among_nacres_options() {
        for (line, verb, own) in [
            ("", None, false),
            ("--help", None, false),
            ("--version", None, true),
            ("--root /x -V", None, true),
            ("tree -V", Some("tree"), false),
            ("images --help", Some("images"), true),
            ("--root /x --debug images", Some("images"), true),
            ("--root=/x tree --root /y app", Some("tree"), false),
            ("help tree", Some("help"), false),
            ("-x -- images", None, false),
        ] {
            let found = early(line);
            assert_eq!((found.verb.as_deref(), found.is_own()), (verb, own), "{line}");
        }
        assert_eq!(early("--root=/x tree --debug --limit 3 --plugins /y a").global, ["--root=/x", "--debug", "--plugins", "/y"]);
        assert!(early("tree --progress loud").context().is_none());
    }

    fn command(name: &str, arguments: &[&str]) -> Command {
        let argument = |words: &&str| {
            let (name, kind) = words.split_once(' ').unwrap_or((words, ""));
            let is = |word: &str| kind.contains(word);
            let (name, help) = (name.to_owned(), "x\u{1b}[2J".to_owned());
            Argument { name, help, option: is("option"), switch: is("switch"), required: is("required"), repeated: is("repeated") }
        };
        Command { name: name.into(), about: "about".into(), table: false, arguments: arguments.iter().map(argument).collect() }
    }

    #[test]
    fn every_verb_is_known_without_the_command_line() {
        let cli = Cli::command();
        let all = cli.get_subcommands().flat_map(|verb| verb.get_all_aliases().chain([verb.get_name()]).collect::<Vec<_>>());
        assert_eq!(all.filter(|verb| !is_own(verb)).collect::<Vec<_>>(), [""; 0]);
    }

    #[test]
    fn nacres_own_verbs_and_options_cannot_be_taken() {
        let cli = globals();
        assert_eq!(problem(&cli, &command("lint", &["root", "limit option"])), None);
        assert!(problem(&cli, &command("images", &[])).is_some_and(|text| text.contains("a verb of nacre's own")));
        assert!(problem(&cli, &command("help", &[])).is_some());
        let root = problem(&cli, &command("lint", &["root switch"]));
        assert_eq!(root.as_deref(), Some("its command lint cannot be had: --root is an option of nacre's own"));
    }

    #[test]
    fn values_come_in_the_order_of_the_command_line() {
        let command = command("lint", &["first required", "root", "rest repeated", "level option", "tag option repeated", "all switch"]);
        let line = command.arguments.iter().map(argument).fold(clap::Command::new("lint"), clap::Command::arg);
        let parse = |words: &str| line.clone().try_get_matches_from(iter::once("lint").chain(words.split_whitespace()));
        let given = |words: &str| {
            let matches = parse(words).map_err(|error| error.to_string()).unwrap_or_default();
            values(&command, &matches).iter().map(|kv| format!("{}={}", kv.key, kv.value)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(given("--tag x a --tag=y b c d"), "tag=x first=a tag=y root=b rest=c rest=d");
        assert_eq!(given("a --all --level 3"), "first=a all=true level=3");
        assert!(parse("").is_err() && parse("a --level").is_err());
        let help = line.clone().render_help().to_string();
        assert!(help.contains("x\\x1b[2J") && help.contains("--level <LEVEL>"), "{help}");
    }
}
