//! `--provenance`: how the image was made, beside it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use nacre_build::{Built, Mode, Provenance, Slsa, attest as add};
use nacre_oci::Reference;
use nacre_plugin::Plugin;

use super::{
    inputs::Inputs,
    values::{Fields, pair},
};
use crate::commands::build::Args;

/// How much the user wants to be told, and in which version; nothing without the option.
pub(super) fn wanted(args: &Args) -> Result<Option<(Mode, Slsa)>> {
    let text = match args.results.provenance.as_deref() {
        None | Some("false") => return Ok(None),
        Some("true" | "") => return Ok(Some((Mode::Min, Slsa::V1))),
        Some(text) => text,
    };
    let fields = Fields::parse("--provenance", text)?;
    let mode = match fields.take(&["mode"]) {
        None | Some("min") => Mode::Min,
        Some("max") => Mode::Max,
        Some(other) => return fields.wrong(&format!("there is no mode {other}: want min or max")),
    };
    let slsa = match fields.take(&["version"]) {
        None | Some("v1") => Slsa::V1,
        Some("v0.2") => Slsa::V02,
        Some(other) => return fields.wrong(&format!("there is no version {other}: want v1 or v0.2")),
    };
    fields.end()?;
    Ok(Some((mode, slsa)))
}

/// Makes the image one that has a statement about itself.
pub(super) fn attest(
    args: &Args,
    inputs: &Inputs,
    plugin: &Plugin,
    (mode, slsa): (Mode, Slsa),
    began: i64,
    names: &[Reference],
    built: &mut Built,
) -> Result<()> {
    let digest = format!("sha256:{}", plugin.component_sha256()?);
    let provenance = Provenance {
        mode,
        slsa,
        version: env!("CARGO_PKG_VERSION").into(),
        frontend: plugin.name().into(),
        frontend_digest: digest.parse().context("the plugin's digest")?,
        file: inputs.name.clone(),
        parameters: parameters(args),
        times: (began, jiff::Timestamp::now().as_second()),
        names: names.iter().map(ToString::to_string).collect(),
    };
    Ok(add(built, &provenance)?)
}

/// What of the command line shapes the image, in BuildKit's names. Secrets and agents only lend their ids.
fn parameters(args: &Args) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::new();
    let mut all = |prefix: &str, texts: &[String]| {
        parameters.extend(texts.iter().map(|text| pair(text)).map(|(key, value)| (format!("{prefix}:{key}"), value.to_owned())));
    };
    all("build-arg", &args.wishes.build_arg);
    all("label", &args.wishes.label);
    parameters.extend(args.wishes.target.iter().map(|target| ("target".to_owned(), target.clone())));
    parameters
}
