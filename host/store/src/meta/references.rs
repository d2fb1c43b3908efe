//! Names: a repository and a tag or digest, each standing for one image.

use nacre_oci::{Digest, Error, Reference, Result};
use rusqlite::{Connection, OptionalExtension, Rows, Transaction};

use super::{Fault, edges::digest};
use crate::{
    Acquired, Store,
    planted::{Bug, planted},
};

/// The name in the form in which it is kept: a digest goes before a tag, as in Docker; neither means `latest`.
pub(crate) fn keepable(reference: &Reference) -> Reference {
    match reference.digest() {
        Some(digest) => reference.with_digest(digest.clone()),
        None => reference.clone().or_latest(),
    }
}

fn build(name: &str, selector: &str) -> rusqlite::Result<Reference> {
    let text = if selector.contains(':') { format!("{name}@{selector}") } else { format!("{name}:{selector}") };
    text.parse().map_err(|e: Error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, e.into()))
}

/// What a kept name stands for.
pub(crate) fn target(db: &Connection, reference: &Reference) -> rusqlite::Result<Option<Digest>> {
    let mut select = db.prepare_cached("SELECT image FROM refs WHERE name = ? AND selector = ?")?;
    select.query_row([reference.name(), reference.selector()], |row| digest(row, 0)).optional()
}

/// The names of one image, sorted.
pub(crate) fn of(db: &Connection, image: &Digest) -> rusqlite::Result<Vec<Reference>> {
    let mut select = db.prepare_cached("SELECT name, selector FROM refs WHERE image = ? ORDER BY name, selector")?;
    let rows = select.query_map([image.to_string()], |row| build(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?))?;
    rows.collect()
}

/// What [`ByImage`] reads.
pub(crate) const BY_IMAGE: &str = "SELECT image, name, selector FROM refs INDEXED BY refs_image ORDER BY image, name, selector";

/// All names, in the order of their images.
pub(crate) struct ByImage<'a> {
    rows: Rows<'a>,
    /// The next name, and its image.
    next: Option<(String, Reference)>,
}

impl<'a> ByImage<'a> {
    pub(crate) fn new(rows: Rows<'a>) -> rusqlite::Result<Self> {
        let mut names = Self { rows, next: None };
        names.read()?;
        Ok(names)
    }

    fn read(&mut self) -> rusqlite::Result<()> {
        self.next = match self.rows.next()? {
            Some(row) => Some((row.get(0)?, build(row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?)?)),
            None => None,
        };
        Ok(())
    }

    /// The names of an image, sorted; the images have to be asked for in the order of their digests, as text.
    pub(crate) fn of(&mut self, image: &str) -> rusqlite::Result<Vec<Reference>> {
        let mut names = Vec::new();
        while let Some((of, name)) = self.next.take_if(|(of, _)| &**of <= image) {
            names.extend(Some(name).filter(|_| of == image));
            self.read()?;
        }
        Ok(names)
    }
}

/// Makes a name stand for an image, and says what else it stood for before.
pub(crate) fn set(tx: &Transaction<'_>, reference: &Reference, image: &Digest) -> rusqlite::Result<Option<Digest>> {
    let before = target(tx, reference)?.filter(|before| before != image);
    let mut upsert = tx.prepare_cached("INSERT OR REPLACE INTO refs (name, selector, image) VALUES (?, ?, ?)")?;
    upsert.execute([reference.name(), reference.selector(), image.to_string()])?;
    Ok(before)
}

pub(crate) fn delete<'a>(tx: &Transaction<'_>, references: impl IntoIterator<Item = &'a Reference>) -> rusqlite::Result<()> {
    let mut delete = tx.prepare_cached("DELETE FROM refs WHERE name = ? AND selector = ?")?;
    references.into_iter().try_for_each(|one| delete.execute([one.name(), one.selector()]).map(drop))
}

impl Store {
    /// Gives an image that the store has another name (`latest` where neither tag nor digest is named) and returns the
    /// image that had the name before, which is dangling now if it has no other. The target may also be a manifest
    /// within a kept index, which so becomes an image of its own.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the store has no such manifest or index; [`Error::Mismatch`] if the name has a digest, and
    /// that is another.
    pub fn tag(&self, reference: &Reference, image: &Digest) -> Result<Option<Digest>> {
        let reference = checked(reference, image)?;
        self.layout.flush_blobs()?;
        let lock = self.layout.lock_exclusive()?;
        self.meta.write(&lock, |tx| {
            if !self.is_image(tx, image)? {
                let raw = self.read_manifest(tx, image)?;
                self.record(tx, &raw, Acquired::Copied)?;
            }
            Ok(set(tx, &reference, image)?)
        })
    }

    /// Takes one name away and returns the image that had it. The image stays, dangling if that was its last name.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such name.
    pub fn untag(&self, reference: &Reference) -> Result<Digest> {
        let reference = keepable(reference);
        let lock = self.layout.lock_exclusive()?;
        self.meta.write(&lock, |tx| {
            let image = target(tx, &reference)?.ok_or_else(|| Error::not_found(format!("image '{reference}'")))?;
            delete(tx, [&reference])?;
            Ok(image)
        })
    }

    /// The repositories that some image has a name in, such as `docker.io/library/nginx`, sorted.
    ///
    /// # Errors
    /// If the metadata cannot be read.
    pub fn repositories(&self) -> Result<Vec<String>> {
        self.meta.read(|db| {
            let mut select = db.prepare_cached("SELECT DISTINCT name FROM refs ORDER BY name")?;
            let names = select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(names)
        })
    }

    /// The tags of a repository (`docker.io/library/nginx`), sorted; none if there is no such repository.
    ///
    /// # Errors
    /// If the metadata cannot be read.
    pub fn tags(&self, repository: &str) -> Result<Vec<String>> {
        self.meta.read(|db| {
            let mut select = db.prepare_cached("SELECT selector FROM refs WHERE name = ? AND selector NOT LIKE '%:%' ORDER BY selector")?;
            let tags = select.query_map([repository], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(tags)
        })
    }

    /// Remembers that a registry's repository holds all of an image: after a push, so that pushes to its neighbours can
    /// mount instead of upload. Pulling through [`Store::session`] remembers by itself.
    ///
    /// # Errors
    /// If the metadata cannot be written.
    pub fn add_origin(&self, repository: &Reference, image: &Digest) -> Result<()> {
        let lock = self.layout.lock_exclusive()?;
        self.meta.write_lazily(&lock, |tx| Ok(super::edges::insert_origin(tx, image, &repository.name())?))
    }

    /// Remembers what a registry's repository has of an image after a push: the manifest or index `digest`, which is not the
    /// image's own where layers were compressed on the way.
    ///
    /// # Errors
    /// If the metadata cannot be written.
    pub fn add_pushed(&self, repository: &Reference, image: &Digest, digest: &Digest) -> Result<()> {
        let lock = self.layout.lock_exclusive()?;
        self.meta.write_lazily(&lock, |tx| Ok(super::pushed::set(tx, image, &repository.name(), digest)?))
    }
}

/// The name in its kept form, which names no other digest than the image's.
pub(crate) fn checked(reference: &Reference, image: &Digest) -> Result<Reference> {
    let kept = keepable(reference);
    match kept.digest() {
        Some(named) if named != image && !planted(Bug::NameUnchecked) => {
            let what = format!("the image for {reference}");
            Err(Error::Mismatch { what, expected: named.to_string(), actual: image.to_string() })
        }
        _ => Ok(kept),
    }
}

/// Takes every name away that an image has in a repository.
pub(crate) fn delete_in(tx: &Transaction<'_>, repository: &str, image: &Digest) -> Result<usize, Fault> {
    let mut delete = tx.prepare_cached("DELETE FROM refs WHERE name = ? AND image = ?")?;
    Ok(delete.execute([repository, &image.to_string()])?)
}
