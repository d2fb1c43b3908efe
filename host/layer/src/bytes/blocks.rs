//! The compressed blocks that were decoded last: many small files of a squashfs share one.

use std::{collections::VecDeque, sync::Arc};

use crate::Codec;

/// The most bytes that are kept, unless a single block has more.
const MAX: usize = 8 << 20;

/// A base's number, a block's place in it, and how it was decoded.
pub(crate) type Key = (u64, u64, u64, Codec, u32);

/// Decoded blocks, the last used first.
#[derive(Default)]
pub(crate) struct Blocks {
    blocks: VecDeque<(Key, Arc<[u8]>)>,
}

impl Blocks {
    pub(crate) fn get(&mut self, key: &Key) -> Option<Arc<[u8]>> {
        let index = self.blocks.iter().position(|(held, _)| held == key)?;
        let found = self.blocks.remove(index)?;
        let block = Arc::clone(&found.1);
        self.blocks.push_front(found);
        Some(block)
    }

    pub(crate) fn put(&mut self, key: Key, block: Arc<[u8]>) {
        self.blocks.push_front((key, block));
        let held = |blocks: &VecDeque<(Key, Arc<[u8]>)>| blocks.iter().map(|(_, block)| block.len()).sum::<usize>();
        while self.blocks.len() > 1 && (held(&self.blocks) > MAX || self.blocks.len() > 64) {
            self.blocks.pop_back();
        }
    }
}
