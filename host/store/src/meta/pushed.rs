//! What repositories have in place of an image whose layers were compressed on the way there.

use std::collections::HashMap;

use nacre_oci::{Digest, Reference};
use rusqlite::{Connection, OptionalExtension, Transaction};

use super::edges::digest;

/// Notes what a repository has of an image; nothing needs to be noted of one that is there as it is here.
pub(crate) fn set(tx: &Transaction<'_>, image: &Digest, name: &str, pushed: &Digest) -> rusqlite::Result<()> {
    let (image, pushed) = (image.to_string(), pushed.to_string());
    if image == pushed {
        return tx.prepare_cached("DELETE FROM pushed WHERE image = ? AND name = ?")?.execute([&image, name]).map(drop);
    }
    let mut upsert = tx.prepare_cached("INSERT OR REPLACE INTO pushed (image, name, digest) VALUES (?, ?, ?)")?;
    upsert.execute([&image, name, &pushed]).map(drop)
}

/// The repositories that have something in place of the image, and the digest of that, by name.
pub(crate) fn of(db: &Connection, image: &Digest) -> rusqlite::Result<Vec<(String, Digest)>> {
    let mut select = db.prepare_cached("SELECT name, digest FROM pushed WHERE image = ? ORDER BY name")?;
    select.query_map([image.to_string()], |row| Ok((row.get(0)?, digest(row, 1)?)))?.collect()
}

/// The same of all images.
pub(crate) fn all(db: &Connection) -> rusqlite::Result<HashMap<Digest, Vec<(String, Digest)>>> {
    let mut pushed: HashMap<_, Vec<_>> = HashMap::new();
    let mut select = db.prepare_cached("SELECT image, name, digest FROM pushed ORDER BY image, name")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        pushed.entry(digest(row, 0)?).or_default().push((row.get(1)?, digest(row, 2)?));
    }
    Ok(pushed)
}

/// The image in whose place a repository has what the reference names by digest.
pub(crate) fn image(db: &Connection, reference: &Reference) -> rusqlite::Result<Option<Digest>> {
    let Some(pushed) = reference.digest() else { return Ok(None) };
    let mut select = db.prepare_cached("SELECT image FROM pushed WHERE name = ? AND digest = ? LIMIT 1")?;
    select.query_row([reference.name(), pushed.to_string()], |row| digest(row, 0)).optional()
}
