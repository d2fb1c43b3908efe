//! What sandboxes keep and nobody uses.

use std::{
    collections::HashSet,
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::Path,
};

use nacre_layer::remove_tree;
use nacre_oci::{Error, Result};

use crate::{
    inside::folder::{Place, list},
    request::{Kept, Reclaim},
};

/// Measures what is kept and, where it is not in use, deletes what is asked for.
pub(crate) fn reclaim(what: Reclaim, place: &Place) -> Result<Kept> {
    place.sweep()?;
    let lock = place.lock()?;
    lock.lock().map_err(Error::io("lock the trees"))?;
    let mut kept = Kept::default();
    let used = used(place)?;
    for tree in list(&place.path.join("layers").join(&place.boot))? {
        let size = size(&tree.path(), &mut HashSet::new());
        if used.contains(&tree.path().into_os_string()) {
            kept.in_use += size;
            continue;
        }
        kept.trees += size;
        if what != Reclaim::Nothing {
            discard(&tree.path(), &place.path)?;
        }
    }
    for cache in list(&place.path.join("caches"))? {
        let size = size(&cache.path(), &mut HashSet::new());
        // Kept locked: who waits for it finds that it is gone, and makes another.
        let lock = File::open(cache.path().join("lock")).ok();
        if lock.as_ref().is_some_and(|lock| lock.try_lock().is_err()) {
            kept.in_use += size;
            continue;
        }
        kept.caches += size;
        if what == Reclaim::TreesAndCaches {
            discard(&cache.path(), &place.path)?;
        }
    }
    (kept.stopped, kept.running) = containers(&place.path)?;
    Ok(kept)
}

/// The bytes of the folders of containers that do not run, and of those that do. They are not below the place, but their files
/// can belong to the same ids.
fn containers(place: &Path) -> Result<(u64, u64)> {
    let folder = place.parent().and_then(Path::parent).unwrap_or(place).join("containers");
    let (mut stopped, mut running) = (0, 0);
    for container in if folder.is_dir() { list(&folder)? } else { Vec::new() } {
        let held = File::open(container.path().join("lock")).is_ok_and(|lock| lock.try_lock_shared().is_err());
        *(if held { &mut running } else { &mut stopped }) += size(&container.path(), &mut HashSet::new());
    }
    Ok((stopped, running))
}

/// The trees to which living runs have links; the dead ones were swept just now.
fn used(place: &Place) -> Result<HashSet<std::ffi::OsString>> {
    let mut used = HashSet::new();
    for run in list(&place.path.join("runs"))? {
        for entry in list(&run.path())? {
            if let Ok(target) = fs::read_link(entry.path()) {
                let layers = place.path.join("layers").join(&place.boot);
                used.extend(target.file_name().map(|name| layers.join(name).into_os_string()));
            }
        }
    }
    Ok(used)
}

/// Takes the name away first, so that a kill in the middle leaves no half of it where it is looked for.
fn discard(path: &Path, place: &Path) -> Result<()> {
    let doing = || Error::io(format!("delete {}", path.display()));
    let dead = tempfile::Builder::new().prefix("dead-").tempdir_in(place.join("runs")).map_err(doing())?.keep();
    fs::rename(path, dead.join("it")).map_err(doing())?;
    remove_tree(&dead)
}

/// The bytes on the disk. A file with several names counts once.
fn size(path: &Path, seen: &mut HashSet<(u64, u64)>) -> u64 {
    let Ok(meta) = fs::symlink_metadata(path) else { return 0 };
    if meta.nlink() > 1 && !meta.is_dir() && !seen.insert((meta.dev(), meta.ino())) {
        return 0;
    }
    let below = fs::read_dir(path).ok().filter(|_| meta.is_dir()).into_iter().flatten().flatten();
    meta.blocks() * 512 + below.map(|entry| size(&entry.path(), seen)).sum::<u64>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_file_with_two_names_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), vec![1; 10_000]).unwrap();
        let once = size(dir.path(), &mut HashSet::new());
        fs::hard_link(dir.path().join("a"), dir.path().join("b")).unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("c")).unwrap();
        let link = fs::symlink_metadata(dir.path().join("c")).unwrap().blocks() * 512;
        assert!(once >= 10_000);
        assert_eq!(size(dir.path(), &mut HashSet::new()), once + link);
    }
}
