//! The metadata: one SQLite file, one connection per store, one transaction per change.

pub(crate) mod edges;
pub(crate) mod images;
pub(crate) mod references;
mod schema;

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nacre_oci::{Error, Result};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, config::DbConfig};

use crate::layout::{Layout, Lock};

/// How long a statement waits for another process. Writers queue at the file lock, so this is hardly ever needed.
const BUSY: Duration = Duration::from_secs(60);

pub(crate) struct Meta {
    path: PathBuf,
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
        }
        Ok(Self { path, connection: Mutex::new(connection) })
    }

    /// Reads in one consistent snapshot.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T> {
        let mut connection = self.connection();
        let done = connection.transaction().map_err(Fault::from).and_then(|tx| work(&tx));
        done.map_err(|fault| explain(&self.path, fault))
    }

    /// Changes in one transaction that is durable when this returns. On an error nothing has changed.
    pub(crate) fn write<T>(&self, _lock: &Lock, work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>) -> Result<T> {
        let done = run(&mut self.connection(), work);
        done.map_err(|fault| explain(&self.path, fault))
    }

    /// As [`Self::write`], but a power loss may take the change back: for what is only nice to know.
    pub(crate) fn write_lazily(&self, _lock: &Lock, work: impl FnOnce(&Transaction<'_>) -> Result<(), Fault>) -> Result<()> {
        let mut connection = self.connection();
        let mut done = connection.pragma_update(None, "synchronous", "NORMAL").map_err(Fault::from);
        done = done.and_then(|()| run(&mut connection, work));
        let restored = connection.pragma_update(None, "synchronous", "FULL").map_err(Fault::from);
        done.and(restored).map_err(|fault| explain(&self.path, fault))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run<T>(connection: &mut Connection, work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
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
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Content without metadata is not a new store: starting afresh would let the next prune delete it all.
fn refuse_lost(layout: &Layout) -> Result<()> {
    if layout.list_blobs()?.is_empty() {
        return Ok(());
    }
    let root = layout.root().display();
    let why = format!("it is missing or empty, though {root}/blobs holds content; restore it, or delete {root} and pull again");
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
            Error::malformed(what, format!("{error}; restore it, or delete the store's folder and pull again"))
        }
        Some(ErrorCode::DiskFull) => Error::io(format!("write {what}"))(std::io::ErrorKind::StorageFull.into()),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            Error::Denied { what: format!("opening {what}"), why: format!("{error}; check the owner and mode of the store's folder") }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::Conflict(format!("another process holds {what}; end it or try again"))
        }
        _ => Error::Other(format!("{what} failed: {error}").into()),
    }
}
