//! Prune policies: the interface `prune` of `wit/prune-policy.wit`.

use serde::{Deserialize, Serialize};
use serde_json::json;
use wasmtime::component::{ComponentType, Lift};

use crate::call::{Function, call};
use crate::error::{Error, Fault};
use crate::plugin::Plugin;
use crate::types::{Kv, Summary};

/// The interface's full name.
pub(crate) const INTERFACE: &str = "nacre:plugin/prune@0.1.0";
const FUNCTION: Function = Function { interface: INTERFACE, name: "decide" };
/// Bytes that a reason may have.
const MAX_REASON: usize = 1_000;

/// What a policy proposes for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift)]
#[serde(rename_all = "kebab-case")]
#[component(enum)]
#[repr(u8)]
pub enum Action {
    /// Leave it, whatever other policies say.
    #[component(name = "keep")]
    Keep,
    /// Take its names away.
    #[component(name = "untag")]
    Untag,
    /// Delete it with all its names.
    #[component(name = "delete")]
    Delete,
}

/// What a policy proposes for one image, and why.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift)]
#[component(record)]
pub struct Verdict {
    /// The image's position in the candidates.
    pub index: u32,
    /// What to do with it.
    pub action: Action,
    /// Why, as a short phrase.
    pub reason: String,
}

impl Plugin {
    /// What the policy `policy` of this plugin proposes for `candidates` at the time `now`, in seconds since
    /// 1970. An image without a verdict is left alone. The caller must still check that nothing
    /// pinned or in use is deleted.
    ///
    /// # Errors
    /// The policy does not take one of the options, or the plugin cannot be loaded, breaks a limit,
    /// crashes, reports an error, or gives an answer that does not fit the candidates.
    pub fn decide(&self, policy: &str, now: u64, opts: &[Kv], candidates: &[Summary]) -> Result<Vec<Verdict>, Error> {
        if !self.manifest.provides.prune_policy.iter().any(|name| name == policy) {
            return Err(Fault::NotProvided(format!("the prune policy '{policy}'")).of(self.name()));
        }
        self.check_options(opts, || format!("prune policy '{policy}'"))?;
        let verdicts = self.verdicts(policy, now, opts, candidates);
        self.record(|| json!({ "policy": policy, "now": now, "opts": opts, "candidates": candidates }), verdicts.as_ref());
        verdicts
    }

    fn verdicts(&self, policy: &str, now: u64, opts: &[Kv], candidates: &[Summary]) -> Result<Vec<Verdict>, Error> {
        let params = (policy, now, opts, candidates);
        let verdicts: Vec<Verdict> = call(self, FUNCTION, params, candidates.len())?;
        check(&verdicts, candidates.len()).map_err(|what| Fault::Answer(what).of(self.name()))?;
        Ok(verdicts)
    }
}

pub(crate) fn check(verdicts: &[Verdict], candidates: usize) -> Result<(), String> {
    check_indices(verdicts.iter().map(|verdict| verdict.index), candidates)?;
    match verdicts.iter().find(|verdict| verdict.reason.len() > MAX_REASON) {
        Some(verdict) => Err(format!("a reason of {} bytes, more than {MAX_REASON}", verdict.reason.len())),
        None => Ok(()),
    }
}

/// Every index must be one of `count` inputs, and none may come twice.
pub(crate) fn check_indices(indices: impl Iterator<Item = u32>, count: usize) -> Result<(), String> {
    let mut seen = vec![false; count];
    for index in indices {
        match seen.get_mut(index as usize) {
            None => return Err(format!("index {index} for {count} inputs")),
            Some(true) => return Err(format!("index {index} twice")),
            Some(seen) => *seen = true,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_known_and_unique() {
        let check = |indices: &[u32]| check_indices(indices.iter().copied(), 2);
        assert_eq!(check(&[1, 0]), Ok(()));
        assert_eq!(check(&[2]), Err("index 2 for 2 inputs".into()));
        assert_eq!(check(&[1, 1]), Err("index 1 twice".into()));
    }
}
