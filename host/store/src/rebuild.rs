//! Metadata that is damaged or missing is set aside and made anew: of the rows that can still be read, and of the documents
//! among the blobs.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use nacre_oci::{Descriptor, Digest, Document, Error, MAX_MANIFEST, RawManifest, Result, read_small};
use rusqlite::{Connection, OpenFlags, Transaction, params_from_iter, types::Value};

use crate::{
    Acquired, Store,
    disk::Disk,
    layout::{Layout, read_dir},
    meta::{Fault, Meta, images},
    now,
};

/// The tables, by what of them is to be read again first, and the columns that order them.
const TABLES: [(&str, &str); 8] = [
    ("images", "digest"),
    ("refs", "name, selector"),
    ("edges", "parent, child"),
    ("origins", "image, name"),
    ("pushed", "image, name"),
    ("cache", "key"),
    ("cache_layers", "key, position"),
    ("containers", "id"),
];

impl Store {
    /// Opens the store at `root`. Metadata that is damaged or missing is moved to `meta.db.damaged-TIME` and rebuilt, which the
    /// lines tell; `dry_run` refuses instead, as [`Store::open`] does.
    ///
    /// Nobody else may work on the store meanwhile: whoever has the old file open goes on writing to that.
    ///
    /// # Errors
    /// As [`Store::open`]; if the new metadata cannot be written.
    pub fn open_or_rebuild(root: &Path, dry_run: bool) -> Result<(Self, Vec<String>)> {
        match Self::open(root).and_then(|store| store.is_sound().map(|()| store)) {
            Err(Error::Malformed { .. }) if !dry_run => rebuild(&Layout::open(root, Disk::default())?),
            other => other.map(|store| (store, Vec::new())),
        }
    }

    /// Whether SQLite can read all of the metadata, and the store all rows.
    fn is_sound(&self) -> Result<()> {
        self.meta.read(|db| {
            let told: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
            if told == "ok" {
                return Ok(());
            }
            let what = format!("the store's metadata {}", self.layout.meta().display());
            Err(Error::malformed(what, format!("{told}; nacre system repair rebuilds it")).into())
        })
    }
}

fn rebuild(layout: &Layout) -> Result<(Store, Vec<String>)> {
    let lock = layout.lock_exclusive()?;
    let new = layout.root().join("meta.db.new");
    ["", "-wal", "-shm"].iter().try_for_each(|end| layout.unlink(&with(&new, end)))?;
    let store = Store { layout: layout.clone(), meta: Arc::new(Meta::make(layout, &new)?) };
    // An empty file is what a command makes that finds none.
    if fs::metadata(layout.meta()).is_ok_and(|meta| meta.len() == 0) {
        layout.unlink(&layout.meta())?;
    }
    let old = if layout.meta().exists() { Some(layout.meta()) } else { newest_aside(layout)? };
    let mut lines = store.meta.write(&lock, |tx| {
        let rows = old.as_deref().map_or(0, |old| salvage(old, tx));
        let unnamed = store.record_documents(tx)?;
        let lost = unnamed.iter().map(|id| format!("image {id}: its names are lost; nacre tag gives it one, and a prune deletes it"));
        Ok([format!("{}: rebuilt, with {rows} rows of the old one", layout.meta().display())].into_iter().chain(lost).collect::<Vec<_>>())
    })?;
    store.meta.flush()?;
    drop(store);
    lines.extend(exchange(layout, &new)?);
    drop(lock);
    Ok((Store::open(layout.root())?, lines))
}

fn with(path: &Path, end: &str) -> PathBuf {
    format!("{}{end}", path.display()).into()
}

/// What an earlier rebuilding that was killed had set aside.
fn newest_aside(layout: &Layout) -> Result<Option<PathBuf>> {
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let paths = read_dir(layout.root())?.into_iter().map(|entry| entry.path());
    Ok(paths.filter(|path| name(path).starts_with("meta.db.damaged-") && !name(path).ends_with(['l', 'm'])).max())
}

/// Sets the old files aside and gives the new one their name.
fn exchange(layout: &Layout, new: &Path) -> Result<Option<String>> {
    let (old, aside) = (layout.meta(), with(&layout.meta(), &format!(".damaged-{}", now())));
    let mut told = None;
    // The log keeps its file's name, so that both can be read together later.
    for end in ["-wal", "-shm", ""] {
        match layout.disk().rename(&with(&old, end), &with(&aside, end)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            other => {
                other.map_err(Error::io(format!("set {} aside", old.display())))?;
                told = Some(format!("{}: set aside as {}", old.display(), aside.display()));
            }
        }
    }
    ["-wal", "-shm"].iter().try_for_each(|end| layout.unlink(&with(new, end)))?;
    layout.disk().rename(new, &old).map_err(Error::io(format!("write {}", old.display())))?;
    layout.flush_dir(layout.root())?;
    Ok(told)
}

/// Copies what can be read, and says how many rows that are.
fn salvage(old: &Path, tx: &Transaction<'_>) -> usize {
    let Ok(old) = Connection::open_with_flags(old, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX) else { return 0 };
    let copied = TABLES.iter().map(|(table, order)| {
        let columns = order.replace(", ", " DESC, ");
        // From both ends, as each stops at the first page that cannot be read.
        copy(&old, tx, table, order).unwrap_or(0) + copy(&old, tx, table, &format!("{columns} DESC")).unwrap_or(0)
    });
    copied.sum()
}

fn copy(old: &Connection, tx: &Transaction<'_>, table: &str, order: &str) -> rusqlite::Result<usize> {
    let mut select = old.prepare(&format!("SELECT * FROM {table} ORDER BY {order}"))?;
    let names: Vec<String> = select.column_names().map(str::to_owned).collect();
    let marks = vec!["?"; names.len()].join(", ");
    let mut insert = tx.prepare(&format!("INSERT OR IGNORE INTO {table} ({}) VALUES ({marks})", names.join(", ")))?;
    let mut rows = select.query([])?;
    let mut copied = 0;
    while let Ok(Some(row)) = rows.next() {
        let Ok(values) = (0..names.len()).map(|at| row.get(at)).collect::<rusqlite::Result<Vec<Value>>>() else { continue };
        if names.iter().zip(&values).all(|(name, value)| is_right(name, value)) {
            copied += insert.execute(params_from_iter(values)).unwrap_or(0);
        }
    }
    Ok(copied)
}

/// Whether a column holds what the store can read.
fn is_right(column: &str, value: &Value) -> bool {
    match (column, value) {
        ("digest" | "parent" | "child" | "layer" | "diff_id" | "image" | "manifest" | "key", value) => {
            matches!(value, Value::Text(text) if text.parse::<Digest>().is_ok())
        }
        ("labels" | "platforms" | "annotations", Value::Text(text)) => {
            text.is_empty() || serde_json::from_str::<serde_json::Value>(text).is_ok()
        }
        _ => true,
    }
}

impl Store {
    /// Keeps every manifest and index that is part of no other, and returns those without a name.
    fn record_documents(&self, tx: &Transaction<'_>) -> Result<Vec<Digest>, Fault> {
        let mut documents: BTreeMap<Digest, (RawManifest, Document)> = BTreeMap::new();
        for (digest, size) in self.layout.list_blobs()?.into_iter().filter(|(_, size)| *size <= MAX_MANIFEST) {
            // Layers are no documents, and what is damaged is repair's.
            let Ok(bytes) = read_small(self, &Descriptor::new(String::new(), digest.clone(), size), MAX_MANIFEST) else { continue };
            let Ok(document) = Document::parse(&bytes, None) else { continue };
            let descriptor = Descriptor::new(document.media_type().to_owned(), digest.clone(), size);
            documents.insert(digest, (RawManifest { descriptor, bytes }, document));
        }
        let parts: HashSet<Digest> =
            documents.values().flat_map(|(_, document)| document.children()).map(|child| child.digest.clone()).collect();
        let mut unnamed = Vec::new();
        for (digest, (raw, _)) in documents.iter().filter(|(digest, _)| !parts.contains(*digest)) {
            if !self.is_image(tx, digest)? && self.record(tx, raw, Acquired::Copied).is_ok() {
                unnamed.extend(images::get(tx, digest)?.filter(crate::Image::is_dangling).map(|image| image.id));
            }
        }
        Ok(unnamed)
    }
}
