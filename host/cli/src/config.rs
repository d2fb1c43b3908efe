//! `config.toml`: the system's, which always applies, and the user's, which adds to it.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use nacre_plugin::{Ceiling, lifecycle::Trust};
use serde::{Deserialize, Deserializer, de::Error};

use crate::pace::positive;

/// The system's configuration file: an organisation's rules.
pub(crate) const SYSTEM: &str = "/etc/nacre/config.toml";

/// The settings of one file, or of both together.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// How to reach registries.
    pub registries: Registries,
    /// How to build.
    pub build: Build,
    /// What every search is filtered by.
    pub search: Search,
    /// What decides on every prune.
    pub prune: Prune,
    /// What has to be asked about every image.
    pub admission: Admission,
    /// Who may sign plugins.
    pub trust: Trust,
    /// What no plugin gets more than.
    pub ceiling: Ceiling,
    /// Each plugin's settings, by its name.
    pub plugins: BTreeMap<String, toml::Table>,
}

/// `[registries]`
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Registries {
    /// Hosts that may speak plain HTTP or have a certificate nobody vouches for.
    pub insecure: Vec<String>,
    /// Where to look first for a registry's images: base addresses by host.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// How long nothing may come of a body before it is asked for again, such as `30s`.
    #[serde(deserialize_with = "time")]
    pub stall: Option<Duration>,
}

/// `[build]`
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Build {
    /// The OCI runtime, by its name or path, instead of the first that is found.
    pub runtime: Option<PathBuf>,
}

/// `[search]`
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Search {
    /// `key=value`, as after `--filter`.
    pub filters: Vec<String>,
}

/// `[prune]`
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Prune {
    /// `NAME[,key=value…]`, as after `--policy`.
    pub policies: Vec<String>,
}

/// `[admission]`
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Admission {
    /// Plugins without whose consent nothing happens to an image, even if they are missing or broken.
    pub required: Vec<String>,
}

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    positive(&String::deserialize(from)?).map(Some).map_err(D::Error::custom)
}

impl Config {
    /// The system's file with `user`'s added. Either may be missing; `required` says that `user` was named by hand.
    pub(crate) fn load(user: Option<&Path>, required: bool) -> Result<Self> {
        let system = Self::read(Path::new(SYSTEM))?.unwrap_or_default();
        let Some(user) = user else { return Ok(system) };
        match Self::read(user)? {
            Some(user) => Ok(system.with(user)),
            None if required => anyhow::bail!("the configuration file {} does not exist", user.display()),
            None => Ok(system),
        }
    }

    fn read(path: &Path) -> Result<Option<Self>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
        };
        let parsed = toml::from_str(&text).map_err(|e| {
            let line = e.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            anyhow::anyhow!("{}, line {line}: {}", path.display(), e.message())
        });
        parsed.map(Some)
    }

    /// Lists add up; of two settings of the same thing, the system's (`self`) wins. What bounds plugins the user can only
    /// tighten.
    fn with(mut self, user: Self) -> Self {
        self.registries.insecure.extend(user.registries.insecure);
        for (host, mirrors) in user.registries.mirrors {
            self.registries.mirrors.entry(host).or_insert(mirrors);
        }
        self.registries.stall = self.registries.stall.or(user.registries.stall);
        self.build.runtime = self.build.runtime.or(user.build.runtime);
        self.search.filters.extend(user.search.filters);
        self.prune.policies.extend(user.prune.policies);
        self.trust = self.trust.and(user.trust);
        self.ceiling = self.ceiling.and(user.ceiling);
        self.admission.required.extend(user.admission.required);
        for (name, settings) in user.plugins {
            let merged = self.plugins.entry(name).or_default();
            for (key, value) in settings {
                merged.entry(key).or_insert(value);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_file_wins_and_lists_add_up() {
        let system: Config = toml::from_str("prune.policies=['a']\nplugins.p={allow=['x']}\nsearch.filters=['approved=true']").unwrap();
        let user: Config = toml::from_str("prune.policies=['b']\nplugins.p={allow=['y'], more=1}\nregistries.insecure=['h']").unwrap();
        let both = system.with(user);
        assert_eq!(both.prune.policies, ["a", "b"]);
        assert_eq!(both.plugins["p"]["allow"].as_array().unwrap()[0].as_str(), Some("x"));
        assert_eq!(both.plugins["p"]["more"].as_integer(), Some(1));
        assert_eq!((both.search.filters.len(), both.registries.insecure.len()), (1, 1));
    }

    #[test]
    fn the_user_can_only_tighten_what_bounds_plugins() {
        let read = |text: &str| toml::from_str::<Config>(text).unwrap();
        let system = read("ceiling={store='read', net=['a']}\ntrust={signatures='warn', keys=['K']}\nadmission.required=['rules']");
        let both = system.clone().with(read("ceiling={store='write', net=['b'], memory='64MiB'}\ntrust={signatures='off', keys=['L']}"));
        assert_eq!(both.ceiling, read("ceiling={store='read', net=[], memory='64MiB'}").ceiling);
        assert_eq!((both.trust, both.admission), (system.trust, system.admission));
        let stricter = Config::default().with(read("trust.signatures='required'\nadmission.required=['mine']"));
        assert_eq!(stricter.trust.rule(), nacre_plugin::lifecycle::Signatures::Required);
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_line() {
        let folder = std::env::temp_dir().join(format!("nacre-config-{}", std::process::id()));
        fs::write(&folder, "[search]\nfilter = []\n").unwrap();
        let error = Config::load(Some(&folder), true).unwrap_err().to_string();
        fs::remove_file(&folder).unwrap();
        assert!(error.contains("line 2") && error.contains("filter"), "{error}");
        assert_eq!(toml::from_str::<Config>("registries.stall = '5s'").unwrap().registries.stall, Some(Duration::from_secs(5)));
        assert!(toml::from_str::<Config>("registries.stall = '5'").is_err());
    }
}
