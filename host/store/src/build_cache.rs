//! The build cache: which operation of a build made which layers.
//!
//! Records are nice to have and nothing more. They are written without waiting for the disk, and a record whose layers are
//! gone is as good as none. Until it is removed, its layers are safe from every prune of images.

use std::collections::HashSet;

use nacre_oci::{Descriptor, Digest, Result};
use rusqlite::params;

use crate::{Applied, Store, lease, meta::cache, now, prune::sweep};

/// How much later a use must be to be noted, in seconds: noting costs more than looking up.
const NOTEWORTHY: i64 = 60;

/// A layer that an operation made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedLayer {
    /// The digest of the layer uncompressed.
    pub diff_id: Digest,
    /// The layer as it is stored.
    pub descriptor: Descriptor,
}

/// What one operation of a build made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheRecord {
    /// The SHA-256 of the operation and of what it works on.
    pub key: Digest,
    /// The layers that it added, lowest first.
    pub layers: Vec<CachedLayer>,
    /// When it was carried out, Unix seconds.
    pub created: i64,
    /// When it was last made or found, Unix seconds.
    pub last_used: i64,
    /// What the user sees of it, such as `[build 2/5] RUN make`.
    pub description: String,
}

impl CacheRecord {
    /// The bytes of its layers as they are stored.
    pub fn size(&self) -> u64 {
        self.layers.iter().map(|layer| layer.descriptor.size).sum()
    }
}

/// Which records [`stale`] picks. What is `None` or empty picks none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CachePrune {
    /// Every record.
    pub all: bool,
    /// Those that were not used for so many seconds.
    pub unused_for: Option<i64>,
    /// The longest unused ones, until the others' blobs have at most so many bytes.
    pub keep_bytes: Option<u64>,
}

/// The records that are to go, longest unused first.
pub fn stale<'a>(records: &'a [CacheRecord], rule: &CachePrune, now: i64) -> Vec<&'a CacheRecord> {
    let mut sorted: Vec<&CacheRecord> = records.iter().collect();
    sorted.sort_by_key(|record| (std::cmp::Reverse(record.last_used), &record.key));
    let (mut seen, mut bytes) = (HashSet::new(), 0);
    let mut goes = |record: &CacheRecord| {
        let new = record.layers.iter().filter(|layer| seen.insert(layer.descriptor.digest.clone()));
        bytes += new.map(|layer| layer.descriptor.size).sum::<u64>();
        let old = rule.unused_for.is_some_and(|age| record.last_used <= now.saturating_sub(age));
        rule.all || old || rule.keep_bytes.is_some_and(|most| bytes > most)
    };
    let mut stale: Vec<&CacheRecord> = sorted.into_iter().filter(|record| goes(record)).collect();
    stale.reverse();
    stale
}

impl Store {
    /// The cache's record for a key. Whether its layers are there still is not looked at.
    ///
    /// # Errors
    /// If the metadata cannot be read.
    pub fn cache_record(&self, key: &Digest) -> Result<Option<CacheRecord>> {
        self.meta.read(|db| Ok(cache::get(db, key)?))
    }

    /// How many records the cache has.
    pub(crate) fn cache_count(&self) -> Result<usize> {
        self.meta.read(|db| Ok(cache::count(db)?))
    }

    /// All records of the cache, by key.
    ///
    /// # Errors
    /// If the metadata cannot be read.
    pub fn cache_records(&self) -> Result<Vec<CacheRecord>> {
        self.meta.read(|db| Ok(cache::all(db)?))
    }

    /// Writes records, in place of older ones with the same keys. Their layers have to be protected by a lease until then.
    ///
    /// # Errors
    /// If the metadata cannot be written.
    pub fn add_cache_records(&self, records: &[CacheRecord]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let lock = self.layout.lock_exclusive()?;
        self.meta.write_lazily(&lock, |tx| Ok(records.iter().try_for_each(|record| cache::set(tx, record))?))
    }

    /// Notes that records were used, now.
    ///
    /// # Errors
    /// If the metadata cannot be written.
    pub fn touch_cache_records<'a>(&self, records: impl IntoIterator<Item = &'a CacheRecord>) -> Result<()> {
        let now = now();
        let used: Vec<&CacheRecord> = records.into_iter().filter(|one| now.saturating_sub(one.last_used) >= NOTEWORTHY).collect();
        if used.is_empty() {
            return Ok(());
        }
        let lock = self.layout.lock_exclusive()?;
        self.meta.write_lazily(&lock, |tx| {
            let mut update = tx.prepare_cached("UPDATE cache SET last_used = ? WHERE key = ?")?;
            used.iter().try_for_each(|record| update.execute(params![now, record.key.to_string()]).map(drop))?;
            Ok(())
        })
    }

    /// Removes records, unless one was used since it was read, and deletes what nothing needs any more. Says what was
    /// freed; of the answer's lists only `deleted` is filled, with the records' keys.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn remove_cache_records<'a>(&self, records: impl IntoIterator<Item = &'a CacheRecord>) -> Result<Applied> {
        let _room = self.make_room();
        let lock = self.layout.lock_exclusive()?;
        let leased = lease::sweep(&self.layout, &lock)?;
        let (mut applied, garbage) = self.meta.write(&lock, |tx| {
            let mut applied = Applied::default();
            for record in records {
                let unchanged = cache::get(tx, &record.key)?.is_some_and(|held| held.last_used == record.last_used);
                if unchanged && cache::delete(tx, &record.key)? {
                    applied.deleted.push(record.key.clone());
                }
            }
            let garbage = sweep(tx, &self.layout, &leased)?;
            Ok((applied, garbage))
        })?;
        applied.blobs = garbage.len() as u64;
        applied.reclaimed = self.layout.delete_blobs(&lock, &garbage)?;
        Ok(applied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, last_used: i64, layer: &str) -> CacheRecord {
        let descriptor = Descriptor::of("layer", layer.as_bytes());
        let layers = vec![CachedLayer { diff_id: descriptor.digest.clone(), descriptor }];
        CacheRecord { key: Digest::of(name.as_bytes()), layers, created: 1, last_used, description: name.into() }
    }

    fn names(rule: &CachePrune) -> Vec<String> {
        let records = [record("old", 10, "12345678"), record("new", 30, "1234"), record("middle", 20, "12345")];
        stale(&records, rule, 40).into_iter().map(|record| record.description.clone()).collect()
    }

    #[test]
    fn picks_by_age_by_size_or_all_with_the_longest_unused_first() {
        assert!(names(&CachePrune::default()).is_empty());
        assert_eq!(names(&CachePrune { all: true, ..CachePrune::default() }), ["old", "middle", "new"]);
        assert_eq!(names(&CachePrune { unused_for: Some(20), ..CachePrune::default() }), ["old", "middle"]);
        assert_eq!(names(&CachePrune { keep_bytes: Some(9), ..CachePrune::default() }), ["old"]);
        assert_eq!(names(&CachePrune { keep_bytes: Some(3), ..CachePrune::default() }), ["old", "middle", "new"]);
    }

    #[test]
    fn a_blob_that_two_records_share_counts_once() {
        let records = [record("a", 2, "same"), record("b", 1, "same")];
        assert!(stale(&records, &CachePrune { keep_bytes: Some(4), ..CachePrune::default() }, 3).is_empty());
    }
}
