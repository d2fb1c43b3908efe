//! Containers as the store sees them: what they were made of, so that it stays, and whether they run.
//!
//! A row makes a container exist; `ROOT/containers/ID` has all else of it. Who runs it holds the folder's `lock`, so that it
//! runs is proved and not noted. A row without that file is as good as none.

use std::{fmt, fs::File};

use nacre_oci::{Digest, Error, Result};
use rusqlite::{Connection, Transaction, params};

use crate::{
    Life, Store,
    layout::read_dir,
    lease, mark,
    meta::{Fault, containers, edges},
    now,
};

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// 64 hex digits.
    pub id: String,
    /// Its name, without Docker's slash; no two have the same.
    pub name: String,
    /// The image that it was made from, which is in use as long as it exists.
    pub image: Digest,
    /// The manifest of that image that it runs: it and its layers stay, also when the image is removed by force.
    pub manifest: Digest,
    /// Unix nanoseconds.
    pub created: i64,
    /// Whether it goes as soon as it has run (`--rm`).
    pub remove: bool,
    /// What its owner keeps about it, as JSON. The store does not look into it.
    pub record: String,
}

/// Why [`Store::add_container`] adds none, within [`Error::Other`]: another has the name. Its text is Docker's.
#[derive(Debug)]
pub struct NameTaken {
    name: String,
    by: String,
}

impl fmt::Display for NameTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, by } = self;
        write!(
            f,
            "Conflict. The container name \"/{name}\" is already in use by container \"{by}\". \
             You have to remove (or rename) that container to be able to reuse that name."
        )
    }
}

impl std::error::Error for NameTaken {}

impl Store {
    /// Makes a container's folder, `ROOT/containers/ID`, and returns its lock, held. To be kept until the row is added: a
    /// folder without row whose lock is free is left over.
    ///
    /// # Errors
    /// If the folder is there, or cannot be made.
    pub fn claim_container(&self, id: &str) -> Result<File> {
        let folder = self.layout.containers().join(id);
        let doing = || format!("make the folder {}", folder.display());
        // Under the lock, so that nobody takes the folder for left over before its own lock is held.
        let _lock = self.layout.lock_exclusive()?;
        let disk = self.layout.disk();
        disk.make_dirs(&self.layout.containers()).map_err(Error::io(doing()))?;
        disk.make_dir(&folder).map_err(Error::io(doing()))?;
        let file = disk.create(&folder.join("lock")).map_err(Error::io(doing()))?;
        file.lock().map_err(Error::io(doing()))?;
        Ok(file)
    }

    /// Adds a container, whose image is in use from now on: in one transaction with the check that it is there still, whole.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the image or some of the manifest's content is gone; [`NameTaken`] within [`Error::Other`].
    pub fn add_container(&self, container: &Container) -> Result<()> {
        let lock = self.layout.lock_exclusive()?;
        let add = |tx: &Transaction<'_>| {
            self.free_name(tx, &container.name)?;
            if !self.is_image(tx, &container.image)? {
                return Err(Error::not_found(format!("image {}", container.image)).into());
            }
            self.refuse_lost(tx, &container.manifest)?;
            let mut update = tx.prepare_cached("UPDATE images SET last_used = ?, uses = uses + 1 WHERE digest = ?")?;
            update.execute(params![now(), container.image.to_string()])?;
            Ok(containers::insert(tx, container)?)
        };
        // One that goes when it has run does not outlive a power loss anyway.
        if container.remove { self.meta.write_lazily(&lock, add) } else { self.meta.write(&lock, add) }
    }

    /// Deletes the row that has the name, if it does not count any more.
    fn free_name(&self, tx: &Transaction<'_>, name: &str) -> Result<(), Fault> {
        let Some(held) = containers::named(tx, name)? else { return Ok(()) };
        if self.layout.life(&held)? == Life::Ended {
            return Ok(containers::delete(tx, &held.id)?);
        }
        Err(Error::Other(NameTaken { name: held.name, by: held.id }.into()).into())
    }

    /// Refuses a manifest that is not there with all that it lists.
    fn refuse_lost(&self, db: &Connection, manifest: &Digest) -> Result<(), Fault> {
        let below = edges::below(db, manifest)?;
        let mut lost = Vec::new();
        if self.layout.blob_size(manifest)?.is_none() || !below.parents().any(|parent| parent == manifest) {
            lost.push(manifest.to_string());
        }
        for content in below.edges() {
            if !self.layout.has(content)? {
                lost.push(content.digest.to_string());
            }
        }
        if lost.is_empty() { Ok(()) } else { Err(Error::not_found(format!("content {} in the store", lost.join(", "))).into()) }
    }

    /// All containers, running and stopped, newest first.
    ///
    /// # Errors
    /// If the metadata or a container's lock cannot be read.
    pub fn containers(&self) -> Result<Vec<Container>> {
        self.counting(self.meta.read(|db| Ok(containers::all(db)?))?)
    }

    /// The container with this id, this name (with or without Docker's slash) or, if no other, an id that begins like that.
    ///
    /// # Errors
    /// As [`Store::containers`]; with Docker's words if several ids begin like that.
    pub fn container(&self, text: &str) -> Result<Option<Container>> {
        let name = text.strip_prefix('/').unwrap_or(text);
        let (exact, beginning) = self.meta.read(|db| {
            let exact = containers::get(db, text)?.into_iter().chain(containers::named(db, name)?).collect();
            let digits = !text.is_empty() && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            Ok((exact, if digits { containers::beginning(db, text)? } else { Vec::new() }))
        })?;
        if let Some(found) = self.counting(exact)?.into_iter().next() {
            return Ok(Some(found));
        }
        let mut found = self.counting(beginning)?;
        match found.len() {
            0 | 1 => Ok(found.pop()),
            _ => Err(Error::Other(format!("Multiple IDs found with provided prefix: {text}").into())),
        }
    }

    /// Those that have not ended.
    fn counting(&self, mut rows: Vec<Container>) -> Result<Vec<Container>> {
        let mut ended = Vec::new();
        for row in &rows {
            ended.push(self.layout.life(row)? == Life::Ended);
        }
        let mut ended = ended.into_iter();
        rows.retain(|_| !ended.next().unwrap_or_default());
        Ok(rows)
    }

    /// Deletes a container's row, after its folder, and what nothing but it needed of an image that was removed before. Says
    /// whether there was a row.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn delete_container(&self, id: &str) -> Result<bool> {
        let lock = self.layout.lock_exclusive()?;
        let Some((row, kept)) = self.meta.read(|db| {
            let Some(row) = containers::get(db, id)? else { return Ok(None) };
            let kept = self.is_image(db, &row.image)?;
            Ok(Some((row, kept)))
        })?
        else {
            return Ok(false);
        };
        if kept {
            // A power loss may bring the row back, but not the folder, and so it does not count.
            self.meta.write_lazily(&lock, |tx| Ok(containers::delete(tx, id)?))?;
            return Ok(true);
        }
        let leased = lease::sweep(&self.layout, &lock)?;
        let orphans = self.meta.write(&lock, |tx| {
            containers::delete(tx, id)?;
            let orphans = mark::orphans(tx, &row.manifest, &leased)?;
            edges::delete_of(tx, &orphans)?;
            Ok(orphans)
        })?;
        self.layout.delete_blobs(&lock, &orphans)?;
        Ok(true)
    }

    /// The ids of containers that are to be swept: folders without row whose lock is free, and rows that have ended.
    ///
    /// # Errors
    /// As [`Store::containers`]; if the folder cannot be listed.
    pub fn left_over_containers(&self) -> Result<Vec<String>> {
        // Nobody claims a folder meanwhile.
        let _lock = self.layout.lock_shared()?;
        let rows = self.meta.read(|db| Ok(containers::all(db)?))?;
        let mut left = self.stray_folders(&rows)?;
        for row in &rows {
            if self.layout.life(row)? == Life::Ended {
                left.push(row.id.clone());
            }
        }
        Ok(left)
    }

    /// The folders that no row speaks of and nobody holds. To be called under the writers' lock.
    pub(crate) fn stray_folders(&self, rows: &[Container]) -> Result<Vec<String>> {
        let mut stray = Vec::new();
        for entry in read_dir(&self.layout.containers())? {
            let id = entry.file_name().to_string_lossy().into_owned();
            if !rows.iter().any(|row| row.id == id) && self.layout.lock_is_held(&id)? != Some(true) {
                stray.push(id);
            }
        }
        stray.sort();
        Ok(stray)
    }
}
