//! Fetching layers.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use nacre_layer::Layer;
use nacre_oci::{Content, Digest, Error as Data, Result, Sink};
use nacre_store::{CacheRecord, CachedLayer, Session};

use crate::{Stacked, StepId, Watcher, key::KeyHasher, watch::Moving};

/// How many layers are fetched at a time.
const PARALLEL: usize = 4;

/// Brings layers into the store, for one operation of a build.
#[derive(Clone)]
pub(crate) struct Fetcher {
    pub(super) id: StepId,
    /// The time of the build, Unix seconds.
    pub(super) now: i64,
    pub(super) session: Arc<Session>,
    pub(super) watcher: Arc<dyn Watcher>,
    pub(super) stop: Arc<AtomicBool>,
    /// Where layers of caches that cannot be had are noted.
    pub(super) lost: Arc<Mutex<BTreeSet<Digest>>>,
}

impl Fetcher {
    /// Fetches what of these layers the store does not have. All of them are protected from then on.
    pub(crate) fn fetch(&self, layers: &[Stacked]) -> Result<()> {
        self.session.lease().protect(layers.iter().map(|stacked| &stacked.layer.descriptor.digest))?;
        let mut missing = Vec::new();
        for stacked in layers {
            if !self.session.contains(&stacked.layer.descriptor)? {
                missing.push(stacked);
            }
        }
        if missing.is_empty() { Ok(()) } else { self.fetch_missing(&missing) }
    }

    fn fetch_missing(&self, missing: &[&Stacked]) -> Result<()> {
        let failed = AtomicBool::new(false);
        let stopped = || failed.load(Ordering::Relaxed) || self.stop.load(Ordering::Relaxed);
        let progress = Moving::new(self.id, &*self.watcher, &stopped);
        let (queue, first) = (Mutex::new(missing.iter()), Mutex::new(None));
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            while let Some(stacked) = next().filter(|_| !failed.load(Ordering::Relaxed)) {
                if let Err(error) = self.fetch_one(stacked, &progress) {
                    failed.store(true, Ordering::Relaxed);
                    let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                    first.get_or_insert(error);
                }
            }
        };
        std::thread::scope(|scope| {
            (1..PARALLEL.min(missing.len())).for_each(|_| _ = scope.spawn(work));
            work();
        });
        first.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn fetch_one(&self, stacked: &Stacked, progress: &Moving<'_>) -> Result<()> {
        let fetched = if stacked.origin.is_new() { self.put(stacked, progress) } else { self.put_held(stacked, progress) };
        if fetched.as_ref().is_err_and(|error| !matches!(error, Data::Cancelled)) && stacked.origin.is_new() {
            self.lost.lock().unwrap_or_else(PoisonError::into_inner).insert(stacked.layer.descriptor.digest.clone());
        }
        fetched
    }

    /// The cache holds layers of images that come out of a registry, as BuildKit's does: of a stage that is only copied from, and
    /// of a build that fails later, nothing else needs them. First the record, so that a killed build leaves nothing over.
    fn put_held(&self, stacked: &Stacked, progress: &Moving<'_>) -> Result<()> {
        let Layer { descriptor, diff_id } = stacked.layer.clone();
        let mut key = KeyHasher::new("fetched");
        key.json(&descriptor.digest);
        let layers = vec![CachedLayer { diff_id, descriptor }];
        let description = "[internal] layer of an image, fetched".into();
        let record = CacheRecord { key: key.finish(), layers, created: self.now, last_used: self.now, description };
        self.session.store().add_cache_records(std::slice::from_ref(&record))?;
        let put = self.put(stacked, progress);
        if put.is_err() {
            self.session.store().remove_cache_records([&record])?;
        }
        put
    }

    fn put(&self, stacked: &Stacked, progress: &Moving<'_>) -> Result<()> {
        let Layer { descriptor, .. } = &stacked.layer;
        let lost = || Data::not_found(format!("layer {} of the build's cache in the store", descriptor.digest));
        let from = stacked.origin.source().ok_or_else(lost)?;
        self.session.put(descriptor, &Content::new(&**from, descriptor, progress)).map(drop)
    }
}
