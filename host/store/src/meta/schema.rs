//! The tables and their version.

use nacre_oci::{Error, Result};
use rusqlite::Connection;

use super::Fault;

/// Kept in SQLite's `user_version`. A change to the tables adds one and a step to [`bring_up`].
pub(super) const VERSION: i64 = 1;

/// All times are Unix seconds. Digests are text: `sha256:…`. JSON columns are empty where they would hold nothing.
const TABLES: &str = "
CREATE TABLE images (
    digest TEXT PRIMARY KEY,
    media_type TEXT NOT NULL,
    bytes INTEGER NOT NULL,      -- of the manifest or index itself
    created INTEGER,             -- by the config of the host platform's manifest
    recorded INTEGER NOT NULL,
    pulled INTEGER,
    built INTEGER,
    last_used INTEGER,
    uses INTEGER NOT NULL,       -- grows with every use, so that a saved plan notices
    pinned INTEGER NOT NULL,
    size INTEGER NOT NULL,       -- of everything of it that is present
    labels TEXT NOT NULL,        -- JSON
    platforms TEXT NOT NULL,     -- JSON: [[platform, present], …]
    subject TEXT,
    artifact_type TEXT,
    annotations TEXT NOT NULL    -- JSON
) WITHOUT ROWID;
CREATE INDEX images_subject ON images (subject) WHERE subject IS NOT NULL;

CREATE TABLE refs (
    name TEXT NOT NULL,          -- docker.io/library/nginx
    selector TEXT NOT NULL,      -- a tag or a digest
    image TEXT NOT NULL,
    PRIMARY KEY (name, selector)
) WITHOUT ROWID;
CREATE INDEX refs_image ON refs (image);

-- What the documents of kept images consist of, also where it is not present.
CREATE TABLE edges (
    parent TEXT NOT NULL,
    child TEXT NOT NULL,
    media_type TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    document INTEGER NOT NULL,   -- whether the child is a manifest or an index
    PRIMARY KEY (parent, child)
) WITHOUT ROWID;
CREATE INDEX edges_child ON edges (child);
CREATE INDEX edges_document ON edges (child, parent) WHERE document = 1;

-- Repositories that an image was pulled from or pushed to, for cross-repository mounts.
CREATE TABLE origins (
    image TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (image, name)
) WITHOUT ROWID;
";

pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Makes the tables in a new file, if `check` finds the store to be new. To be called under the writers' lock.
pub(super) fn bring_up(connection: &mut Connection, check: impl FnOnce() -> Result<()>) -> Result<(), Fault> {
    match version(connection)? {
        VERSION => return Ok(()),
        0 => check()?,
        newer => {
            let what = format!("the store's metadata version {newer}");
            let why = format!("this nacre knows versions up to {VERSION}; use the newer nacre that made the store");
            return Err(Error::Unsupported { what, why }.into());
        }
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let tx = connection.transaction()?;
    tx.execute_batch(TABLES)?;
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.commit()?;
    Ok(())
}
