//! Doing what the cache does not have.

use std::sync::{Arc, Mutex, PoisonError};

use nacre_layer::Layer;
use nacre_oci::{Digest, Sink};
use nacre_store::{CacheRecord, CachedLayer};

use super::{Job, Solver};
use crate::{Event, Origin, Result, Stacked, Step};

/// What an operation added, once that is known.
pub(super) type Slot = Arc<Mutex<Option<Found>>>;

/// What an operation adds to its base.
#[derive(Clone)]
pub(super) struct Found {
    added: Vec<Stacked>,
    record: CacheRecord,
    cached: bool,
}

impl Job<'_> {
    /// The layers that the operation adds: those of the cache's record for `key`, or what `make` makes. `also` leads to them from
    /// then on too. Of operations with the same key one is done and the others wait for it.
    pub(crate) fn cached(&self, key: &Digest, also: Option<&Digest>, make: impl FnOnce() -> Result<Vec<Layer>>) -> Result<Vec<Stacked>> {
        let found = self.obtain(key, also, make)?;
        self.tell_found(&found);
        Ok(found.added)
    }

    /// As [`Job::cached`], for something that the operation needs on its way.
    pub(super) fn helped(&self, key: &Digest, make: impl FnOnce() -> Result<Vec<Layer>>) -> Result<Vec<Stacked>> {
        Ok(self.obtain(key, None, make)?.added)
    }

    /// What the cache has for `key`.
    pub(crate) fn known(&self, key: &Digest) -> Result<Option<(Vec<Stacked>, CacheRecord)>> {
        let Some(found) = self.look(key)? else { return Ok(None) };
        self.tell_found(&found);
        Ok(Some((found.added, found.record)))
    }

    fn obtain(&self, key: &Digest, also: Option<&Digest>, make: impl FnOnce() -> Result<Vec<Layer>>) -> Result<Found> {
        let slot = Slot::clone(self.solver.memory().made.entry((key.clone(), self.planned.vertex.no_cache)).or_default());
        let mut held = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = &*held {
            return Ok(Found { cached: true, ..found.clone() });
        }
        let (found, mut new) = match self.look(key)? {
            Some(found) => (found, Vec::new()),
            None => {
                let record = self.record(key, self.make(make)?);
                (Found { added: stacked(&record, &Origin::Built), record: record.clone(), cached: false }, vec![record])
            }
        };
        new.extend(also.map(|also| CacheRecord { key: also.clone(), ..found.record.clone() }));
        self.solver.environment.store.add_cache_records(&new)?;
        *held = Some(found.clone());
        Ok(found)
    }

    /// Where what follows has to run programs, that has to be possible before anything is done.
    fn make(&self, make: impl FnOnce() -> Result<Vec<Layer>>) -> Result<Vec<Layer>> {
        if self.planned.leads_to_program {
            self.solver.sandbox()?;
        }
        make()
    }

    fn look(&self, key: &Digest) -> Result<Option<Found>> {
        if self.planned.vertex.no_cache {
            return Ok(None);
        }
        let Some((record, origin)) = self.solver.look_up(key)? else { return Ok(None) };
        self.solver.memory().used.push(record.clone());
        Ok(Some(Found { added: stacked(&record, &origin), record, cached: true }))
    }

    fn tell_found(&self, found: &Found) {
        if found.cached {
            self.tell(Event::Cached { id: self.id });
        }
        let (name, record) = (self.planned.vertex.label.clone(), Some(found.record.clone()));
        self.solver.memory().steps.push(Step { id: self.id, name, cached: found.cached, record });
    }

    fn record(&self, key: &Digest, made: Vec<Layer>) -> CacheRecord {
        let layers = made.into_iter().map(|Layer { descriptor, diff_id }| CachedLayer { diff_id, descriptor }).collect();
        let (now, description) = (self.solver.environment.now, self.planned.vertex.label.clone());
        CacheRecord { key: key.clone(), layers, created: now, last_used: now, description }
    }
}

impl Solver {
    /// A record whose layers are all to be had, of the store or of what was imported.
    pub(crate) fn look_up(&self, key: &Digest) -> Result<Option<(CacheRecord, Origin)>> {
        if let Some(record) = self.environment.store.cache_record(key)?
            && self.holds(&record)?
        {
            return Ok(Some((record, Origin::Built)));
        }
        for import in &self.imports {
            if let Some(record) = import.records.get(key) {
                let record = CacheRecord { last_used: self.environment.now, ..record.clone() };
                self.environment.store.add_cache_records(std::slice::from_ref(&record))?;
                return Ok(Some((record, Origin::Imported(Arc::clone(&import.from)))));
            }
        }
        Ok(None)
    }

    /// Whether the layers of a record are there; from here on they stay.
    fn holds(&self, record: &CacheRecord) -> Result<bool> {
        self.session.lease().protect(record.layers.iter().map(|layer| &layer.descriptor.digest))?;
        for layer in &record.layers {
            if !self.session.contains(&layer.descriptor)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The layers of a record.
fn stacked(record: &CacheRecord, origin: &Origin) -> Vec<Stacked> {
    let description: Arc<str> = record.description.as_str().into();
    let one = |layer: &CachedLayer| Stacked {
        layer: Layer { descriptor: layer.descriptor.clone(), diff_id: layer.diff_id.clone() },
        origin: origin.clone(),
        created: Some(record.created),
        description: Arc::clone(&description),
    };
    record.layers.iter().map(one).collect()
}
