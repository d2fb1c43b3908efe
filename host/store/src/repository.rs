//! The store as a registry's repositories see it.

use nacre_oci::{Descriptor, Digest, Error, RawManifest, Reference, Result, media_type};
use rusqlite::Connection;

use crate::{Store, meta::edges};

/// A manifest or index that a repository has.
#[derive(Clone, Debug)]
pub struct Held {
    /// The document.
    pub raw: RawManifest,
    /// The images of the repository that it belongs to; itself, if it is one.
    pub images: Vec<Digest>,
}

impl Store {
    /// The manifest or index with this digest, if the repository (without tag) has it: by a name of it, as a part of an
    /// index with such a name, or because it has lost all its names, as the last state of a tag that moved on has. So
    /// who pulls by digest is not cut off by a push, only by a prune.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the repository does not have it, or the store lacks it because only another platform of its
    /// index was pulled; the text says which.
    pub fn held(&self, repository: &Reference, digest: &Digest) -> Result<Held> {
        let name = repository.name();
        self.meta.read(|db| {
            let images = if is_document(self, db, digest)? { holders(db, &name, digest)? } else { Vec::new() };
            let first = images.first().ok_or_else(|| Error::not_found(format!("manifest {digest} in {name}")))?;
            if self.layout.blob_size(digest)?.is_none() {
                let what = format!("manifest {digest} (index {first} lists it, but only other platforms were pulled to this store)");
                return Err(Error::not_found(what).into());
            }
            Ok(Held { raw: self.read_manifest(db, digest)?, images })
        })
    }

    /// The manifests of a repository that name `subject` as what they are about (distribution specification, "Listing
    /// Referrers"), as [`Store::referrers`] lists them.
    ///
    /// # Errors
    /// If the metadata cannot be read.
    pub fn referrers_in(&self, repository: &Reference, subject: &Digest, artifact_type: Option<&str>) -> Result<Vec<Descriptor>> {
        let name = repository.name();
        let found = self.referrers(subject, artifact_type)?;
        self.meta.read(|db| {
            let mut here = Vec::new();
            for one in found {
                if !holders(db, &name, &one.digest)?.is_empty() {
                    here.push(one);
                }
            }
            Ok(here)
        })
    }
}

/// The images at and above a document that have a name in the repository, or none anywhere.
fn holders(db: &Connection, name: &str, digest: &Digest) -> rusqlite::Result<Vec<Digest>> {
    let mut select = db.prepare_cached(
        "WITH RECURSIVE up (d) AS (VALUES (?1) UNION SELECT parent FROM edges JOIN up ON child = d)
         SELECT digest FROM up JOIN images ON digest = d
         WHERE EXISTS (SELECT 1 FROM refs WHERE image = d AND name = ?2) OR NOT EXISTS (SELECT 1 FROM refs WHERE image = d)",
    )?;
    select.query_map([&digest.to_string(), name], |row| edges::digest(row, 0))?.collect()
}

fn is_document(store: &Store, db: &Connection, digest: &Digest) -> rusqlite::Result<bool> {
    Ok(store.is_image(db, digest)? || edges::media_type(db, digest)?.is_some_and(|one| media_type::is_document(&one)))
}
