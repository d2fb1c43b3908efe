//! Mending what [`Store::check`] finds.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

use nacre_oci::{Digest, Error, Result};
use rusqlite::Connection;

use crate::{
    Image, Lease, Store,
    check::{STRAY, was_present},
    ingest,
    layout::{ALGORITHMS, read_dir},
    lease,
    meta::{Fault, edges, images},
    tree,
};

/// Where damaged content is set aside, below the root: it may be the only copy there is.
const ASIDE: &str = "damaged";

/// What was mended, and what only a registry can mend.
#[derive(Clone, Debug, Default)]
pub struct Repair {
    /// What was done, or would be: one line each.
    pub done: Vec<String>,
    /// Images that lack content.
    pub lacking: Vec<Lacking>,
}

/// An image that lacks some of what it had.
#[derive(Clone, Debug)]
pub struct Lacking {
    /// The image.
    pub image: Image,
    /// What is missing.
    pub missing: Vec<Digest>,
    /// Repositories that had it, such as `docker.io/library/nginx`.
    pub origins: Vec<String>,
}

impl Store {
    /// Mends what can be mended here: reads all content, sets aside what is damaged, corrects modes, knows again what documents
    /// list, drops rows about nothing, and prunes what killed commands have left. `dry_run` only says so. No image is removed.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub fn repair(&self, dry_run: bool) -> Result<Repair> {
        let mut repair = Repair::default();
        let bad = self.damaged_content()?;
        let lock = self.layout.lock_exclusive()?;
        self.correct_modes(dry_run, &mut repair.done)?;
        self.set_aside(&bad, dry_run, &mut repair.done)?;
        let mend = |db: &Connection| -> Result<(Vec<String>, Vec<Lacking>), Fault> {
            let mut done = drop_stray(db, dry_run)?;
            done.extend(self.rebuild_edges(db, dry_run)?);
            Ok((done, self.lacking(db, &bad)?))
        };
        let (done, lacking) = if dry_run { self.meta.read(mend)? } else { self.meta.write(&lock, |tx| mend(tx))? };
        drop(lock);
        repair.done.extend(done);
        repair.lacking = lacking;
        repair.done.extend(self.clear_left_over(dry_run)?);
        Ok(repair)
    }

    /// The blobs whose content is not what they are called by, or cannot be read, and why.
    fn damaged_content(&self) -> Result<BTreeMap<Digest, String>> {
        let (lease, mut bad) = (Lease::new(&self.layout)?, BTreeMap::new());
        let blobs = self.layout.list_blobs()?;
        lease.protect(blobs.keys())?;
        for digest in blobs.into_keys() {
            let opened = self.layout.open_blob(&digest);
            match opened.and_then(|mut file| ingest::hash_file(&mut file, digest.algorithm()).map_err(Error::io("read it"))) {
                Ok(hasher) if hasher.digest() == digest => {}
                Ok(_) => _ = bad.insert(digest, "its content is another".into()),
                // Pruned before it was protected.
                Err(Error::NotFound { .. }) => {}
                Err(error) => _ = bad.insert(digest, error.to_string()),
            }
        }
        Ok(bad)
    }

    fn correct_modes(&self, dry_run: bool, done: &mut Vec<String>) -> Result<()> {
        let mut correct = |path: &Path, mode: u32| -> Result<()> {
            done.push(format!("{}: mode {mode:o}", path.display()));
            if dry_run {
                return Ok(());
            }
            self.layout.disk().correct_mode(path, mode).map_err(Error::io(format!("change the mode of {}", path.display())))
        };
        if fs::metadata(self.root()).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0) {
            correct(self.root(), 0o700)?;
        }
        for entry in ALGORITHMS.iter().map(|one| read_dir(&self.layout.blobs(*one))).collect::<Result<Vec<_>>>()?.iter().flatten() {
            if entry.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o7777 != 0o444) {
                correct(&entry.path(), 0o444)?;
            }
        }
        Ok(())
    }

    /// Moves damaged blobs, and what is no blob at all, out of the way.
    fn set_aside(&self, bad: &BTreeMap<Digest, String>, dry_run: bool, done: &mut Vec<String>) -> Result<()> {
        let mut away = |path: &Path, why: &str| -> Result<()> {
            let name = path.file_name().unwrap_or_default();
            let aside = self.root().join(ASIDE);
            done.push(format!("{}: set aside in {}: {why}", path.display(), aside.display()));
            if dry_run {
                return Ok(());
            }
            let disk = self.layout.disk();
            let moved = disk.make_dirs(&aside).and_then(|()| disk.rename(path, &aside.join(name)));
            moved.map_err(Error::io(format!("move {} to {}", path.display(), aside.display())))
        };
        bad.iter().try_for_each(|(digest, why)| away(&self.layout.blob(digest), why))?;
        for algorithm in ALGORITHMS {
            for entry in read_dir(&self.layout.blobs(algorithm))? {
                let name = format!("{}:{}", algorithm.name(), entry.file_name().to_string_lossy());
                let is_file = entry.metadata().is_ok_and(|meta| meta.is_file());
                if name.parse::<Digest>().is_err() || !is_file && !bad.keys().any(|digest| digest.to_string() == name) {
                    away(&entry.path(), "it is no blob")?;
                }
            }
        }
        Ok(())
    }

    /// Adds what the documents that are present list and the metadata does not know: before anything is pruned.
    fn rebuild_edges(&self, db: &Connection, dry_run: bool) -> Result<Vec<String>, Fault> {
        let (graph, mut done) = (edges::graph(db)?, Vec::new());
        for image in images::all(db)? {
            // One that cannot be read is lacking, and what its documents list stays known.
            let Ok(raw) = self.read_manifest(db, &image.id) else { continue };
            let Ok(facts) = tree::read(self, &raw) else { continue };
            let new: Vec<_> = facts.edges.into_iter().filter(|edge| !graph.has(&edge.parent, &edge.child.digest)).collect();
            done.extend(new.iter().map(|edge| format!("image {}: {} lists {}", image.id, edge.parent, edge.child.digest)));
            if !dry_run {
                edges::insert(db, &new)?;
            }
        }
        Ok(done)
    }

    /// The images of which something is gone, counting `bad` content.
    fn lacking(&self, db: &Connection, bad: &BTreeMap<Digest, String>) -> Result<Vec<Lacking>, Fault> {
        let mut all = Vec::new();
        for image in images::all(db)? {
            let graph = edges::below(db, &image.id)?;
            let mut missing: Vec<Digest> = Vec::new();
            for content in graph.edges().filter(|child| was_present(&image, child)).chain([&image.descriptor]) {
                if bad.contains_key(&content.digest) || !self.layout.has(content)? {
                    missing.push(content.digest.clone());
                }
            }
            missing.sort();
            missing.dedup();
            // Of a platform that was never fetched the size does not count anything.
            let whole = bad.is_empty() && self.size_now(db, &image) >= Some(image.size);
            if !missing.is_empty() && !whole {
                let origins = edges::own_origins(db, &image.id)?;
                all.push(Lacking { image, missing, origins });
            }
        }
        Ok(all)
    }

    fn size_now(&self, db: &Connection, image: &Image) -> Option<u64> {
        self.read_manifest(db, &image.id).ok().and_then(|raw| tree::read(self, &raw).ok()).map(|facts| facts.size)
    }

    /// What a prune without decisions deletes.
    fn clear_left_over(&self, dry_run: bool) -> Result<Option<String>> {
        let (plan, mut dead) = (self.plan(Vec::new())?, 0);
        {
            let _lock = self.layout.lock_shared()?;
            lease::read(&self.layout, |_| {
                dead += 1;
                Ok(())
            })?;
        }
        if (plan.blobs, plan.bytes, dead) == (0, 0, 0) {
            return Ok(None);
        }
        if !dry_run {
            self.apply(&plan)?;
        }
        Ok(Some(format!(
            "what killed commands left: {dead} leases, {} blobs and {} bytes in all, which nothing needs",
            plan.blobs, plan.bytes
        )))
    }
}

fn drop_stray(db: &Connection, dry_run: bool) -> rusqlite::Result<Vec<String>> {
    let mut done = Vec::new();
    for (table, what, _, stray) in STRAY {
        let mut select = db.prepare(&format!("SELECT DISTINCT {what} FROM {table} WHERE {stray}"))?;
        let names: Vec<String> = select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        done.extend(names.into_iter().map(|name| format!("{name}: forgotten, what it belongs to is not there")));
        if !dry_run {
            db.execute(&format!("DELETE FROM {table} WHERE {stray}"), [])?;
        }
    }
    Ok(done)
}
