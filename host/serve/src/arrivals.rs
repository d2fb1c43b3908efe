//! Content that came before its manifest: safe from every prune until the manifest comes, or time is up.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use nacre_oci::{Digest, Result};
use nacre_store::{Lease, Store};

use crate::app::lock;

/// How long a client may take from its first blob to its manifest.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// What clients were told that the store has. The lease ends with the server, however that ends.
pub(crate) struct Arrivals {
    lease: Lease,
    since: Mutex<HashMap<Digest, Instant>>,
}

impl Arrivals {
    pub(crate) fn new(store: &Store) -> Result<Self> {
        Ok(Self { lease: store.lease()?, since: Mutex::default() })
    }

    /// Protects content, or protects it anew. Only afterwards is it certain that what is there stays.
    pub(crate) fn protect(&self, digest: &Digest) -> Result<()> {
        let mut since = lock(&self.since);
        self.lease.protect([digest])?;
        since.insert(digest.clone(), Instant::now());
        Ok(())
    }

    /// The lease that protects it.
    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Ends the protection of what belongs to an image now, or is to go.
    pub(crate) fn settle<'a>(&self, digests: impl IntoIterator<Item = &'a Digest>) -> Result<()> {
        let mut since = lock(&self.since);
        let held: Vec<&Digest> = digests.into_iter().filter(|digest| since.remove(*digest).is_some()).collect();
        if held.is_empty() { Ok(()) } else { self.lease.release(held) }
    }

    /// Ends what has waited too long.
    pub(crate) fn expire(&self) -> Result<()> {
        let late: Vec<Digest> = lock(&self.since).iter().filter(|(_, at)| at.elapsed() > PATIENCE).map(|(d, _)| d.clone()).collect();
        self.settle(&late)
    }
}
