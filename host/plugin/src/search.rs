//! Search filters: the interface `search` of `wit/search-filter.wit`.

use serde::{Deserialize, Serialize};
use serde_json::json;
use wasmtime::component::{ComponentType, Lift, Lower};

use crate::call::{Function, call};
use crate::error::{Error, Fault};
use crate::plugin::Plugin;
use crate::prune::check_indices;
use crate::types::Kv;

/// The interface's full name.
pub(crate) const INTERFACE: &str = "nacre:plugin/search@0.1.0";
const FUNCTION: Function = Function { interface: INTERFACE, name: "filter" };
/// Bytes that a note may have.
const MAX_NOTE: usize = 1_000;

/// One search result, as the registry sent it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lower)]
#[serde(default)]
#[component(record)]
pub struct Hit {
    /// The repository's name.
    pub name: String,
    /// What it is, in its owner's words.
    pub description: String,
    /// How many users starred it.
    pub stars: u32,
    /// It is one of Docker's official images.
    pub official: bool,
    /// It is built automatically (no longer used by Docker Hub).
    pub automated: bool,
    /// The host that was asked.
    pub registry: String,
    /// Whatever else the registry said.
    pub extra: Vec<Kv>,
}

/// One result to be shown.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ComponentType, Lift)]
#[component(record)]
pub struct Pick {
    /// Its position in the hits.
    pub index: u32,
    /// What it is sorted by, if the plugin sorts by scores.
    pub score: Option<f32>,
    /// A short remark to show beside it.
    pub note: Option<String>,
}

impl Plugin {
    /// Picks from `hits`, in the order they are to be shown in. `opts` must hold only keys that this plugin
    /// provides (see [`crate::Plugins::search_filter`]); keys may repeat.
    ///
    /// # Errors
    /// The plugin cannot be loaded, breaks a limit, crashes, reports an error, or gives an answer that
    /// does not fit the hits.
    pub fn filter(&self, term: &str, opts: &[Kv], hits: &[Hit]) -> Result<Vec<Pick>, Error> {
        let provided = &self.manifest.provides.search_filter;
        if let Some(wrong) = opts.iter().find(|opt| !provided.contains(&opt.key)) {
            return Err(Fault::NotProvided(format!("the search filter '{}'", wrong.key)).of(self.name()));
        }
        let picks = self.picks(term, opts, hits);
        self.record(|| json!({ "term": term, "opts": opts, "hits": hits }), picks.as_ref());
        picks
    }

    fn picks(&self, term: &str, opts: &[Kv], hits: &[Hit]) -> Result<Vec<Pick>, Error> {
        let picks: Vec<Pick> = call(self, FUNCTION, (term, opts, hits), hits.len())?;
        check(&picks, hits.len()).map_err(|what| Fault::Answer(what).of(self.name()))?;
        Ok(sorted(picks))
    }
}

pub(crate) fn check(picks: &[Pick], hits: usize) -> Result<(), String> {
    check_indices(picks.iter().map(|pick| pick.index), hits)?;
    if picks.iter().any(|pick| pick.score.is_some_and(|score| !score.is_finite())) {
        return Err("a score that is no finite number".into());
    }
    match picks.iter().filter_map(|pick| pick.note.as_ref()).find(|note| note.len() > MAX_NOTE) {
        Some(note) => Err(format!("a note of {} bytes, more than {MAX_NOTE}", note.len())),
        None => Ok(()),
    }
}

/// The highest scores first, those without one last; without any scores the plugin's order.
pub(crate) fn sorted(mut picks: Vec<Pick>) -> Vec<Pick> {
    let score = |pick: &Pick| pick.score.unwrap_or(f32::NEG_INFINITY);
    picks.sort_by(|a, b| score(b).total_cmp(&score(a)));
    picks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(index: u32, score: Option<f32>) -> Pick {
        Pick { index, score, note: None }
    }

    #[test]
    fn picks_keep_their_order_unless_scored() {
        let order = |picks: Vec<Pick>| sorted(picks).iter().map(|pick| pick.index).collect::<Vec<_>>();
        assert_eq!(order(vec![pick(2, None), pick(0, None), pick(1, None)]), [2, 0, 1]);
        assert_eq!(order(vec![pick(2, None), pick(0, Some(0.5)), pick(1, Some(1.0))]), [1, 0, 2]);
    }

    #[test]
    fn scores_are_finite_and_notes_short() {
        assert!(check(&[pick(0, Some(-1.0))], 1).is_ok());
        assert!(check(&[pick(0, Some(f32::NAN))], 1).is_err());
        assert!(check(&[pick(0, Some(f32::INFINITY))], 1).is_err());
        assert!(check(&[Pick { note: Some("x".repeat(1_001)), ..pick(0, None) }], 1).is_err());
    }
}
