//! Where content lies: trees of extents, and the lists of blocks of ext2 and ext3.

use nacre_sdk::bytes::{Piece, Range};
use nacre_sdk::filesystem::push_piece;
use nacre_sdk::read::{Fields, ReadAt, Window};
use nacre_sdk::{Error, invalid};

use crate::inode::{EXTENTS, Inode};

/// In an extent's header.
const EXTENT_MAGIC: u16 = 0xf30a;
/// How deep trees of extents are at most (`EXT4_MAX_EXTENT_DEPTH`).
const MAX_DEPTH: u16 = 5;
/// An extent that is longer is one of so many blocks fewer, which hold nothing yet.
const UNWRITTEN: u16 = 1 << 15;
/// The blocks that an inode lists itself; those behind are for lists of blocks.
const DIRECT: usize = 12;
/// The most pieces that a file may have.
const MAX_PIECES: usize = 2 << 20;

/// Puts together where the first `size` bytes of an inode's content lie.
///
/// # Errors
/// The inode or a block that it names is damaged.
pub fn content<R: ReadAt>(window: &mut Window<'_, R>, block_size: u32, inode: &Inode, size: u64) -> Result<Vec<Piece>, Error> {
    let mut map = Map { window, block_size, size, mapped: 0, content: Vec::new() };
    if inode.flags & EXTENTS != 0 {
        map.extents(&inode.body, inode.body_at(), None)?;
    } else {
        map.lists(&inode.words())?;
    }
    let left = size - map.mapped;
    push_piece(&mut map.content, Piece::Zeros(left));
    Ok(map.content)
}

struct Map<'m, 'a, R: ReadAt> {
    window: &'m mut Window<'a, R>,
    block_size: u32,
    size: u64,
    mapped: u64,
    content: Vec<Piece>,
}

impl<R: ReadAt> Map<'_, '_, R> {
    /// Says that so many blocks from `block` on come next; 0 is a hole.
    fn push(&mut self, block: u64, count: u64) -> Result<(), Error> {
        let block_size = u64::from(self.block_size);
        let size = count.saturating_mul(block_size).min(self.size - self.mapped);
        let piece = if block == 0 {
            Piece::Zeros(size)
        } else {
            let offset = block.checked_mul(block_size);
            let offset = offset.filter(|offset| offset.checked_add(size).is_some_and(|end| end <= self.window.size()));
            let offset = offset.ok_or_else(|| invalid("cut-off", format!("the block {block} is beyond the end of the file")))?;
            Piece::Plain(Range { offset, size })
        };
        push_piece(&mut self.content, piece);
        self.mapped += size;
        if self.content.len() > MAX_PIECES {
            return Err(Error::Limit(format!("a file in more than {MAX_PIECES} pieces")));
        }
        Ok(())
    }

    /// A node of the tree of extents. What it covers begins where the one before ended: that, a
    /// depth that sinks and a node with nothing new as the end rule out loops.
    fn extents(&mut self, node: &[u8], at: u64, expected: Option<u16>) -> Result<(), Error> {
        let damaged = |what: &str| invalid("bad-extents", format!("the extents at byte {at} {what}"));
        let mut fields = Fields::new(node, at);
        let (magic, count, _, depth) = (fields.u16()?, fields.u16()?, fields.u16()?, fields.u16()?);
        fields.skip(4)?;
        if magic != EXTENT_MAGIC || depth > MAX_DEPTH || expected.is_some_and(|expected| depth != expected || count == 0) {
            return Err(damaged("are none"));
        }
        for _ in 0..count {
            let (first, second, third, low) = (fields.u32()?, fields.u16()?, fields.u16()?, fields.u32()?);
            let start = u64::from(first) * u64::from(self.block_size);
            if start >= self.size {
                return Ok(()); // blocks that were allocated in advance
            }
            if start < self.mapped {
                return Err(damaged("are not in order"));
            }
            if depth == 0 {
                let hole = (start - self.mapped) / u64::from(self.block_size);
                self.push(0, hole)?;
                let block = u64::from(low) | u64::from(third) << 32;
                match second {
                    0 => return Err(damaged("are empty")),
                    1..=UNWRITTEN => self.push(block, second.into())?,
                    _ => self.push(0, u64::from(second - UNWRITTEN))?,
                }
            } else {
                // Of an index, the bytes of a block's number lie the other way round.
                let block = u64::from(u32::from(second) | u32::from(third) << 16) | u64::from(low & 0xffff) << 32;
                let before = self.mapped;
                let (child_at, child) = self.block(block)?;
                self.extents(&child, child_at, Some(depth - 1))?;
                if self.mapped == before {
                    return Ok(()); // all that follows is behind the end
                }
            }
        }
        Ok(())
    }

    /// The twelve blocks that an inode lists itself, and the lists of one, two and three levels.
    fn lists(&mut self, words: &[u32]) -> Result<(), Error> {
        for (index, &block) in words.iter().enumerate() {
            if self.mapped == self.size {
                break;
            }
            self.list(block.into(), index.saturating_sub(DIRECT - 1) as u32)?;
        }
        Ok(())
    }

    /// A block of content, or a list of blocks so many levels above it.
    fn list(&mut self, block: u64, level: u32) -> Result<(), Error> {
        let per_block = u64::from(self.block_size / 4);
        if level == 0 || block == 0 {
            return self.push(block, per_block.saturating_pow(level));
        }
        let (at, list) = self.block(block)?;
        let mut fields = Fields::new(&list, at);
        while !fields.rest().is_empty() && self.mapped < self.size {
            self.list(fields.u32()?.into(), level - 1)?;
        }
        Ok(())
    }

    fn block(&mut self, block: u64) -> Result<(u64, Vec<u8>), Error> {
        let at = block.saturating_mul(u64::from(self.block_size));
        Ok((at, self.window.bytes(at, self.block_size as usize)?.to_vec()))
    }
}
