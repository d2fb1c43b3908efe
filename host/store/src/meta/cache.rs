//! The build cache's tables.

use std::collections::HashSet;

use nacre_oci::{Descriptor, Digest};
use rusqlite::{Connection, Row, Transaction, params};

use super::edges::digest;
use crate::{CacheRecord, CachedLayer};

const COLUMNS: &str = "key, created, last_used, description, diff_id, layer, media_type, bytes";

/// One record, if there is one.
pub(crate) fn get(db: &Connection, key: &Digest) -> rusqlite::Result<Option<CacheRecord>> {
    let mut select =
        db.prepare_cached(&format!("SELECT {COLUMNS} FROM cache LEFT JOIN cache_layers USING (key) WHERE key = ? ORDER BY position"))?;
    Ok(collect(select.query([key.to_string()])?)?.pop())
}

/// All records, by key.
pub(crate) fn all(db: &Connection) -> rusqlite::Result<Vec<CacheRecord>> {
    let mut select =
        db.prepare_cached(&format!("SELECT {COLUMNS} FROM cache LEFT JOIN cache_layers USING (key) ORDER BY key, position"))?;
    collect(select.query([])?)
}

/// How many records there are.
pub(crate) fn count(db: &Connection) -> rusqlite::Result<usize> {
    db.query_row("SELECT count(*) FROM cache", [], |row| row.get::<_, i64>(0)).map(|count| usize::try_from(count).unwrap_or_default())
}

/// Puts the rows of one record after the other together.
fn collect(mut rows: rusqlite::Rows<'_>) -> rusqlite::Result<Vec<CacheRecord>> {
    let mut records: Vec<CacheRecord> = Vec::new();
    while let Some(row) = rows.next()? {
        let key = digest(row, 0)?;
        if records.last().is_none_or(|last| last.key != key) {
            let (created, last_used, description) = (row.get(1)?, row.get(2)?, row.get(3)?);
            records.push(CacheRecord { key, created, last_used, description, layers: Vec::new() });
        }
        let last = records.last_mut().expect("pushed above");
        last.layers.extend(layer(row)?);
    }
    Ok(records)
}

/// A record without layers has one row without them.
fn layer(row: &Row<'_>) -> rusqlite::Result<Option<CachedLayer>> {
    if row.get_ref(4)? == rusqlite::types::ValueRef::Null {
        return Ok(None);
    }
    let descriptor = Descriptor::new(row.get::<_, String>(6)?, digest(row, 5)?, row.get::<_, i64>(7)?.cast_unsigned());
    Ok(Some(CachedLayer { diff_id: digest(row, 4)?, descriptor }))
}

/// Writes a record in place of one with the same key.
pub(crate) fn set(tx: &Transaction<'_>, record: &CacheRecord) -> rusqlite::Result<()> {
    delete(tx, &record.key)?;
    let key = record.key.to_string();
    tx.prepare_cached("INSERT INTO cache (key, created, last_used, description) VALUES (?, ?, ?, ?)")?.execute(params![
        key,
        record.created,
        record.last_used,
        record.description
    ])?;
    let mut insert =
        tx.prepare_cached("INSERT INTO cache_layers (key, position, diff_id, layer, media_type, bytes) VALUES (?, ?, ?, ?, ?, ?)")?;
    for (position, CachedLayer { diff_id, descriptor }) in record.layers.iter().enumerate() {
        let (diff_id, layer) = (diff_id.to_string(), descriptor.digest.to_string());
        insert.execute(params![key, position as i64, diff_id, layer, descriptor.media_type, descriptor.size.cast_signed()])?;
    }
    Ok(())
}

/// Deletes a record; says whether there was one.
pub(crate) fn delete(tx: &Transaction<'_>, key: &Digest) -> rusqlite::Result<bool> {
    let key = key.to_string();
    tx.prepare_cached("DELETE FROM cache_layers WHERE key = ?")?.execute([&key])?;
    Ok(tx.prepare_cached("DELETE FROM cache WHERE key = ?")?.execute([&key])? > 0)
}

/// The blobs of all records.
pub(crate) fn blobs(db: &Connection) -> rusqlite::Result<HashSet<Digest>> {
    let mut select = db.prepare_cached("SELECT DISTINCT layer FROM cache_layers")?;
    select.query_map([], |row| digest(row, 0))?.collect()
}

/// Whether a record has the blob.
pub(crate) fn has_blob(db: &Connection, blob: &Digest) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM cache_layers WHERE layer = ? LIMIT 1")?.exists([blob.to_string()])
}
