//! Room for removals on a full disk: before they free anything they have to write that to the metadata.

use std::fs;

use rustix::fs::statvfs;

use crate::{Store, layout::Layout};

/// The bytes that a removal may need: the pages of the metadata that it changes.
const ROOM: u64 = 1 << 20;

/// The least that is of use, in bytes, even where it is most of what is left.
const LEAST: u64 = 256 << 10;

/// Room that a removal may use up. What is left of it afterwards is kept for the next one.
pub(crate) struct Room<'a> {
    store: &'a Store,
    was_full: bool,
}

impl Store {
    /// Where the disk is full, gives up what is kept for this: the reserve, the metadata's log, and at last what is made anew
    /// when it is needed. To be called before the writers' lock is taken.
    pub(crate) fn make_room(&self) -> Room<'_> {
        let is_full = || self.layout.free().is_some_and(|free| free < ROOM);
        let was_full = is_full();
        if was_full {
            // What cannot be given up takes no more than before.
            let _ = self.layout.unlink(&self.layout.reserve());
            self.meta.copy_back();
            if is_full() {
                let _ = self.layout.disk().remove_tree(&self.layout.root().join("cache"));
            }
        }
        Room { store: self, was_full }
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if self.was_full {
            self.store.meta.copy_back();
        }
        self.store.layout.keep_reserve();
    }
}

impl Layout {
    /// The bytes that are free on the root's disk, if that can be said.
    fn free(&self) -> Option<u64> {
        let disk = statvfs(self.root()).ok().filter(|disk| disk.f_blocks > 0)?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Allocates the reserve, smaller where there is little room. Nothing else depends on it, so that a failure is none.
    pub(crate) fn keep_reserve(&self) {
        let path = self.reserve();
        let held = fs::metadata(&path).map_or(0, |meta| meta.len());
        if held >= ROOM {
            return;
        }
        let free = self.free().unwrap_or_default();
        let wanted = (free / 4).max(LEAST).min(free).min(ROOM);
        if wanted > held {
            let _ = self.disk().open(&path).and_then(|file| self.disk().allocate(&file, &path, wanted));
        }
    }
}
