//! Where things are: the only place that reads the environment, besides the options.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use nacre_plugin::Level;

use crate::{global::Global, plugin_log};

/// The system's plugins folder: the organisation's.
pub(crate) const SYSTEM_PLUGINS: &str = "/usr/lib/nacre/plugins";

/// The folders and files that nacre uses.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    /// The store.
    pub root: PathBuf,
    /// Folders to look for plugins in, first wins.
    pub plugins: Vec<PathBuf>,
    /// Where plugins are installed.
    pub install: PathBuf,
    /// What is shown of plugins' logs.
    pub log: Option<Level>,
    /// Compiled plugins.
    pub cache: PathBuf,
    /// The user's configuration file, and whether it was named by hand.
    pub config: Option<PathBuf>,
    /// See `config`.
    pub config_named: bool,
    /// Files with credentials, first wins; `login` writes the first.
    pub auth_files: Vec<PathBuf>,
    /// Folders of `HOST/*.crt`.
    pub certificates: Vec<PathBuf>,
}

impl Paths {
    /// From the options, the environment and the platform's conventions (XDG; `/var/lib/nacre` for root).
    pub(crate) fn new(global: &Global) -> Result<Self> {
        let home = variable("HOME");
        let root_user = rustix::process::geteuid().is_root();
        let under = |variable: &str, rest: &str| absolute(variable).or_else(|| home.as_ref().map(|home| home.join(rest)));
        let data = under("XDG_DATA_HOME", ".local/share").map(|data| data.join("nacre"));
        let default_root = if root_user { Some(PathBuf::from("/var/lib/nacre")) } else { data.clone() };
        // Read here and not by clap, which would show them in every line of usage.
        let given = |option: &Option<PathBuf>, name| option.clone().or_else(|| variable(name));
        let config_named = given(&global.config, "NACRE_CONFIG");
        let root = given(&global.root, "NACRE_ROOT").or(default_root).context("neither HOME nor NACRE_ROOT is set: use --root FOLDER")?;
        // The system's first: a user's plugin does not take the place of the organisation's.
        let mut plugins = vec![PathBuf::from(SYSTEM_PLUGINS)];
        let install = match given(&global.plugins, "NACRE_PLUGINS") {
            Some(folders) => {
                let folders: Vec<PathBuf> = env::split_paths(&folders).filter(|folder| folder.as_path() != SYSTEM_PLUGINS).collect();
                plugins.extend(folders.iter().cloned());
                folders.first().cloned().unwrap_or_else(|| SYSTEM_PLUGINS.into())
            }
            None => {
                let own = data.as_ref().unwrap_or(&root).join("plugins");
                plugins.push(own.clone());
                own
            }
        };
        let default_config = under("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("nacre/config.toml"));
        Ok(Self {
            cache: root.join("cache"),
            root,
            plugins,
            install,
            log: variable("NACRE_LOG").map_or(Ok(None), |word| plugin_log::level(&word.to_string_lossy()))?,
            config_named: config_named.is_some(),
            config: config_named.or(default_config),
            auth_files: auth_files(home.as_deref()),
            certificates: certificates(home.as_deref()),
        })
    }
}

/// The time that reproducible builds give everything they make: `SOURCE_DATE_EPOCH`, in Unix seconds
/// (reproducible-builds.org/specs/source-date-epoch).
pub(crate) fn source_date() -> Result<Option<jiff::Timestamp>> {
    let Some(text) = variable("SOURCE_DATE_EPOCH") else { return Ok(None) };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    let time = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map(Some).with_context(|| format!("SOURCE_DATE_EPOCH is '{}': want seconds since 1970", text.display()))
}

/// The text of an environment variable that the user named, or that a standard does.
pub(crate) fn text(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// The bytes of an environment variable that the user named.
pub(crate) fn bytes(name: &str) -> Option<Vec<u8>> {
    env::var_os(name).map(std::os::unix::ffi::OsStringExt::into_vec)
}

/// An environment variable; an empty one is none.
fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn absolute(name: &str) -> Option<PathBuf> {
    variable(name).filter(|path| path.is_absolute())
}

/// Podman's and Docker's files, in Podman's order (`containers-auth.json(5)`).
fn auth_files(home: Option<&Path>) -> Vec<PathBuf> {
    if let Some(file) = variable("REGISTRY_AUTH_FILE") {
        return vec![file];
    }
    let docker = variable("DOCKER_CONFIG").or_else(|| home.map(|home| home.join(".docker")));
    let podman = absolute("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json"));
    let config = absolute("XDG_CONFIG_HOME").or_else(|| home.map(|home| home.join(".config")));
    let files = [docker.map(|folder| folder.join("config.json")), podman, config.map(|folder| folder.join("containers/auth.json"))];
    files.into_iter().flatten().collect()
}

/// Docker's and containers' folders of certificates.
fn certificates(home: Option<&Path>) -> Vec<PathBuf> {
    let user = home.map(|home| home.join(".config/containers/certs.d"));
    let docker = home.map(|home| home.join(".docker/certs.d"));
    let system = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
    user.into_iter().chain(docker).chain(system).collect()
}
