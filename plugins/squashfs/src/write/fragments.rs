//! Fragment blocks: files that are smaller than a block share one.

use nacre_sdk::Error;

use super::Target;
use super::table::Compression;
use crate::read::STORED;

/// Fragment blocks, of which the last is in the making.
pub struct Fragments {
    compression: Compression,
    block_size: usize,
    open: Vec<u8>,
    /// How many are written.
    pub count: u32,
    /// `squashfs_fragment_entry` of each.
    pub items: Vec<u8>,
}

impl Fragments {
    /// None yet.
    pub fn new(compression: Compression, block_size: usize) -> Fragments {
        Fragments { compression, block_size, open: Vec::new(), count: 0, items: Vec::new() }
    }

    /// Adds a file's content. Returns the number of its block, and the offset in it.
    ///
    /// # Errors
    /// Compressing or writing failed.
    pub fn add(&mut self, content: &[u8], out: &mut impl Target) -> Result<(u32, u32), Error> {
        if self.open.len() + content.len() > self.block_size {
            self.close(out)?;
        }
        let offset = self.open.len() as u32;
        self.open.extend_from_slice(content);
        Ok((self.count, offset))
    }

    /// Writes the block in the making, if there is one.
    ///
    /// # Errors
    /// Compressing or writing failed.
    pub fn close(&mut self, out: &mut impl Target) -> Result<(), Error> {
        if self.open.is_empty() {
            return Ok(());
        }
        let packed = (self.compression.encode)(self.compression.codec, &self.open)?;
        let (bytes, mark) = if packed.len() < self.open.len() { (&packed, 0) } else { (&self.open, STORED) };
        self.items.extend(out.position()?.to_le_bytes());
        self.items.extend((bytes.len() as u32 | mark).to_le_bytes());
        self.items.extend([0; 4]);
        out.write(bytes)?;
        self.count += 1;
        self.open.clear();
        Ok(())
    }
}
