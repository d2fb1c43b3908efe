//! The folders of cache mounts, which last from run to run.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, Permissions, TryLockError},
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
    },
    path::{Path, PathBuf},
};

use nacre_layer::remove_tree;
use nacre_oci::{Digest, Error, Result};

use crate::{
    inside::{
        beneath::{self, Missing, Traces},
        copy::copy,
        root::Roots,
    },
    request::{Cache, MountKind, Run, Sharing},
};

/// How many caches of one name can be in use at the same time, each by a run of its own.
const MAX_PRIVATE: usize = 1000;

/// The caches that one run uses, each once. They are held until the sandbox process ends.
#[derive(Default)]
pub(crate) struct Caches(BTreeMap<String, (PathBuf, File)>);

impl Caches {
    /// Takes all caches of a run, as their sharing allows, and makes those that are new: always in the same order, so that
    /// two runs never wait for each other.
    pub(crate) fn hold(run: &Run, roots: &Roots<'_>) -> Result<Self> {
        let wanted = run.mounts.iter().filter_map(|mount| match &mount.kind {
            MountKind::Cache(cache) => Some((file_name(cache), cache)),
            _ => None,
        });
        let wanted: BTreeMap<String, &Cache> = wanted.collect();
        let held = wanted.into_iter().map(|(name, cache)| Ok((name.clone(), hold(cache, roots, &name)?)));
        held.collect::<Result<_>>().map(Self)
    }

    /// Where a cache of the run is.
    pub(crate) fn path(&self, cache: &Cache) -> Result<&Path> {
        let held = self.0.get(&file_name(cache));
        held.map(|(path, _)| path.as_path()).ok_or_else(|| Error::not_found(format!("the cache {}", cache.id)))
    }
}

fn hold(cache: &Cache, roots: &Roots<'_>, name: &str) -> Result<(PathBuf, File)> {
    let (folder, lock) = take(cache, name, &roots.place.path.join("caches"))?;
    let path = folder.join("data");
    if !path.is_dir() {
        // Two that share a new one must not both fill it. The folder gets its name when it is full.
        let filling = lock_file(&folder.join("filling"))?;
        filling.lock().map_err(Error::io("lock a cache"))?;
        if !path.is_dir() {
            fill(cache, roots, name, &path)?;
        }
    }
    Ok((path, lock))
}

fn take(cache: &Cache, name: &str, caches: &Path) -> Result<(PathBuf, File)> {
    let mut number = 0;
    while number < MAX_PRIVATE {
        let folder = caches.join(format!("{name}-{number}"));
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(Error::io("make a cache"))?;
        let lock = lock_file(&folder.join("lock"))?;
        if !lock_as(&lock, cache.sharing)? {
            number += 1;
        } else if is_at(&lock, &folder.join("lock")) {
            return Ok((folder, lock));
        }
        // Otherwise the cache was reclaimed before it was locked; there may be another by now.
    }
    Err(Error::Conflict(format!("the cache {} is in use {MAX_PRIVATE} times", cache.id)))
}

/// False if somebody else has it and there is another to try.
fn lock_as(lock: &File, sharing: Sharing) -> Result<bool> {
    let locked = match sharing {
        Sharing::Shared => lock.lock_shared(),
        Sharing::Locked => lock.lock(),
        Sharing::Private => match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(()),
        },
    };
    locked.map(|()| true).map_err(Error::io("lock a cache"))
}

fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(one), Ok(other)) = (file.metadata(), fs::metadata(path)) else { return false };
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// A name made of digits only, whatever the id is: of the id, and of what a new one holds.
fn file_name(cache: &Cache) -> String {
    let initial = cache.initial.as_ref().map(|(layers, source)| (layers.iter().map(|layer| &layer.diff_id).collect::<Vec<_>>(), source));
    Digest::of(format!("{:?} {initial:?}", cache.id).as_bytes()).hex().to_owned()
}

fn lock_file(path: &Path) -> Result<File> {
    File::options().create(true).truncate(false).write(true).open(path).map_err(Error::io(format!("open {}", path.display())))
}

fn fill(cache: &Cache, roots: &Roots<'_>, name: &str, path: &Path) -> Result<()> {
    let doing = || Error::io("make a cache");
    let new = path.with_file_name("new");
    remove_tree(&new)?;
    fs::create_dir(&new).map_err(doing())?;
    fs::set_permissions(&new, Permissions::from_mode(cache.mode & 0o7777)).map_err(doing())?;
    if roots.place.owners {
        chown(&new, Some(cache.uid), Some(cache.gid)).map_err(doing())?;
    }
    if let Some((layers, source)) = &cache.initial {
        let root = roots.mount(layers, name)?;
        let top = beneath::open_root(&root.path).map_err(doing())?;
        let found = beneath::find(top.as_fd(), Path::new(source), Missing::Fail, Traces::None);
        let found = found.map_err(Error::io(format!("find {source} for a new cache")))?;
        copy(Path::new(&format!("/proc/self/fd/{}/", found.file.as_raw_fd())), &new, &roots.trees.empty()?, roots.place)?;
        root.unmount()?;
    }
    fs::rename(new, path).map_err(doing())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn cache(id: &str, sharing: Sharing) -> Cache {
        Cache { id: id.into(), sharing, initial: None, mode: 0o755, uid: 0, gid: 0 }
    }

    #[test]
    fn no_id_becomes_a_path() {
        for id in ["../../etc", "/etc", "", ".", "a/b"] {
            let name = file_name(&cache(id, Sharing::Shared));
            assert!(name.chars().all(|c| c.is_ascii_hexdigit()), "{name}");
        }
    }

    #[test]
    fn a_private_cache_in_use_makes_another() {
        let dir = tempfile::tempdir().unwrap();
        let of = |sharing| take(&cache("x", sharing), "x", dir.path()).unwrap();
        let (shared, also) = (of(Sharing::Shared), of(Sharing::Shared));
        assert_eq!(shared.0, also.0);
        drop((shared.1, also.1));
        let (first, second) = (of(Sharing::Private), of(Sharing::Private));
        assert_eq!(first.0, shared.0);
        assert_ne!(first.0, second.0);
    }
}
