//! Image configs, with Docker's extensions and everything unknown kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::{Digest, Error, MAX_CONFIG, Platform, Result, parse_strict};

/// An image config (image specification, `config.md`). Written back, it keeps the fields that it does not know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When the image was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The processor it runs on, in Go's words.
    #[serde(default)]
    pub architecture: String,
    /// The processor's variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The operating system it runs on, in Go's words.
    #[serde(default)]
    pub os: String,
    /// What a container of it starts with.
    #[serde(default, deserialize_with = "null_is_default")]
    pub config: RunConfig,
    /// The layers' uncompressed digests.
    #[serde(default, deserialize_with = "null_is_default")]
    pub rootfs: RootFs,
    /// How each layer came about, oldest first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub history: Vec<History>,
    /// `os.version`, `os.features` and Docker's further fields.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// The execution parameters, in Docker's spelling.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RunConfig {
    /// User or id, optionally with `:group`.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `port/protocol` to an empty object.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Value>,
    /// `NAME=value`.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The command's unchanging front.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The default arguments or command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Path to an empty object.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Value>,
    /// Where the command starts.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Free-form, sorted.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The signal that stops a container, such as `SIGTERM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Docker's Healthcheck, OnBuild, Shell and whatever else is there.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// The root filesystem's layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The digests of the uncompressed layers, base first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub diff_ids: Vec<Digest>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self { kind: "layers".into(), diff_ids: Vec::new() }
    }
}

/// One step of an image's making.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// When, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The command or instruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether the step made no layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

impl ImageConfig {
    /// Parses a config.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above [`MAX_CONFIG`], [`Error::Malformed`] if it is not a config.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > MAX_CONFIG {
            return Err(Error::TooLarge { what: "the image config".into(), limit: format!("{} MiB", MAX_CONFIG >> 20) });
        }
        parse_strict(bytes, "the image config")
    }

    /// The config's JSON, the same bytes for the same content.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a config of maps with string keys is always JSON")
    }

    /// What the image runs on.
    pub fn platform(&self) -> Platform {
        let mut platform = Platform::new(&self.os, &self.architecture, self.variant.as_deref());
        platform.os_version = self.rest.get("os.version").and_then(Value::as_str).map(str::to_owned);
        platform
    }

    /// When the image was made, in Unix seconds; `None` if it does not say or cannot be read.
    pub fn created_seconds(&self) -> Option<i64> {
        let created: jiff::Timestamp = self.created.as_deref()?.parse().ok()?;
        Some(created.as_second())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_it_does_not_know_and_takes_nulls() {
        let text = r#"{"architecture":"amd64","config":{"Cmd":["sh"],"Env":null,"Healthcheck":{"Test":["NONE"]},"Labels":null,
            "OnBuild":["RUN x"],"User":null},"created":"2026-01-02T03:04:05.5Z","docker_version":"28","history":null,"os":"linux",
            "os.version":"10.0","rootfs":{"type":"layers","diff_ids":null}}"#;
        let config = ImageConfig::parse(text.as_bytes()).expect("a Docker config");
        assert_eq!(config.created_seconds(), Some(1_767_323_045));
        assert_eq!(config.platform().os_version.as_deref(), Some("10.0"));
        let written: Value = serde_json::from_slice(&config.to_bytes()).expect("JSON");
        assert_eq!(written["config"]["Healthcheck"]["Test"][0], "NONE");
        assert_eq!(written["config"]["OnBuild"][0], "RUN x");
        assert_eq!(written["docker_version"], "28");
    }

    #[test]
    fn refuses_what_is_no_config() {
        for text in ["", "null", "[]", r#"{"os":3}"#, r#"{"rootfs":{"type":"layers","diff_ids":["x"]}}"#] {
            assert!(ImageConfig::parse(text.as_bytes()).is_err(), "{text} was accepted");
        }
    }
}
