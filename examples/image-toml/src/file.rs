//! What a file can say.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub base: Option<Spanned<String>>,
    /// Patterns of what the context does not have, as in `.dockerignore`.
    #[serde(default)]
    pub ignore: Vec<String>,
    #[serde(default)]
    pub package: Vec<Spanned<Package>>,
    #[serde(default)]
    pub file: Vec<Spanned<OneFile>>,
    #[serde(default)]
    pub folder: Vec<Spanned<Folder>>,
    #[serde(default)]
    pub link: Vec<Spanned<Link>>,
    #[serde(default)]
    pub run: Vec<Spanned<Run>>,
    #[serde(default)]
    pub config: Config,
}

/// A tar archive.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    pub source: Option<Spanned<String>>,
    pub url: Option<Spanned<String>>,
    pub sha256: Option<Spanned<String>>,
    pub folder: Option<Spanned<String>>,
    pub to: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneFile {
    pub path: Spanned<String>,
    pub source: Option<Spanned<String>>,
    pub content: Option<String>,
    pub owner: Option<Spanned<String>>,
    pub mode: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    pub path: Spanned<String>,
    pub source: Option<Spanned<String>>,
    pub owner: Option<Spanned<String>>,
    pub mode: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    pub path: Spanned<String>,
    pub target: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    pub command: Command,
    #[serde(default)]
    pub user: String,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a command is a text for the shell, or a list of words")]
pub enum Command {
    Shell(String),
    Words(Vec<String>),
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub env: BTreeMap<String, String>,
    pub entrypoint: Option<Vec<String>>,
    pub cmd: Option<Vec<String>>,
    pub user: Option<String>,
    pub workdir: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub ports: Vec<Spanned<String>>,
    pub volumes: Vec<String>,
}
