//! The metadata: one SQLite file, one connection per store, one transaction per change.

pub(crate) mod cache;
pub(crate) mod containers;
pub(crate) mod edges;
pub(crate) mod images;
pub(crate) mod pushed;
pub(crate) mod references;
mod schema;

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nacre_oci::{Error, Result};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, config::DbConfig};

use crate::{
    disk::{Disk, Metadata},
    layout::{Layout, Lock},
    planted::{Bug, planted},
};

/// How long a statement waits for another process. Writers queue at the file lock, so this is hardly ever needed.
const BUSY: Duration = Duration::from_secs(60);

/// How many bytes the log gets before it is copied back: every command reads all of it to begin with.
const LOG_BYTES: u64 = 1 << 20;

/// The KiB of pages that a transaction may change before it writes some to the log, and perhaps again. It takes what it changes.
const WRITERS_CACHE: i64 = 64 << 10;

pub(crate) struct Meta {
    path: PathBuf,
    disk: Disk,
    connection: Mutex<Connection>,
}

/// What a transaction can end with: SQLite's failure, or a refusal of the store.
pub(crate) enum Fault {
    Sql(rusqlite::Error),
    Own(Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

impl Meta {
    pub(crate) fn open(layout: &Layout) -> Result<Self> {
        let path = layout.meta();
        let explain = |fault| explain(&path, fault);
        let mut connection = connect(&path).map_err(|e| explain(e.into()))?;
        let version = schema::version(&connection).map_err(|e| explain(e.into()))?;
        if version != schema::VERSION {
            let _lock = layout.lock_exclusive()?;
            schema::bring_up(&mut connection, || refuse_lost(layout)).map_err(explain)?;
            layout.disk().after(Metadata::Made);
        }
        Ok(Self { path, disk: layout.disk().clone(), connection: Mutex::new(connection) })
    }

    /// New, empty metadata in a file of another name, which becomes the store's when it is whole.
    pub(crate) fn make(layout: &Layout, path: &std::path::Path) -> Result<Self> {
        let made = connect(path).map_err(Fault::from).and_then(|mut new| schema::bring_up(&mut new, || Ok(())).map(|()| new));
        let connection = made.map_err(|fault| explain(path, fault))?;
        Ok(Self { path: path.to_owned(), disk: layout.disk().clone(), connection: Mutex::new(connection) })
    }

    /// Copies all of the log back, so that the file alone is everything.
    pub(crate) fn flush(&self) -> Result<()> {
        let done = self.connection().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        done.map_err(|error| explain(&self.path, error.into()))
    }

    /// Reads in one consistent snapshot.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T> {
        let mut connection = self.connection();
        let done = connection.transaction().map_err(Fault::from).and_then(|tx| work(&tx));
        done.map_err(|fault| explain(&self.path, fault))
    }

    /// Changes in one transaction that is durable when this returns. On an error nothing has changed.
    pub(crate) fn write<T>(&self, _lock: &Lock, work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>) -> Result<T> {
        let mut connection = self.connection();
        let done = run(&mut connection, work).map_err(|fault| explain(&self.path, fault))?;
        self.tell_committed(&connection);
        self.shorten_log(&connection);
        Ok(done)
    }

    /// As [`Self::write`], but a power loss may take the change back: for what is only nice to know.
    pub(crate) fn write_lazily(&self, _lock: &Lock, work: impl FnOnce(&Transaction<'_>) -> Result<(), Fault>) -> Result<()> {
        let mut connection = self.connection();
        let mut done = connection.pragma_update(None, "synchronous", "NORMAL").map_err(Fault::from);
        done = done.and_then(|()| run(&mut connection, work)).inspect(|()| self.tell_committed(&connection));
        let restored = connection.pragma_update(None, "synchronous", "FULL").map_err(Fault::from);
        done.and(restored).map_err(|fault| explain(&self.path, fault))?;
        self.shorten_log(&connection);
        Ok(())
    }

    /// Whether the log was flushed is what SQLite was told last, not what it was meant to be told.
    fn tell_committed(&self, connection: &Connection) {
        if self.disk.is_watched() {
            let synchronous = connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap_or(0);
            self.disk.after(Metadata::Committed { flushed: synchronous >= 2 });
        }
    }

    /// Copies the log back and empties it, if it is long and nobody reads just now. What was changed is safe either way, so
    /// that a failure here is none of the command's.
    fn shorten_log(&self, connection: &Connection) {
        if std::fs::metadata(self.path.with_extension("db-wal")).is_ok_and(|log| log.len() > LOG_BYTES) {
            self.empty_log(connection);
        }
    }

    /// As after a change that made the log long, for its room on the disk.
    pub(crate) fn copy_back(&self) {
        self.empty_log(&self.connection());
    }

    fn empty_log(&self, connection: &Connection) {
        let done = connection.busy_timeout(Duration::ZERO);
        let done = done.and_then(|()| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)));
        let restored = connection.busy_timeout(BUSY);
        // The first column says whether somebody else was in the way.
        if done.is_ok_and(|busy| busy == 0) && restored.is_ok() {
            self.disk.after(Metadata::CopiedBack);
        }
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run<T>(connection: &mut Connection, work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
    connection.pragma_update(None, "cache_size", -WRITERS_CACHE)?;
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = work(&tx)?;
    tx.commit()?;
    Ok(done)
}

fn connect(path: &std::path::Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    // The log stays for the next command instead of being copied back, and flushed, at the end of each.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Nor does SQLite copy it back on its own: what one process has copied back, the next would not know of.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "synchronous", if planted(Bug::LogNotFlushed) { "NORMAL" } else { "FULL" })?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Content without metadata is not a new store: starting afresh would let the next prune delete it all.
fn refuse_lost(layout: &Layout) -> Result<()> {
    if layout.list_blobs()?.is_empty() || planted(Bug::LostMetadataIgnored) {
        return Ok(());
    }
    let root = layout.root().display();
    let why = format!("it is missing or empty, though {root}/blobs holds content; nacre system repair rebuilds it from there");
    Err(Error::malformed(format!("the store's metadata {root}/meta.db"), why))
}

/// One line that names the file and says what to do.
fn explain(path: &std::path::Path, fault: Fault) -> Error {
    let error = match fault {
        Fault::Own(error) => return error,
        Fault::Sql(error) => error,
    };
    let path = path.display();
    let what = format!("the store's metadata {path}");
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            Error::malformed(what, format!("{error}; nacre system repair rebuilds it"))
        }
        Some(ErrorCode::DiskFull) => Error::io(format!("write {what}"))(rustix::io::Errno::NOSPC.into()),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            Error::Denied { what: format!("opening {what}"), why: format!("{error}; check the owner and mode of the store's folder") }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::Conflict(format!("another process holds {what}; end it or try again"))
        }
        _ => Error::Other(format!("{what} failed: {error}").into()),
    }
}
