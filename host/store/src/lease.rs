//! Leases: what a running command needs is safe from every prune, for as long as the command lives.
//!
//! A lease is a locked file that lists digests. The lock ends with its owner, however that ends, so a dead lease is
//! proved and not timed out (unlike containerd's, moby#53321). The list needs no flush: no lease survives a power loss.

use std::{
    collections::HashSet,
    fs::{self, File, TryLockError},
    io::{Seek, Write},
    sync::{Mutex, PoisonError},
};

use nacre_oci::{Digest, Error, Result};
use tempfile::NamedTempFile;

use crate::{
    Store,
    layout::{Layout, Lock, read_dir, unlink},
};

/// Protects digests, and all that an image with such a digest consists of, until it is dropped.
pub struct Lease {
    layout: Layout,
    state: Mutex<State>,
}

struct State {
    file: NamedTempFile,
    held: HashSet<Digest>,
}

impl Lease {
    pub(crate) fn new(layout: &Layout) -> Result<Self> {
        let dir = layout.leases();
        let doing = || format!("make a lease in {}", dir.display());
        // Under the lock, so that nobody takes the file for a dead one before it is locked.
        let _lock = layout.lock_shared()?;
        let file = NamedTempFile::with_prefix_in("lease-", &dir).map_err(Error::io(doing()))?;
        file.as_file().lock().map_err(Error::io(doing()))?;
        Ok(Self { layout: layout.clone(), state: Mutex::new(State { file, held: HashSet::new() }) })
    }

    /// Protects more. Content that is there afterwards stays there.
    ///
    /// # Errors
    /// If the lease's file cannot be written.
    pub fn protect<'a>(&self, digests: impl IntoIterator<Item = &'a Digest>) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<&Digest> = digests.into_iter().filter(|digest| !state.held.contains(*digest)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let lines: String = new.iter().map(|digest| format!("{digest}\n")).collect();
        let _lock = self.layout.lock_shared()?;
        state.file.as_file_mut().write_all(lines.as_bytes()).map_err(Error::io("write a lease"))?;
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
        let file = state.file.as_file_mut();
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(lines.as_bytes())).map_err(Error::io("write a lease"))
    }
}

impl Store {
    /// A lease that protects nothing yet.
    ///
    /// # Errors
    /// If its file cannot be made.
    pub fn lease(&self) -> Result<Lease> {
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
    read(layout, unlink)
}

fn read(layout: &Layout, dead: impl Fn(&std::path::Path) -> Result<()>) -> Result<HashSet<Digest>> {
    let mut leased = HashSet::new();
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
