//! What a store owes its user after a power loss.

use std::{collections::BTreeSet, fs, path::Path};

use nacre_oci::{Result, Select, validate};
use nacre_store::{Finding, Store};

use super::history::Promise;

/// What may stand in a root after a prune, besides folders.
const OWN: [&str; 6] = ["oci-layout", "lock", "reserve", "meta.db", "meta.db-wal", "meta.db-shm"];

/// The promise that the store at `root` breaks, if any. Either what was promised `before`, or what the step in progress
/// was about to promise, has to hold, for each name and image by itself.
pub(super) fn broken(root: &Path, before: &Promise, after: &Promise) -> Option<String> {
    check(root, before, after).unwrap_or_else(|error| Some(format!("the store fails: {error}")))
}

fn check(root: &Path, before: &Promise, after: &Promise) -> Result<Option<String>> {
    let store = Store::open(root)?;
    let damage = |finding: &Finding| matches!(finding, Finding::Damage(_));
    if let Some(finding) = store.check(true)?.iter().find(|finding| damage(finding)) {
        return Ok(Some(finding.to_string()));
    }
    if let Some(what) = images(&store, before, after)?.or(names(&store, before, after)?) {
        return Ok(Some(what));
    }
    store.apply(&store.plan(Vec::new())?)?;
    if let Some(finding) = store.check(true)?.first() {
        return Ok(Some(format!("after a prune: {finding}")));
    }
    let stays = images(&store, before, after)?;
    Ok(stays.map(|what| format!("after a prune: {what}")).or_else(|| left(root)))
}

/// I1: what was promised is there, whole.
fn images(store: &Store, before: &Promise, after: &Promise) -> Result<Option<String>> {
    for id in before.images.intersection(&after.images) {
        let Some(image) = store.image(id)? else { return Ok(Some(format!("image {id} is gone"))) };
        if let Err(error) = validate(store, &image.descriptor, &Select::All) {
            return Ok(Some(format!("image {id}: {error}")));
        }
    }
    Ok(None)
}

/// I3: each name is old or new.
fn names(store: &Store, before: &Promise, after: &Promise) -> Result<Option<String>> {
    let mut held = Promise::default();
    for image in store.images()? {
        held.names.extend(image.references.iter().map(|name| (name.to_string(), image.id.clone())));
    }
    let all: BTreeSet<&String> = before.names.keys().chain(after.names.keys()).chain(held.names.keys()).collect();
    let wrong = all.into_iter().find(|name| {
        let now = held.names.get(*name);
        now != before.names.get(*name) && now != after.names.get(*name)
    });
    Ok(wrong.map(|name| format!("{name} is {:?}, neither old nor new", held.names.get(name))))
}

/// I4: no file under the root is of no use.
fn left(root: &Path) -> Option<String> {
    let files = |dir: &str| fs::read_dir(root.join(dir)).into_iter().flatten().flatten().map(|entry| entry.path());
    let staging = ["ingest", "ingest/leases", "ingest/uploads"].into_iter().flat_map(files);
    let known = |path: &Path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| OWN.contains(&name));
    let stray = files("").filter(|path| !known(path)).chain(staging).find(|path| path.is_file());
    stray.map(|path| format!("after a prune {} is left", path.display()))
}
