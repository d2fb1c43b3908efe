//! Leases: what a running command needs is safe from every prune, for as long as the command lives.
//!
//! A lease is a locked file that lists digests. The lock ends with its owner, however that ends, so a dead lease is
//! proved and not timed out (unlike containerd's, moby#53321). The list needs no flush: no lease survives a power loss.

use std::{
    collections::HashSet,
    fs::{self, File, TryLockError},
    io::Seek,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use crate::{
    Store, ingest,
    layout::{Layout, Lock, read_dir},
    planted::{Bug, planted},
};
use nacre_oci::{Digest, Error, Result};

/// Protects digests, and all that an image with such a digest consists of, until it is dropped.
pub struct Lease {
    layout: Layout,
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    file: File,
    held: HashSet<Digest>,
}

impl Lease {
    pub(crate) fn new(layout: &Layout) -> Result<Self> {
        let dir = layout.leases();
        let doing = || format!("make a lease in {}", dir.display());
        // Under the lock, so that nobody takes the file for a dead one before it is locked.
        let _lock = layout.lock_shared()?;
        let made = layout.disk().create_unique(&dir, "lease-", 6).map_err(Error::io(doing()))?;
        let lease = Self {
            layout: layout.clone(),
            path: made.path().to_owned(),
            state: Mutex::new(State { file: made.into_file(), held: HashSet::new() }),
        };
        lease.lock().map_err(Error::io(doing()))?;
        Ok(lease)
    }

    fn lock(&self) -> std::io::Result<()> {
        if planted(Bug::LeaseUnlocked) {
            return Ok(());
        }
        self.state.lock().unwrap_or_else(PoisonError::into_inner).file.lock()
    }

    /// Protects more. Content that is there afterwards stays there.
    ///
    /// # Errors
    /// If the lease's file cannot be written.
    pub fn protect<'a>(&self, digests: impl IntoIterator<Item = &'a Digest>) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<&Digest> = digests.into_iter().filter(|digest| !state.held.contains(*digest)).collect();
        if new.is_empty() || planted(Bug::NoLease) {
            return Ok(());
        }
        let lines: String = new.iter().map(|digest| format!("{digest}\n")).collect();
        let _lock = self.layout.lock_shared()?;
        self.layout.disk().write(&state.file, &self.path, lines.as_bytes()).map_err(Error::io("write a lease"))?;
        state.held.extend(new.into_iter().cloned());
        Ok(())
    }

    /// Protects these no longer. For whoever outlives its work, as a server does; others just drop the lease.
    ///
    /// # Errors
    /// If the lease's file cannot be written.
    pub fn release<'a>(&self, digests: impl IntoIterator<Item = &'a Digest>) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for digest in digests {
            state.held.remove(digest);
        }
        let lines: String = state.held.iter().map(|digest| format!("{digest}\n")).collect();
        // Nobody may read the file while it is half written.
        let _lock = self.layout.lock_exclusive()?;
        let disk = self.layout.disk();
        let emptied = disk.truncate(&state.file, &self.path, 0).and_then(|()| state.file.rewind());
        emptied.and_then(|()| disk.write(&state.file, &self.path, lines.as_bytes())).map_err(Error::io("write a lease"))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What stays is a dead lease, which whoever comes next clears away.
        let _ = self.layout.unlink(&self.path);
    }
}

impl Store {
    /// A lease that protects nothing yet. Leases and uploads of killed commands are cleared away before.
    ///
    /// # Errors
    /// If its file cannot be made.
    pub fn lease(&self) -> Result<Lease> {
        // What cannot be cleared away now is by whoever comes next.
        if let Some(lock) = self.layout.try_lock_exclusive() {
            let _ = sweep(&self.layout, &lock).and_then(|_| ingest::sweep_uploads(&self.layout, &lock));
        }
        Lease::new(&self.layout)
    }
}

/// What living leases protect.
pub(crate) fn living(layout: &Layout) -> Result<HashSet<Digest>> {
    let _lock = layout.lock_shared()?;
    read(layout, |_| Ok(()))
}

/// What living leases protect; dead ones are deleted.
pub(crate) fn sweep(layout: &Layout, _lock: &Lock) -> Result<HashSet<Digest>> {
    read(layout, |path| layout.unlink(path))
}

/// What living leases protect; something is done to each dead one.
pub(crate) fn read(layout: &Layout, mut dead: impl FnMut(&std::path::Path) -> Result<()>) -> Result<HashSet<Digest>> {
    let mut leased = HashSet::new();
    if planted(Bug::PruneIgnoresLeases) {
        return Ok(leased);
    }
    for entry in read_dir(&layout.leases())? {
        let path = entry.path();
        let Ok(file) = File::open(&path) else { continue };
        match file.try_lock_shared() {
            Ok(()) => dead(&path)?,
            Err(TryLockError::WouldBlock) => {
                let text = fs::read_to_string(&path).unwrap_or_default();
                leased.extend(text.lines().filter_map(|line| line.parse().ok()));
            }
            Err(TryLockError::Error(e)) => return Err(Error::io(format!("lock {}", path.display()))(e)),
        }
    }
    Ok(leased)
}
