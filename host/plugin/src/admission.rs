//! Admission rules: the interface `reviewer` of `wit/admission.wit`.

use serde::{Deserialize, Serialize};
use serde_json::json;
use wasmtime::component::{ComponentType, Lift, Lower};

use crate::call::{Function, call_with};
use crate::discover::Plugins;
use crate::error::{Error, Fault};
use crate::plugin::Plugin;
use crate::types::{Diagnostic, Kv, Platform};

/// The interface's full name.
pub(crate) const INTERFACE: &str = "nacre:plugin/reviewer@0.1.0";
const REVIEW: Function = Function { interface: INTERFACE, name: "review" };
/// Diagnostics of one decision.
const MAX_DIAGNOSTICS: usize = 100;
/// Bytes of each of a diagnostic's texts.
const MAX_TEXT: usize = 1_000;

/// What may happen to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(enum)]
#[repr(u8)]
pub enum Operation {
    /// From a registry into the store.
    #[component(name = "pull")]
    Pull,
    /// From the store to a registry.
    #[component(name = "push")]
    Push,
    /// Made by a build.
    #[component(name = "build")]
    Build,
    /// Made of a file.
    #[component(name = "import")]
    Import,
    /// From an archive into the store.
    #[component(name = "load")]
    Load,
    /// Given a name.
    #[component(name = "tag")]
    Tag,
    /// Deleted, or its name taken away.
    #[component(name = "remove")]
    Remove,
}

/// What is about to happen.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct Request {
    /// What it is.
    pub operation: Operation,
    /// The image's name in full: where it is pulled from or pushed to, the name that it gets or that it loses.
    pub name: Option<String>,
    /// The user named it by digest.
    #[component(name = "by-digest")]
    #[serde(default)]
    pub by_digest: bool,
    /// The digest of its manifest or index.
    pub digest: String,
    /// The bytes of all its blobs.
    #[serde(default)]
    pub size: u64,
    /// When it was made, as its configuration says, in seconds since 1970.
    pub created: Option<u64>,
    /// The labels of its configuration.
    #[serde(default)]
    pub labels: Vec<Kv>,
    /// The user that its containers run as; empty for root.
    #[serde(default)]
    pub user: String,
    /// The platforms that it holds.
    #[serde(default)]
    pub platforms: Vec<Platform>,
    /// The time to reckon with, in seconds since 1970.
    #[serde(default)]
    pub now: u64,
    /// What later versions have to say.
    #[serde(default)]
    pub extra: Vec<Kv>,
}

/// Whether it may happen.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift)]
#[serde(rename_all = "kebab-case")]
#[component(variant)]
pub enum Decision {
    /// It may.
    #[component(name = "allow")]
    Allow,
    /// It may, and the user is told.
    #[component(name = "warn")]
    Warn(Vec<Diagnostic>),
    /// It may not. There is at least one reason.
    #[component(name = "deny")]
    Deny(Vec<Diagnostic>),
}

impl Plugins {
    /// All plugins that are asked about every image, in the order of precedence.
    pub fn admission(&self) -> impl Iterator<Item = &Plugin> {
        self.list().filter(|plugin| !plugin.manifest.provides.admission.is_empty())
    }
}

impl Plugin {
    /// Whether this may happen, as far as this plugin is concerned. An error means that it may not.
    ///
    /// # Errors
    /// The plugin provides no admission rules, cannot be loaded, breaks a limit, crashes, reports an error, or denies without
    /// a reason.
    pub fn review(&self, request: &Request) -> Result<Decision, Error> {
        if self.manifest.provides.admission.is_empty() {
            return Err(Fault::NotProvided("admission rules".into()).of(self.name()));
        }
        let decision = self.decision(request);
        self.record(|| json!(request), decision.as_ref());
        decision
    }

    fn decision(&self, request: &Request) -> Result<Decision, Error> {
        let decision = call_with(self, REVIEW, |_| Ok((request,)))?;
        check(&decision).map_err(|what| Fault::Answer(what).of(self.name()))?;
        Ok(decision)
    }
}

pub(crate) fn check(decision: &Decision) -> Result<(), String> {
    let (kind, diagnostics) = match decision {
        Decision::Allow => return Ok(()),
        Decision::Warn(diagnostics) => ("a warning", diagnostics),
        Decision::Deny(diagnostics) => ("a denial", diagnostics),
    };
    if diagnostics.is_empty() {
        return Err(format!("{kind} without a reason"));
    }
    if diagnostics.len() > MAX_DIAGNOSTICS {
        return Err(format!("{} diagnostics, more than {MAX_DIAGNOSTICS}", diagnostics.len()));
    }
    diagnostics.iter().try_for_each(check_texts)
}

fn check_texts(diagnostic: &Diagnostic) -> Result<(), String> {
    let Diagnostic { code, message, help, at } = diagnostic;
    if message.trim().is_empty() {
        return Err("a diagnostic without a message".into());
    }
    let texts = [Some(code), Some(message), help.as_ref(), at.as_ref().map(|at| &at.file)];
    match texts.into_iter().flatten().find(|text| text.len() > MAX_TEXT) {
        Some(text) => Err(format!("a diagnostic with {} bytes, more than {MAX_TEXT}", text.len())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn because(message: &str) -> Diagnostic {
        Diagnostic { code: "x".into(), message: message.into(), help: None, at: None }
    }

    #[test]
    fn a_denial_has_reasons_that_can_be_shown() {
        assert_eq!(check(&Decision::Allow), Ok(()));
        assert_eq!(check(&Decision::Deny(vec![because("too big")])), Ok(()));
        assert_eq!(check(&Decision::Deny(Vec::new())).unwrap_err(), "a denial without a reason");
        assert_eq!(check(&Decision::Warn(vec![because(" ")])).unwrap_err(), "a diagnostic without a message");
        assert_eq!(check(&Decision::Warn(vec![because("x"); 101])).unwrap_err(), "101 diagnostics, more than 100");
        assert_eq!(check(&Decision::Deny(vec![because(&"x".repeat(1_001))])).unwrap_err(), "a diagnostic with 1001 bytes, more than 1000");
    }

    #[test]
    fn requests_are_recorded_as_json() {
        let text =
            r#"{"operation":"import","name":null,"by-digest":true,"digest":"sha256:0","created":5,"labels":[{"key":"a","value":"b"}]}"#;
        let request: Request = serde_json::from_str(text).unwrap();
        assert_eq!((request.operation, request.by_digest, request.created), (Operation::Import, true, Some(5)));
        assert_eq!(serde_json::to_value(Decision::Deny(vec![because("no")])).unwrap()["deny"][0]["message"], "no");
        assert_eq!(serde_json::to_value(Decision::Allow).unwrap(), "allow");
    }
}
