//! Which content belongs to which document.

use nacre_oci::{Descriptor, Digest};
use rusqlite::{Connection, Row, Transaction, params};

use crate::mark::Graph;

/// One child of a document.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) parent: Digest,
    pub(crate) child: Descriptor,
}

/// A digest from a column. The store wrote it, so anything else is a damaged file.
pub(crate) fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|e: nacre_oci::Error| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, e.into()))
}

pub(crate) fn insert(tx: &Connection, edges: &[Edge]) -> rusqlite::Result<()> {
    let mut insert =
        tx.prepare_cached("INSERT OR IGNORE INTO edges (parent, child, media_type, bytes, document) VALUES (?, ?, ?, ?, ?)")?;
    for Edge { parent, child } in edges {
        insert.execute(params![
            parent.to_string(),
            child.digest.to_string(),
            child.media_type,
            child.size.cast_signed(),
            child.is_document()
        ])?;
    }
    Ok(())
}

pub(crate) fn delete_of<'a>(tx: &Transaction<'_>, parents: impl IntoIterator<Item = &'a Digest>) -> rusqlite::Result<()> {
    let mut delete = tx.prepare_cached("DELETE FROM edges WHERE parent = ?")?;
    parents.into_iter().try_for_each(|parent| delete.execute([parent.to_string()]).map(drop))
}

/// Shows all edges, one document's after the other's: the digests of the parent and the child as text, and the child's bytes.
pub(crate) fn each(db: &Connection, mut show: impl FnMut(&str, &str, u64)) -> rusqlite::Result<()> {
    let mut select = db.prepare_cached("SELECT parent, child, bytes FROM edges ORDER BY parent")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        show(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?, row.get::<_, i64>(2)?.cast_unsigned());
    }
    Ok(())
}

/// All edges.
pub(crate) fn graph(db: &Connection) -> rusqlite::Result<Graph> {
    let mut graph = Graph::default();
    let mut select = db.prepare_cached("SELECT parent, child, media_type, bytes FROM edges")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let child = Descriptor::new(row.get::<_, String>(2)?, digest(row, 1)?, row.get::<_, i64>(3)?.cast_unsigned());
        graph.add(Edge { parent: digest(row, 0)?, child });
    }
    Ok(graph)
}

/// The edges at and below one document. `CROSS JOIN` keeps SQLite's planner, here and below, from going through all edges.
pub(crate) fn below(db: &Connection, root: &Digest) -> rusqlite::Result<Graph> {
    let mut graph = Graph::default();
    let mut select = db.prepare_cached(
        "WITH RECURSIVE down (d) AS (VALUES (?) UNION SELECT child FROM down CROSS JOIN edges ON parent = d)
         SELECT parent, child, media_type, bytes FROM down CROSS JOIN edges ON parent = d",
    )?;
    let mut rows = select.query([root.to_string()])?;
    while let Some(row) = rows.next()? {
        let child = Descriptor::new(row.get::<_, String>(2)?, digest(row, 1)?, row.get::<_, i64>(3)?.cast_unsigned());
        graph.add(Edge { parent: digest(row, 0)?, child });
    }
    Ok(graph)
}

/// The documents that list the content.
pub(crate) fn parents(db: &Connection, child: &Digest) -> rusqlite::Result<Vec<Digest>> {
    let mut select = db.prepare_cached("SELECT parent FROM edges WHERE child = ?")?;
    select.query_map([child.to_string()], |row| digest(row, 0))?.collect()
}

/// The kept images, other than itself, that the content is a part of.
pub(crate) fn images_above(db: &Connection, content: &Digest) -> rusqlite::Result<Vec<Digest>> {
    let mut select = db.prepare_cached(
        "WITH RECURSIVE up (d) AS (SELECT parent FROM edges WHERE child = ? UNION SELECT parent FROM up CROSS JOIN edges ON child = d)
         SELECT digest FROM up CROSS JOIN images ON digest = d",
    )?;
    select.query_map([content.to_string()], |row| digest(row, 0))?.collect()
}

/// What media type the content was announced with.
pub(crate) fn media_type(db: &Connection, content: &Digest) -> rusqlite::Result<Option<String>> {
    let mut select = db.prepare_cached("SELECT media_type FROM edges WHERE child = ? LIMIT 1")?;
    let mut rows = select.query([content.to_string()])?;
    rows.next()?.map(|row| row.get(0)).transpose()
}

/// Repositories that hold an image with this content.
pub(crate) fn origins(db: &Connection, content: &Digest) -> rusqlite::Result<Vec<String>> {
    let mut select = db.prepare_cached(
        "WITH RECURSIVE up (d) AS (VALUES (?) UNION SELECT parent FROM up CROSS JOIN edges ON child = d)
         SELECT DISTINCT name FROM up CROSS JOIN origins ON image = d LIMIT 32",
    )?;
    select.query_map([content.to_string()], |row| row.get(0))?.collect()
}

/// Repositories that hold an image itself.
pub(crate) fn own_origins(db: &Connection, image: &Digest) -> rusqlite::Result<Vec<String>> {
    let mut select = db.prepare_cached("SELECT name FROM origins WHERE image = ? ORDER BY name")?;
    select.query_map([image.to_string()], |row| row.get(0))?.collect()
}

pub(crate) fn insert_origin(tx: &Transaction<'_>, image: &Digest, name: &str) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT OR IGNORE INTO origins (image, name) VALUES (?, ?)")?.execute([&image.to_string(), name]).map(drop)
}
