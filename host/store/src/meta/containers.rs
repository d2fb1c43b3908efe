//! The table of containers.

use std::collections::HashSet;

use nacre_oci::Digest;
use rusqlite::{Connection, OptionalExtension, Params, Row, Transaction, params};

use super::edges::digest;
use crate::Container;

const COLUMNS: &str = "id, name, image, manifest, created, remove, record";

fn read_row(row: &Row<'_>) -> rusqlite::Result<Container> {
    let (image, manifest) = (digest(row, 2)?, digest(row, 3)?);
    Ok(Container { id: row.get(0)?, name: row.get(1)?, image, manifest, created: row.get(4)?, remove: row.get(5)?, record: row.get(6)? })
}

fn select(db: &Connection, which: &str, values: impl Params) -> rusqlite::Result<Vec<Container>> {
    let mut select = db.prepare_cached(&format!("SELECT {COLUMNS} FROM containers {which}"))?;
    select.query_map(values, read_row)?.collect()
}

/// All rows, newest first.
pub(crate) fn all(db: &Connection) -> rusqlite::Result<Vec<Container>> {
    select(db, "ORDER BY created DESC, id", [])
}

/// The containers of an image, newest first.
pub(crate) fn of(db: &Connection, image: &Digest) -> rusqlite::Result<Vec<Container>> {
    select(db, "WHERE image = ? ORDER BY created DESC, id", [image.to_string()])
}

/// The row with this id.
pub(crate) fn get(db: &Connection, id: &str) -> rusqlite::Result<Option<Container>> {
    Ok(select(db, "WHERE id = ?", [id])?.pop())
}

/// The row with this name.
pub(crate) fn named(db: &Connection, name: &str) -> rusqlite::Result<Option<Container>> {
    Ok(select(db, "WHERE name = ?", [name])?.pop())
}

/// The rows whose ids begin with these hex digits.
pub(crate) fn beginning(db: &Connection, digits: &str) -> rusqlite::Result<Vec<Container>> {
    // 'g' comes after every digit.
    select(db, "WHERE id >= ? AND id < ?", [digits, &format!("{digits}g")])
}

pub(crate) fn insert(tx: &Transaction<'_>, one: &Container) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached(&format!("INSERT INTO containers ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"))?;
    let (image, manifest) = (one.image.to_string(), one.manifest.to_string());
    insert.execute(params![one.id, one.name, image, manifest, one.created, one.remove, one.record]).map(drop)
}

pub(crate) fn delete(tx: &Transaction<'_>, id: &str) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM containers WHERE id = ?")?.execute([id]).map(drop)
}

/// What the containers run: roots of all that is needed, also where the image was removed by force.
pub(crate) fn manifests(db: &Connection) -> rusqlite::Result<HashSet<Digest>> {
    let mut select = db.prepare_cached("SELECT DISTINCT manifest FROM containers")?;
    select.query_map([], |row| digest(row, 0))?.collect()
}

/// Whether a container runs the content, or something that lists it.
pub(crate) fn needs(db: &Connection, content: &Digest) -> rusqlite::Result<bool> {
    let mut select = db.prepare_cached(
        "WITH RECURSIVE up (d) AS (VALUES (?) UNION SELECT parent FROM up CROSS JOIN edges ON child = d)
         SELECT 1 FROM up CROSS JOIN containers ON manifest = d LIMIT 1",
    )?;
    Ok(select.query_row([content.to_string()], |_| Ok(())).optional()?.is_some())
}
