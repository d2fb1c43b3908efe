//! The worlds that get data and return data.

use nacre_plugin::{Hit, Kv, Plugin, Request, Summary};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Error;
use crate::case::Case;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    #[serde(default)]
    term: String,
    #[serde(default)]
    opts: Vec<Kv>,
    hits: Vec<Hit>,
}

/// `search.filter`. The answer is what nacre would show, in that order.
pub(super) fn search(plugin: &Plugin, case: &Case) -> Result<Value, Error> {
    let Search { term, opts, hits } = case.parse()?;
    Ok(json!(plugin.filter(&term, &opts, &hits)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prune {
    policy: String,
    now: u64,
    #[serde(default)]
    opts: Vec<Kv>,
    candidates: Vec<Summary>,
}

/// `prune.decide`.
pub(super) fn prune(plugin: &Plugin, case: &Case) -> Result<Value, Error> {
    let Prune { policy, now, opts, candidates } = case.parse()?;
    Ok(json!(plugin.decide(&policy, now, &opts, &candidates)?))
}

/// `reviewer.review`.
pub(super) fn admission(plugin: &Plugin, case: &Case) -> Result<Value, Error> {
    let request: Request = case.parse()?;
    Ok(json!(plugin.review(&request)?))
}
