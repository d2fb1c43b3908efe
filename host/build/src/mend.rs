//! Caches that turn out to be damaged: what of them cannot be had is forgotten, and made anew.

use std::{collections::BTreeSet, io, sync::Arc};

use nacre_oci::{Descriptor, Digest, open};
use nacre_plugin::Diagnostic;
use nacre_store::CacheRecord;

use crate::{Error, Event, Request, Result, solve::Solver};

/// Forgets the records of caches whose layers were lost or damaged when the build failed. Says whether there were any: then
/// it is worth another try.
pub(crate) fn forget(solver: &Solver, request: &mut Request, error: &Error) -> Result<bool> {
    if error.is_cancelled() || solver.watcher.cancelled() {
        return Ok(false);
    }
    let mut bad = solver.lost();
    if bad.is_empty() && !is_of_program(error) {
        bad = damaged(solver);
    }
    let has_bad = |record: &CacheRecord| record.layers.iter().any(|layer| bad.contains(&layer.descriptor.digest));
    let store = &solver.environment.store;
    let records = store.cache_records()?;
    let gone = store.remove_cache_records(records.iter().filter(|record| has_bad(record)))?.deleted;
    let mut found = !gone.is_empty();
    for import in &mut request.imports {
        let held = import.records.len();
        Arc::make_mut(&mut import.records).retain(|_, record| !has_bad(record));
        found |= import.records.len() < held;
    }
    if found {
        warn(solver, &bad, error);
    }
    Ok(found)
}

/// A program that fails has nothing to do with caches, whose layers are checked before it starts.
fn is_of_program(error: &Error) -> bool {
    match error {
        Error::Step { source, .. } => is_of_program(source),
        Error::Exit { .. } | Error::NotStarted { .. } => true,
        _ => false,
    }
}

/// The layers out of the cache that were used and are not what they should be.
fn damaged(solver: &Solver) -> BTreeSet<Digest> {
    let layers: Vec<Descriptor> = solver.used_layers();
    let is_whole = |layer: &Descriptor| -> io::Result<u64> {
        let mut content = open(&solver.environment.store, layer).map_err(io::Error::other)?;
        io::copy(&mut content, &mut io::sink())
    };
    layers.iter().filter(|layer| is_whole(layer).is_err()).map(|layer| layer.digest.clone()).collect()
}

fn warn(solver: &Solver, bad: &BTreeSet<Digest>, error: &Error) {
    let layers = bad.iter().map(Digest::short).collect::<Vec<_>>().join(", ");
    let message = format!("the cache's layers {layers} are lost or damaged and are made anew: {error}");
    let diagnostic = Diagnostic { code: "cache".into(), message, help: None, at: None };
    solver.watcher.event(Event::Warning(&diagnostic));
}
