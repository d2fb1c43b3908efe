//! Where the bytes under the root are.

use std::fs;

use nacre_oci::{Digest, Result};

use crate::{Image, Store, Survey, Users, layout::read_dir};

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
    pub blob_count: u64,
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
        let Survey { images, contents, usage, cached, .. } = &self.survey()?;
        let stays = |image: &&Image| !image.is_dangling() || image.pinned || usage.users.contains_key(&image.id);
        let ids = || images.iter().map(|image| &image.id);
        let kept = images.iter().filter(stays).map(|image| &image.id);
        let reach = |roots: &mut dyn Iterator<Item = &Digest>| contents.reach(contents.find(roots));
        let kept = reach(&mut kept.chain(usage.roots()).chain(cached));
        let (of_images, of_cache, others) = (reach(&mut ids()), reach(&mut cached.iter()), reach(&mut ids().chain(usage.roots())));
        let size_of = |test: &dyn Fn(usize) -> bool| contents.present(test).1;
        let (blob_count, blobs) = contents.present(|_| true);
        let users = || usage.users.values();
        let mut df = Df {
            images: images.len(),
            active: images.iter().filter(|image| !image.is_dangling()).count(),
            size: size_of(&|content| of_images.has(content)),
            reclaimable: size_of(&|content| !kept.has(content)),
            containers: users().map(Users::count).sum(),
            running: users().map(|users| users.running.len()).sum(),
            cache_records: self.cache_count()?,
            cache: size_of(&|content| of_cache.has(content)),
            cache_reclaimable: size_of(&|content| of_cache.has(content) && !others.has(content)),
            blob_count,
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
