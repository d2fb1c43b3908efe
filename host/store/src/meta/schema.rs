//! The tables and their version.

use nacre_oci::{Error, Result};
use rusqlite::Connection;

use super::Fault;
use crate::planted::{Bug, planted};

/// Kept in SQLite's `user_version`. A change to the tables adds one and a step to [`bring_up`].
pub(super) const VERSION: i64 = 4;

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

/// Since version 2.
const CACHE_TABLES: &str = "
-- What operations of builds made. Nothing but a saving of time: a row may go at any moment.
CREATE TABLE cache (
    key TEXT PRIMARY KEY,
    created INTEGER NOT NULL,
    last_used INTEGER NOT NULL,
    description TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE cache_layers (
    key TEXT NOT NULL,
    position INTEGER NOT NULL,   -- 0 for the lowest
    diff_id TEXT NOT NULL,
    layer TEXT NOT NULL,
    media_type TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (key, position)
) WITHOUT ROWID;
CREATE INDEX cache_layers_layer ON cache_layers (layer);
";

/// Since version 3.
const PUSHED_TABLES: &str = "
-- What repositories have in place of an image whose layers were compressed on the way there.
CREATE TABLE pushed (
    image TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,        -- of the manifest or index that was pushed last
    PRIMARY KEY (image, name)
) WITHOUT ROWID;
";

/// Since version 4.
const CONTAINER_TABLES: &str = "
CREATE TABLE containers (
    id TEXT PRIMARY KEY,         -- 64 hex digits
    name TEXT NOT NULL UNIQUE,
    image TEXT NOT NULL,         -- in use, while it is there
    manifest TEXT NOT NULL,      -- a root of what is needed
    created INTEGER NOT NULL,    -- Unix nanoseconds
    remove INTEGER NOT NULL,     -- whether it goes when it has run
    record TEXT NOT NULL         -- JSON, of which the store knows nothing
) WITHOUT ROWID;
CREATE INDEX containers_image ON containers (image);
CREATE INDEX containers_manifest ON containers (manifest);
";

/// What each version added to the one before, from version 1 on.
const STEPS: [&str; VERSION as usize] = [TABLES, CACHE_TABLES, PUSHED_TABLES, CONTAINER_TABLES];

pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Makes the tables in a new file, if `check` finds the store to be new, and adds what an older file lacks. To be called
/// under the writers' lock.
pub(super) fn bring_up(connection: &mut Connection, check: impl FnOnce() -> Result<()>) -> Result<(), Fault> {
    let found = version(connection)?;
    match found {
        VERSION => return Ok(()),
        0 => {
            check()?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
        }
        1..VERSION => {}
        _ if planted(Bug::NewerSchemaAccepted) => return Ok(()),
        newer => {
            let what = format!("the store's metadata version {newer}");
            let why = format!("this nacre knows versions up to {VERSION}; use the newer nacre that made the store");
            return Err(Error::Unsupported { what, why }.into());
        }
    }
    let tx = connection.transaction()?;
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or_default()) {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.commit()?;
    Ok(())
}
