//! What a container is: all that start, inspect and commit need, kept as JSON in the store's row.

use nacre_oci::{Descriptor, Digest, Error as Data, Platform, RunConfig, clean_path};
use nacre_runtime::{Limit, Network};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Base, Error, MountSource, Mounting, Options, Result, merge::merge, signal};

/// The version that this nacre writes.
const VERSION: u32 = 1;
/// The most bytes of a record that are read.
const MAX: usize = 16 << 20;

/// A container's description. It never changes after the container is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// 1.
    pub version: u32,
    /// The image as the user named it.
    pub image_name: String,
    /// The image's manifest for the platform.
    pub manifest: Descriptor,
    /// What the image runs on.
    pub platform: Platform,
    /// The layers' diff ids and blobs, base first.
    pub layers: Vec<(Digest, Digest)>,
    /// What the user said merged over what the image says: Docker's `Config`.
    pub config: RunConfig,
    /// The host's name as the program sees it.
    pub hostname: String,
    /// All mounts: the user's and the image's volumes.
    pub mounts: Vec<Mounting>,
    /// Which network the program sees.
    pub network: Network,
    /// Names and addresses for `/etc/hosts`.
    pub hosts: Vec<(String, String)>,
    /// A terminal.
    pub tty: bool,
    /// Standard input stays open.
    pub stdin: bool,
    /// Whether the one who made it is attached.
    pub attached: bool,
    /// The root filesystem cannot be written.
    pub readonly: bool,
    /// The size of `/dev/shm` in bytes.
    pub shm_size: Option<u64>,
    /// Resource limits.
    pub limits: Vec<Limit>,
    /// Seconds between the stop signal and `SIGKILL`; less than 0 for ever.
    pub stop_timeout: Option<i64>,
}

impl Record {
    /// The record of a new container.
    ///
    /// # Errors
    /// In Docker's words, if there is no command, the working folder is relative, two mounts have one target, a bind's source
    /// is not there, or the stop signal is none.
    pub(crate) fn new(id: &str, base: &Base, options: &Options) -> Result<Self> {
        let mut config = own(options)?;
        merge(&mut config, &base.config.config);
        let has = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| list.iter().any(|word| !word.is_empty()));
        if !has(&config.entrypoint) && !has(&config.cmd) {
            return Err(Error::invalid("no command specified"));
        }
        // The empty word has done its work.
        config.entrypoint = config.entrypoint.filter(|words| words.iter().any(|word| !word.is_empty()));
        let mounts = mounts(options, &config)?;
        Ok(Self {
            version: VERSION,
            image_name: base.name.clone(),
            manifest: base.manifest.clone(),
            platform: base.platform.clone(),
            layers: base.layers.clone(),
            config,
            hostname: hostname(id, options),
            mounts,
            network: options.network,
            hosts: options.hosts.clone(),
            tty: options.tty,
            stdin: options.stdin,
            attached: !options.detach,
            readonly: options.readonly,
            shm_size: options.shm_size,
            limits: options.limits.clone(),
            stop_timeout: options.stop_timeout,
        })
    }

    pub(crate) fn parse(id: &str, text: &str) -> Result<Self> {
        let what = || format!("the record of container {id}");
        if text.len() > MAX {
            return Err(Data::TooLarge { what: what(), limit: format!("{} MiB", MAX >> 20) }.into());
        }
        let read: serde_json::Result<Self> = serde_json::from_str(text);
        // Of a newer version nothing else needs to be understood.
        let version = read.as_ref().map_or_else(|_| version(text), |record| record.version);
        if version > VERSION {
            let why = format!("it has version {version}, and this nacre knows versions up to {VERSION}; use the newer nacre");
            return Err(Data::Unsupported { what: what(), why }.into());
        }
        Ok(read.map_err(|error| Data::malformed(what(), error))?)
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("records of lists, strings and maps with string keys are always JSON")
    }

    /// The program and its arguments: the entrypoint and the command.
    pub fn command(&self) -> Vec<String> {
        self.config.entrypoint.iter().flatten().chain(self.config.cmd.iter().flatten()).cloned().collect()
    }

    /// The signal that stops it. What an image says that is no signal means `SIGTERM`, as in Docker.
    pub fn stop_signal(&self) -> i32 {
        self.config.stop_signal.as_deref().and_then(|text| signal::signal(text).ok()).unwrap_or(signal::TERM)
    }
}

/// The version of a record that cannot be read as a whole; 0 if it does not say.
fn version(text: &str) -> u32 {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    serde_json::from_str(text).map_or(0, |Versioned { version }| version)
}

/// The config that the options alone make.
fn own(options: &Options) -> Result<RunConfig> {
    let cwd = options.cwd.clone().unwrap_or_default();
    if !cwd.is_empty() && !cwd.starts_with('/') {
        return Err(Error::invalid(format!("the working directory '{cwd}' is invalid, it needs to be an absolute path")));
    }
    if let Some(stop) = &options.stop_signal {
        signal::signal(stop)?;
    }
    // It goes into files that are read by lines, and the kernel takes no more than 64 bytes.
    if let Some(name) = options.hostname.as_ref().filter(|name| name.len() > 64 || !name.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err(Error::invalid(format!("invalid hostname format: {name}")));
    }
    // An entrypoint of one empty word is Docker's way to say that the image's does not count.
    let entrypoint = options.entrypoint.clone().map(|words| if words.is_empty() { vec![String::new()] } else { words });
    let anonymous = options.mounts.iter().filter(|mount| mount.source == MountSource::Anonymous);
    Ok(RunConfig {
        user: options.user.clone().unwrap_or_default(),
        env: last_of_each(&options.env),
        entrypoint,
        cmd: Some(options.args.clone()).filter(|args| !args.is_empty()),
        volumes: anonymous.map(|mount| (mount.target.clone(), json!({}))).collect(),
        working_dir: if cwd.is_empty() { cwd } else { clean_path(&cwd) },
        labels: options.labels.iter().cloned().collect(),
        stop_signal: options.stop_signal.clone(),
        ..RunConfig::default()
    })
}

/// Of several variables with one name the last, where the first stood.
fn last_of_each(env: &[String]) -> Vec<String> {
    let named = |one: &str| one.split('=').next().unwrap_or_default().to_owned();
    let mut last: Vec<String> = Vec::new();
    for one in env {
        match last.iter_mut().find(|held| named(held) == named(one)) {
            Some(held) => held.clone_from(one),
            None => last.push(one.clone()),
        }
    }
    last
}

fn mounts(options: &Options, config: &RunConfig) -> Result<Vec<Mounting>> {
    let mut mounts: Vec<Mounting> = Vec::new();
    for mount in &options.mounts {
        if mounts.iter().any(|held| held.target == mount.target) {
            return Err(Error::invalid(format!("Duplicate mount point: {}", mount.target)));
        }
        if let MountSource::Bind { path, create: false } = &mount.source
            && !path.exists()
        {
            let why = format!("bind source path does not exist: {}", path.display());
            return Err(Error::invalid(format!("invalid mount config for type \"bind\": {why}")));
        }
        mounts.push(mount.clone());
    }
    for path in config.volumes.keys() {
        let target = clean_path(path);
        if target == "/" {
            return Err(Error::invalid("invalid volume specification: '/': invalid specification: destination can't be '/'"));
        }
        if !mounts.iter().any(|held| held.target == target) {
            mounts.push(Mounting { target, readonly: false, source: MountSource::Anonymous, mode: String::new() });
        }
    }
    Ok(mounts)
}

fn hostname(id: &str, options: &Options) -> String {
    let own = || match options.network {
        Network::Host => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        Network::None => id[..12].to_owned(),
    };
    options.hostname.clone().filter(|name| !name.is_empty()).unwrap_or_else(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_newer_versions_and_damaged_ones_are_told_apart() {
        let why = |text: &str| Record::parse("abc", text).map(drop).map_err(|error| error.to_string());
        let newer = why(r#"{"version":2,"all":"new"}"#);
        assert!(newer.as_ref().is_err_and(|why| why.contains("it has version 2")), "{newer:?}");
        for damaged in ["", "{}", "null", r#"{"version":1}"#, r#"{"version":-1}"#] {
            let why = why(damaged);
            assert!(why.as_ref().is_err_and(|why| why.starts_with("the record of container abc is malformed")), "{why:?}");
        }
    }
}
