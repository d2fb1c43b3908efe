//! Tables of metadata blocks in the making.

use nacre_sdk::Error;
use nacre_sdk::bytes::Codec;

use crate::read::metadata::{BLOCK, STORED};

/// Compresses one block: [`nacre_sdk::bytes::encode`].
pub type Encode = fn(Codec, &[u8]) -> Result<Vec<u8>, Error>;

/// How blocks are compressed.
#[derive(Clone, Copy)]
pub struct Compression {
    /// The codec.
    pub codec: Codec,
    /// Applies it.
    pub encode: Encode,
}

/// A table in the making.
pub struct Table {
    compression: Compression,
    done: Vec<u8>,
    open: Vec<u8>,
}

impl Table {
    /// An empty table.
    pub fn new(compression: Compression) -> Table {
        Table { compression, done: Vec::new(), open: Vec::new() }
    }

    /// Where the next byte goes: the block's offset in the table, and the offset in the block.
    pub fn place(&self) -> (u32, u16) {
        // Blocks are closed at 8 KiB, and no table of 4 GiB fits into a plugin's memory.
        (self.done.len() as u32, self.open.len() as u16)
    }

    /// Appends to the table.
    ///
    /// # Errors
    /// Compressing failed.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(BLOCK - self.open.len()));
            self.open.extend_from_slice(now);
            rest = later;
            if self.open.len() == BLOCK {
                self.close()?;
            }
        }
        Ok(())
    }

    /// The table's bytes.
    ///
    /// # Errors
    /// Compressing failed.
    pub fn finish(mut self) -> Result<Vec<u8>, Error> {
        self.close()?;
        Ok(self.done)
    }

    fn close(&mut self) -> Result<(), Error> {
        if self.open.is_empty() {
            return Ok(());
        }
        let packed = (self.compression.encode)(self.compression.codec, &self.open)?;
        let (bytes, mark) = if packed.len() < self.open.len() { (&packed, 0) } else { (&self.open, STORED) };
        self.done.extend((bytes.len() as u16 | mark).to_le_bytes());
        self.done.extend(bytes);
        self.open.clear();
        Ok(())
    }
}

/// A table of items of one size that are found by their number, to lie at `at`: its blocks, and
/// behind them the list of their places. Also says where that list lies.
///
/// # Errors
/// Compressing failed.
pub fn indexed(items: &[u8], at: u64, compression: Compression) -> Result<(Vec<u8>, u64), Error> {
    let mut table = Table::new(compression);
    let mut places = Vec::new();
    for block in items.chunks(BLOCK) {
        places.extend((at + u64::from(table.place().0)).to_le_bytes());
        table.push(block)?;
    }
    let mut bytes = table.finish()?;
    let list = at + bytes.len() as u64;
    bytes.extend(places);
    Ok((bytes, list))
}
