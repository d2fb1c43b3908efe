//! Where the bytes under the root are.

use std::{collections::HashSet, fs};

use nacre_oci::{Digest, Result};

use crate::{Image, Store, Users, layout::read_dir};

/// Every byte of the store's files, but for the trees and containers of sandboxes: these can belong to other users, so that
/// only a sandbox can measure them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Df {
    /// How many images there are.
    pub images: usize,
    /// How many of them have a name.
    pub active: usize,
    /// The bytes that images consist of, each once.
    pub size: u64,
    /// What pruning dangling images would free: all blobs that no named, pinned or used image and no
    /// record of the build cache needs.
    pub reclaimable: u64,
    /// How many containers there are.
    pub containers: usize,
    /// How many of them run.
    pub running: usize,
    /// How many records the build cache has.
    pub cache_records: usize,
    /// The bytes of the blobs that the build cache has.
    pub cache: u64,
    /// The bytes of those of them that no image and no running command needs: what emptying the build cache would free.
    pub cache_reclaimable: u64,
    /// How many blobs there are.
    pub blob_count: usize,
    /// The bytes of all blobs.
    pub blobs: u64,
    /// The bytes of partial downloads, uploads and leases.
    pub partials: u64,
    /// The bytes of the metadata and its log.
    pub metadata: u64,
    /// The bytes of everything else under the root.
    pub other: u64,
}

impl Df {
    /// All bytes.
    pub fn total(&self) -> u64 {
        self.blobs + self.partials + self.metadata + self.other
    }
}

impl Store {
    /// Accounts for every byte of the files under the root, as far as [`Df`] does.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn df(&self) -> Result<Df> {
        let snapshot = self.snapshot()?;
        let named: Vec<_> = snapshot.images.iter().filter(|image| !image.is_dangling()).collect();
        let stays = |image: &&Image| !image.is_dangling() || image.pinned || snapshot.usage.users.contains_key(&image.id);
        let kept = snapshot.images.iter().filter(stays).map(|image| &image.id);
        let size_of = |reached: &HashSet<Digest>| -> u64 {
            snapshot.blobs.iter().filter(|(digest, _)| reached.contains(digest)).map(|(_, size)| size).sum()
        };
        let blobs = snapshot.blobs.values().sum();
        let users = || snapshot.usage.users.values();
        let others = snapshot.graph.reach(snapshot.images.iter().map(|image| &image.id).chain(snapshot.usage.roots()));
        let mut df = Df {
            images: snapshot.images.len(),
            active: named.len(),
            size: size_of(&snapshot.graph.reach(snapshot.images.iter().map(|image| &image.id))),
            reclaimable: blobs - size_of(&snapshot.graph.reach(kept.chain(snapshot.usage.roots()).chain(&snapshot.cached))),
            containers: users().map(Users::count).sum(),
            running: users().map(|users| users.running.len()).sum(),
            cache_records: self.cache_count()?,
            cache: size_of(&snapshot.cached),
            cache_reclaimable: size_of(&snapshot.cached.difference(&others).cloned().collect()),
            blob_count: snapshot.blobs.len(),
            blobs,
            partials: files(&self.layout.ingest())?,
            ..Df::default()
        };
        for entry in read_dir(self.root())? {
            let name = entry.file_name().to_string_lossy().into_owned();
            match name.as_str() {
                "ingest" | "trees" | "containers" => {}
                "blobs" => df.other += files(&entry.path())?.saturating_sub(df.blobs),
                _ if name.starts_with("meta.db") => df.metadata += files(&entry.path())?,
                _ => df.other += files(&entry.path())?,
            }
        }
        Ok(df)
    }
}

/// The bytes of a file, or of all files in a folder. What goes away meanwhile has none.
fn files(path: &std::path::Path) -> Result<u64> {
    let Ok(meta) = fs::symlink_metadata(path) else { return Ok(0) };
    if !meta.is_dir() {
        return Ok(meta.len());
    }
    read_dir(path)?.iter().map(|entry| files(&entry.path())).sum()
}
