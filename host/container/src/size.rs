//! How much of the disk a container takes.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nacre_runtime::container_folder;

use crate::{Container, Engine};

impl Engine {
    /// The bytes on the disk of what a container has written, in its own layer and its volumes. What cannot be looked at, as
    /// the folders of an ordinary user's containers may be, does not count.
    pub fn size(&self, container: &Container) -> u64 {
        let folder = container_folder(self.store().root(), &container.id);
        let mut seen = HashSet::new();
        ["upper", "volumes"].iter().map(|name| size(&folder.join(name), &mut seen)).sum()
    }
}

/// Files with several names count once; folders themselves do not count.
fn size(folder: &Path, seen: &mut HashSet<(u64, u64)>) -> u64 {
    let mut open: Vec<PathBuf> = vec![folder.to_owned()];
    let mut bytes = 0;
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                open.push(entry.path());
            } else if meta.nlink() < 2 || seen.insert((meta.dev(), meta.ino())) {
                bytes += meta.blocks() * 512;
            }
        }
    }
    bytes
}
