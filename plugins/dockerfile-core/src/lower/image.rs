//! An image's configuration: what a base image gives, what instructions change, what is written.

use std::collections::BTreeMap;

use nacre_sdk::Platform;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

/// The `PATH` of an image that says nothing.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An image's configuration (image specification, `config.md`; Docker's additions), as far as a build hands it on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Image {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub author: String,
    #[serde(deserialize_with = "or_default")]
    pub architecture: String,
    #[serde(deserialize_with = "or_default")]
    pub os: String,
    #[serde(rename = "os.version", deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    #[serde(rename = "os.features", deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub variant: String,
    #[serde(deserialize_with = "or_default")]
    pub config: Config,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Row>,
    #[serde(deserialize_with = "or_default", skip_serializing)]
    rootfs: Rootfs,
}

/// How its containers run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Config {
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub user: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Empty>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Empty>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// Docker's mark of a command line that is not to be quoted once more.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "std::ops::Not::not")]
    pub args_escaped: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
}

/// The value of what is a set in JSON's clothes: `{}`.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Empty {}

impl<'de> Deserialize<'de> for Empty {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Empty, D::Error> {
        IgnoredAny::deserialize(from).map(|_| Empty {})
    }
}

/// `HEALTHCHECK`; times in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Healthcheck {
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub interval: i64,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub timeout: i64,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub start_period: i64,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub retries: i64,
}

/// A row of the history.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub author: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub comment: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Rootfs {
    #[serde(deserialize_with = "or_default")]
    diff_ids: Vec<IgnoredAny>,
}

/// Go writes `null` for what is empty.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Image {
    /// What an image without a base begins with.
    pub fn empty(platform: &Platform) -> Image {
        let mut image = Image::default();
        image.set_platform(platform);
        image.config.working_dir = "/".into();
        image.set_path();
        image
    }

    /// Reads a base image's configuration. When it was made is its own matter.
    pub fn parse(json: &str) -> Result<Image, String> {
        let image = serde_json::from_str(json).map_err(|error| format!("failed to parse image config: {error}"))?;
        Ok(Image { created: None, ..image })
    }

    /// As JSON, the same for the same image.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("texts, numbers and maps by text are JSON")
    }

    /// What it says that it runs on; none if it is silent.
    pub fn platform(&self) -> Option<Platform> {
        let variant = Some(self.variant.clone()).filter(|variant| !variant.is_empty());
        let said = !self.os.is_empty() && !self.architecture.is_empty();
        said.then(|| Platform { os: self.os.clone(), arch: self.architecture.clone(), variant })
    }

    pub fn set_platform(&mut self, platform: &Platform) {
        self.os = platform.os.clone();
        self.architecture = platform.arch.clone();
        self.variant = platform.variant.clone().unwrap_or_default();
    }

    /// Whether it has no layer at all. Old manifests list none, so its history counts too.
    pub fn is_scratch(&self) -> bool {
        self.rootfs.diff_ids.is_empty() && self.history.iter().all(|row| row.empty_layer)
    }

    /// Makes sure that there is a `PATH`; Windows has its own.
    pub fn set_path(&mut self) {
        if self.os != "windows" && !self.config.env.iter().any(|pair| split(pair).0 == "PATH") {
            self.config.env.push(PATH.into());
        }
    }

    /// Sets a variable in its place, or as the last one.
    pub fn set_env(&mut self, name: &str, value: &str) {
        let pair = format!("{name}={value}");
        match self.config.env.iter_mut().find(|known| split(known).0 == name) {
            Some(known) => *known = pair,
            None => self.config.env.push(pair),
        }
    }

    /// Its environment.
    pub fn env(&self) -> impl Iterator<Item = (&str, &str)> {
        self.config.env.iter().map(|pair| split(pair))
    }

    /// What `RUN`, `CMD` and `ENTRYPOINT` start with in their shell form.
    pub fn shell(&self) -> Vec<String> {
        let default: &[&str] = if self.os == "windows" { &["cmd", "/S", "/C"] } else { &["/bin/sh", "-c"] };
        match self.config.shell.is_empty() {
            true => default.iter().map(|word| word.to_string()).collect(),
            false => self.config.shell.clone(),
        }
    }
}

fn split(pair: &str) -> (&str, &str) {
    pair.split_once('=').unwrap_or((pair, ""))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn nulls_are_nothing_and_what_a_build_does_not_hand_on_goes() {
        let json = r#"{"created":"2020-01-01T00:00:00Z","architecture":"arm","os":"linux","variant":"v7","container":"x",
            "config":{"Cmd":null,"Env":["A=1","B"],"Volumes":{"/v":null},"Hostname":"h","Healthcheck":{"Test":["NONE"]}},
            "history":[{"created":"2020-01-01T00:00:00Z","created_by":"base"}],"rootfs":{"type":"layers","diff_ids":["sha256:0"]}}"#;
        let mut image = Image::parse(json).unwrap();
        image.set_env("B", "2");
        image.set_env("C", "3");
        assert!(!image.is_scratch());
        assert_eq!(image.platform().unwrap().variant.as_deref(), Some("v7"));
        assert_eq!(
            image.json(),
            r#"{"architecture":"arm","os":"linux","variant":"v7","config":{"Env":["A=1","B=2","C=3"],"Volumes":{"/v":{}},"Healthcheck":{"Test":["NONE"]}},"history":[{"created":"2020-01-01T00:00:00Z","created_by":"base"}]}"#
        );
    }

    #[test]
    fn the_empty_image_has_a_path_and_no_layer() {
        let image = Image::empty(&Platform { os: "linux".into(), arch: "amd64".into(), variant: None });
        assert!(image.is_scratch());
        assert_eq!(image.env().collect::<Vec<_>>(), [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")]);
        assert_eq!(image.shell(), ["/bin/sh", "-c"]);
    }
}
