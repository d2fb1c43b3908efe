//! Metadata blocks: 8 KiB each before compression, one behind the other, read as one long table.

use std::collections::BTreeMap;
use std::rc::Rc;

use nacre_sdk::bytes::Codec;
use nacre_sdk::read::{ReadAt, Window};
use nacre_sdk::{Error, invalid};

/// The most bytes that a metadata block has.
pub const BLOCK: usize = 8192;
/// In a block's length: it is not compressed.
pub const STORED: u16 = 1 << 15;
/// How many decompressed blocks are kept: 4 MiB.
const KEPT: usize = 512;

/// Decompresses one block to at most so many bytes: [`nacre_sdk::bytes::decode`].
pub type Decode = fn(Codec, &[u8], u32) -> Result<Vec<u8>, Error>;

/// A place in a table: a block of the file, and an offset in it after decompression.
#[derive(Clone, Copy)]
pub struct Place {
    /// Where the block lies.
    pub block: u64,
    /// The offset in it.
    pub offset: usize,
}

impl Place {
    /// The place that a reference (`squashfs_inode`) means, in the table at `table`.
    pub fn of(reference: u64, table: u64) -> Result<Place, Error> {
        let block = table.checked_add(reference >> 16).ok_or_else(|| damaged("a reference leads nowhere"))?;
        Ok(Place { block, offset: (reference & 0xffff) as usize })
    }
}

#[derive(Clone)]
struct Block {
    bytes: Rc<[u8]>,
    next: u64,
}

/// Reads metadata blocks, and keeps some of them.
pub struct Metadata<'a, R: ReadAt> {
    window: Window<'a, R>,
    codec: Codec,
    decode: Decode,
    kept: BTreeMap<u64, Block>,
}

impl<'a, R: ReadAt> Metadata<'a, R> {
    /// Reads the blocks of `source`, which are compressed with `codec`.
    pub fn new(source: &'a R, codec: Codec, decode: Decode) -> Result<Metadata<'a, R>, Error> {
        Ok(Metadata { window: Window::new(source, 2 * BLOCK as u32)?, codec, decode, kept: BTreeMap::new() })
    }

    /// The next `len` bytes of a table, and moves `place` behind them. The caller bounds `len`.
    ///
    /// # Errors
    /// The table ends before, or a block is damaged.
    pub fn take(&mut self, place: &mut Place, len: usize) -> Result<Vec<u8>, Error> {
        let mut taken = Vec::with_capacity(len);
        loop {
            let block = self.block(place.block)?;
            let behind = block.bytes.get(place.offset..).ok_or_else(|| damaged("a reference leads beyond its block"))?;
            let part = behind.get(..len - taken.len()).unwrap_or(behind);
            taken.extend_from_slice(part);
            place.offset += part.len();
            if taken.len() == len {
                return Ok(taken);
            }
            *place = Place { block: block.next, offset: 0 };
        }
    }

    fn block(&mut self, at: u64) -> Result<Block, Error> {
        if let Some(block) = self.kept.get(&at) {
            return Ok(block.clone());
        }
        let header = self.window.fields(at, 2)?.u16()?;
        let size = usize::from(header & !STORED);
        if size == 0 || size > BLOCK {
            return Err(damaged(&format!("the metadata block at byte {at} cannot have {size} bytes")));
        }
        let start = at.checked_add(2).ok_or_else(|| damaged("a metadata block lies nowhere"))?;
        let stored = self.window.bytes(start, size)?;
        let bytes = match header & STORED {
            0 => (self.decode)(self.codec, stored, BLOCK as u32).map_err(|error| undecodable(at, error))?,
            _ => stored.to_vec(),
        };
        if bytes.is_empty() {
            return Err(damaged(&format!("the metadata block at byte {at} is empty")));
        }
        if self.kept.len() >= KEPT {
            self.kept.clear();
        }
        let block = Block { bytes: bytes.into(), next: start + size as u64 };
        self.kept.insert(at, block.clone());
        Ok(block)
    }
}

fn undecodable(at: u64, error: Error) -> Error {
    match error {
        Error::Cancelled => Error::Cancelled,
        _ => damaged(&format!("the metadata block at byte {at} cannot be decompressed")),
    }
}

/// The file system is damaged.
pub fn damaged(what: &str) -> Error {
    invalid("damaged", what)
}
