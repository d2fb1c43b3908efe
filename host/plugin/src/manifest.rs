//! `plugin.toml`: what a plugin says about itself.
//!
//! ```toml
//! [plugin]
//! name = "acme/prune-lru"          # unique; lower case
//! version = "1.2.0"                # the plugin's own, semantic
//! api = "0.1"                      # the interfaces it is made for
//! description = "one line"
//! license = "Apache-2.0"           # optional
//!
//! [provides]                       # at least one of these
//! search-filter = ["stars"]        # keys of `nacre search --filter`
//! prune-policy = ["lru"]           # names for `nacre image prune --policy`
//! import-format = ["zip"]          # names for `nacre import --format`
//! export-format = ["cpio"]         # names for `nacre save --format`
//! admission = ["rules"]            # a name for what may happen to images
//! build-frontend = ["dockerfile"]  # names for `nacre build`
//!
//! [[command]]                      # a subcommand, `nacre tree IMAGE`
//! name = "tree"
//! about = "Show the layers and files of an image"
//! table = true                     # takes --format
//! [[command.argument]]
//! name = "image"
//! help = "the image"
//! required = true
//!
//! [options]                        # what its keys and its options mean, a line each;
//! stars = "at least this many"     # a plugin gets no option that is not listed here
//!
//! [capabilities]                   # what it asks for; see `capability`
//! store = "read"                   # none, read or write
//! registries = ["ghcr.io"]         # hosts, or "*"
//! net = ["api.acme.com"]           # exact hosts; "*" for what a frontend's builds fetch
//! context = ["src/**"]             # globs below the working folder
//!
//! [limits]                         # of each call
//! memory = "64MiB"
//! time = "2s"
//!
//! [settings]                       # defaults; the user's configuration can replace each key
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::capability::Capabilities;
use crate::error::{Fault, one_line};
use crate::limits::Limits;
use crate::{API, Settings};

/// Bytes that a `plugin.toml` may have.
pub(crate) const MAX_BYTES: u64 = 64 << 10;

/// A plugin's `plugin.toml`, checked.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Who the plugin is.
    pub plugin: About,
    /// What it can be asked for, beside its commands.
    #[serde(default)]
    pub provides: Provides,
    /// The subcommands that it adds.
    #[serde(default, rename = "command")]
    pub commands: Vec<Command>,
    /// What its keys and options mean.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// What it asks for beyond its arguments.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// What each call may use.
    #[serde(default)]
    pub limits: Limits,
    /// Its own settings, with their defaults.
    #[serde(default)]
    pub settings: Settings,
}

/// `[plugin]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Unique among all plugins.
    pub name: String,
    /// The plugin's semantic version.
    pub version: String,
    /// The version of the interfaces that it is made for.
    pub api: String,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// An SPDX expression.
    #[serde(default)]
    pub license: Option<String>,
}

/// `[provides]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Provides {
    /// Keys of `nacre search --filter`.
    #[serde(default)]
    pub search_filter: Vec<String>,
    /// Names for `nacre image prune --policy`.
    #[serde(default)]
    pub prune_policy: Vec<String>,
    /// Names for `nacre import --format`.
    #[serde(default)]
    pub import_format: Vec<String>,
    /// Names for `nacre save --format`.
    #[serde(default)]
    pub export_format: Vec<String>,
    /// Names for what it has to say about what may happen to images.
    #[serde(default)]
    pub admission: Vec<String>,
    /// Names for `nacre build --frontend` and `# syntax=`.
    #[serde(default)]
    pub build_frontend: Vec<String>,
}

impl Provides {
    /// Each kind, named as in `plugin.toml`, with what is provided of it.
    pub fn kinds(&self) -> [(&'static str, &[String]); 6] {
        [
            ("search-filter", &self.search_filter),
            ("prune-policy", &self.prune_policy),
            ("import-format", &self.import_format),
            ("export-format", &self.export_format),
            ("admission", &self.admission),
            ("build-frontend", &self.build_frontend),
        ]
    }
}

/// `[[command]]`: a subcommand.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// `nacre NAME`.
    pub name: String,
    /// One line for the help.
    pub about: String,
    /// Whether it prints a table, and so takes `--format`.
    #[serde(default)]
    pub table: bool,
    /// What it takes, in the order of the help; positions in the order of the command line.
    #[serde(default, rename = "argument")]
    pub arguments: Vec<Argument>,
}

/// `[[command.argument]]`: one argument of a subcommand.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Argument {
    /// Its name, as in `--name` and as the plugin gets it.
    pub name: String,
    /// One line for the help.
    pub help: String,
    /// `--name VALUE` and not a position.
    #[serde(default)]
    pub option: bool,
    /// `--name` without a value. Implies `option`.
    #[serde(default)]
    pub switch: bool,
    /// Whether it must be there.
    #[serde(default)]
    pub required: bool,
    /// Whether there may be several; of the positions only the last.
    #[serde(default)]
    pub repeated: bool,
}

/// The part that tells whether the rest can be understood.
#[derive(Deserialize)]
struct Peek {
    plugin: PeekAbout,
}

#[derive(Deserialize)]
struct PeekAbout {
    api: String,
}

/// Why a text is no manifest. One for other interfaces may be unreadable for that very reason, which then is the one to tell.
fn unreadable(text: &str, error: &toml::de::Error) -> Fault {
    let peek = toml::from_str::<Peek>(text).map_err(|error| toml_fault(text, &error));
    peek.and_then(|peek| check_api(&peek.plugin.api)).err().unwrap_or_else(|| toml_fault(text, error))
}

impl Manifest {
    /// Reads a `plugin.toml`.
    ///
    /// # Errors
    /// It is no TOML, lacks or misspells something, is made for other interfaces, or asks for a
    /// capability that there is not.
    pub fn parse(text: &str) -> Result<Manifest, Fault> {
        let manifest: Manifest = toml::from_str(text).map_err(|error| unreadable(text, &error))?;
        check_api(&manifest.plugin.api)?;
        manifest.check().map_err(Fault::Manifest)?;
        Ok(manifest)
    }

    /// Whether its name is one of nacre's own: `nacre/tree`.
    pub(crate) fn is_reserved(&self) -> bool {
        self.plugin.name.split('/').next() == Some("nacre")
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let About { name, version, .. } = &self.plugin;
        if name.len() > 100 || !name.split('/').all(is_word) {
            return Err(format!("name = {name:?}: want lower-case letters, digits, '-', '_', '.' and '/', such as \"acme/prune-lru\""));
        }
        if let Err(error) = semver::Version::parse(version) {
            return Err(format!("version = {version:?}: want a semantic version such as \"1.2.0\" ({error})"));
        }
        let commands = self.commands.iter().map(|command| &command.name);
        let provided: Vec<&String> = self.provides.kinds().into_iter().flat_map(|(_, names)| names).chain(commands).collect();
        if provided.is_empty() {
            return Err("[provides] names nothing, and there is no [[command]]".into());
        }
        if let Some(word) = provided.into_iter().find(|word| !is_word(word)) {
            return Err(format!("[provides] {word:?}: want lower-case letters, digits, '-', '_' and '.'"));
        }
        if self.capabilities.all_hosts() && self.provides.build_frontend.is_empty() {
            return Err("net = \"*\": only a build frontend can ask for all hosts: name those that it needs".into());
        }
        self.commands.iter().try_for_each(Command::check)
    }
}

impl Command {
    /// Whether its arguments can be told apart on a command line.
    fn check(&self) -> Result<(), String> {
        let bad = |argument: &Argument, why: &str| Err(format!("[[command]] {}: argument {:?} {why}", self.name, argument.name));
        let mut seen = Vec::new();
        let last = self.arguments.iter().rposition(Argument::is_position);
        let mut optional = false;
        for (index, argument) in self.arguments.iter().enumerate() {
            if !is_word(&argument.name) || argument.name.contains('.') {
                return bad(argument, "has a bad name: want lower-case letters, digits, '-' and '_'");
            }
            if seen.contains(&&argument.name) || argument.name == "help" || (self.table && argument.name == "format") {
                return bad(argument, "is there already");
            }
            seen.push(&argument.name);
            if argument.is_position() {
                if argument.repeated && last != Some(index) {
                    return bad(argument, "may only be repeated as the last position");
                }
                if argument.required && optional {
                    return bad(argument, "is required behind one that is not");
                }
                optional |= !argument.required;
            }
        }
        Ok(())
    }
}

impl Argument {
    /// Whether it stands by its position.
    pub fn is_position(&self) -> bool {
        !self.option && !self.switch
    }
}

/// A plugin for 0.1 runs wherever 0.1 is spoken; before 1.0 every minor version is its own line.
fn check_api(wants: &str) -> Result<(), Fault> {
    match wants == API || wants.strip_prefix(API).is_some_and(|rest| rest.starts_with('.')) {
        true => Ok(()),
        false => Err(Fault::Version { wants: one_line(wants) }),
    }
}

/// A name without separators: `is-official`, `label.v2`.
fn is_word(word: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    word.len() <= 60 && word.bytes().all(allowed) && edge(word.bytes().next()) && edge(word.bytes().last())
}

fn toml_fault(text: &str, error: &toml::de::Error) -> Fault {
    let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
    let at = line.map(|line| format!("line {line}: ")).unwrap_or_default();
    Fault::Manifest(format!("{at}{}", one_line(error.message())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const GOOD: &str = r#"
[plugin]
name = "acme/lru"
version = "1.2.0"
api = "0.1"
[provides]
prune-policy = ["lru"]
[limits]
time = "3s"
[settings]
allow = ["nginx"]
"#;

    fn refusal(from: &str, to: &str) -> String {
        assert!(GOOD.contains(from));
        Manifest::parse(&GOOD.replace(from, to)).unwrap_err().to_string()
    }

    #[test]
    fn a_good_manifest_is_read_with_its_defaults() {
        let manifest = Manifest::parse(GOOD).unwrap();
        assert_eq!(manifest.provides.prune_policy, ["lru"]);
        assert_eq!(manifest.limits.time.as_secs(), 3);
        assert_eq!(manifest.limits.memory, 64 << 20);
        assert_eq!(manifest.settings["allow"][0], "nginx");
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        assert_eq!(
            refusal("[limits]", "[limit]"),
            "plugin.toml: line 8: unknown field `limit`, expected one of `plugin`, `provides`, `command`, `options`, `capabilities`, `limits`, `settings`"
        );
        assert_eq!(refusal("\"3s\"", "\"1h\""), "plugin.toml: line 8: time = \"1h\": want a time from \"1ms\" to \"60 s\"");
        assert_eq!(refusal("[\"lru\"]", "[]"), "plugin.toml: [provides] names nothing, and there is no [[command]]");
        assert!(refusal("acme/lru", "Acme").starts_with("plugin.toml: name = \"Acme\": want"));
        assert!(refusal("acme/lru", "acme/../x").starts_with("plugin.toml: name ="));
        assert!(refusal("1.2.0", "1.2").starts_with("plugin.toml: version = \"1.2\": want"));
        assert!(refusal("[\"lru\"]", "[\"a b\"]").starts_with("plugin.toml: [provides] \"a b\": want"));
        assert!(refusal("[plugin]", "[plugin").starts_with("plugin.toml: line 2: "));
    }

    #[test]
    fn another_version_is_named_even_if_the_rest_is_unknown() {
        assert!(Manifest::parse(&GOOD.replace("0.1\"", "0.1.3\"")).is_ok());
        let text = GOOD.replace("api = \"0.1\"", "api = \"0.2\"\nnovelty = 1");
        let said = Manifest::parse(&text).unwrap_err().to_string();
        assert_eq!(said, "is made for plugin API 0.2, this nacre has 0.1: use a version of the plugin made for 0.1, or another nacre");
        assert!(matches!(Manifest::parse(&GOOD.replace("\"0.1\"", "\"0.10\"")), Err(Fault::Version { .. })));
    }

    #[test]
    fn capabilities_are_asked_for() {
        let with = |line: &str| Manifest::parse(&format!("{GOOD}[capabilities]\n{line}\n"));
        assert_eq!(
            with("store = \"read\"\nnet = [\"a.example\"]").unwrap().capabilities.lines(),
            ["store = \"read\"", "net = \"a.example\""]
        );
        assert!(with("gpu = true").unwrap_err().to_string().contains("unknown field `gpu`"));
        let said = with("net = [\"*\"]").unwrap_err().to_string();
        assert!(said.starts_with("plugin.toml: net = \"*\": only a build frontend"), "{said}");
        let frontend = GOOD.replace("prune-policy", "build-frontend") + "[capabilities]\nnet = [\"*\"]\n";
        assert!(Manifest::parse(&frontend).is_ok());
        assert!(Manifest::parse(GOOD).unwrap().capabilities.is_empty());
    }
}
