//! Reading a squashfs: the tree as [`nacre_sdk::filesystem::walk`] wants it.

pub mod inode;
pub mod metadata;
pub mod superblock;
pub mod tables;

use nacre_sdk::bytes::{Packed, Piece, Range};
use nacre_sdk::entries::{entry, to_text};
use nacre_sdk::files::{Entry, Kind};
use nacre_sdk::filesystem::{FileSystem, Name, Node, check_size, push_piece, too_many_names};
use nacre_sdk::read::{Fields, ReadAt, Window, cut_off};
use nacre_sdk::{Error, invalid};

use inode::{Body, Inode, NO_FRAGMENT};
use metadata::{Decode, Metadata, Place, damaged};
use superblock::Superblock;
use tables::{Fragments, NO_XATTRS, Xattrs};

/// In the size of a data block: it is not compressed.
pub const STORED: u32 = 1 << 24;
/// The most pieces that a file may have: 8 GB in blocks of 4 KiB, 256 GB in those of 128 KiB.
const MAX_PIECES: usize = 2 << 20;
/// The bytes of a folder's list that stand for `.` and `..`, which are not in it.
const DOTS: u32 = 3;
/// The most names behind one header in a folder's list.
const MAX_RUN: u32 = 256;

/// A squashfs file system.
pub struct Image<'a, R: ReadAt> {
    superblock: Superblock,
    size: u64,
    metadata: Metadata<'a, R>,
    ids: Vec<u32>,
    fragments: Fragments<'a, R>,
    xattrs: Option<Xattrs<'a, R>>,
}

impl<'a, R: ReadAt> Image<'a, R> {
    /// Opens the file system in `source`.
    ///
    /// # Errors
    /// It is none that can be read.
    pub fn open(source: &'a R, decode: Decode) -> Result<Image<'a, R>, Error> {
        let mut window = Window::new(source, superblock::SIZE as u32)?;
        let superblock = Superblock::read(&mut window)?;
        let mut metadata = Metadata::new(source, superblock.codec, decode)?;
        let ids = tables::ids(source, &superblock, &mut metadata)?;
        let (fragments, xattrs) = (Fragments::new(source, &superblock)?, Xattrs::new(source, &superblock)?);
        Ok(Image { size: window.size(), superblock, metadata, ids, fragments, xattrs })
    }

    fn inode(&mut self, id: u64) -> Result<Inode, Error> {
        inode::read(&mut self.metadata, Place::of(id, self.superblock.inode_table)?)
    }

    fn entry(&mut self, inode: &Inode) -> Result<Entry, Error> {
        let id = |index: u16| {
            self.ids
                .get(usize::from(index))
                .copied()
                .ok_or_else(|| invalid("bad-owner", format!("the owner of number {index}, of whom there is none")))
        };
        let (kind, size, link, device) = match &inode.body {
            Body::Directory { .. } => (Kind::Directory, 0, None, None),
            Body::File { size, .. } => (Kind::File, *size, None, None),
            Body::Symlink(target) => (Kind::Symlink, 0, Some(to_text(target)), None),
            Body::BlockDevice(number) => (Kind::BlockDevice, 0, None, Some(device_numbers(*number))),
            Body::CharDevice(number) => (Kind::CharDevice, 0, None, Some(device_numbers(*number))),
            Body::Fifo | Body::Socket => (Kind::Fifo, 0, None, None),
        };
        let (uid, gid) = (id(inode.uid)?, id(inode.gid)?);
        let xattrs = match (inode.xattrs, &mut self.xattrs) {
            (NO_XATTRS, _) | (_, None) => Vec::new(),
            (index, Some(table)) => table.get(index, &mut self.metadata)?,
        };
        let mtime = i64::from(inode.mtime);
        Ok(Entry { uid, gid, size, mtime, link, device, xattrs, ..entry("", kind, u32::from(inode.mode)) })
    }

    /// Where a file's content lies: its blocks, and its end in a fragment block.
    fn content(&mut self, start: u64, size: u64, fragment: (u32, u32), mut sizes: Place) -> Result<Vec<Piece>, Error> {
        check_size(size, self.size)?;
        let block_size = u64::from(self.superblock.block_size);
        let tail = if fragment.0 == NO_FRAGMENT { 0 } else { size % block_size };
        let (mut at, mut left, mut content) = (start, size - tail, Vec::new());
        while left > 0 {
            let take = left.min(block_size) as u32;
            let raw = self.metadata.take(&mut sizes, 4)?;
            let stored = Fields::new(&raw, 0).u32()?;
            push_piece(&mut content, self.block(at, stored, (0, take))?);
            if content.len() > MAX_PIECES {
                return Err(Error::Limit(format!("a file of more than {MAX_PIECES} blocks")));
            }
            at = at.saturating_add(u64::from(stored & !STORED));
            left -= u64::from(take);
        }
        if tail > 0 {
            let (index, offset) = fragment;
            let block = self.fragments.get(index, &mut self.metadata)?;
            push_piece(&mut content, self.block(block.start, block.size, (offset, tail as u32))?);
        }
        Ok(content)
    }

    /// A part of a data or fragment block: `stored` says how many bytes it has in the file (none
    /// is a hole) and whether they are compressed.
    fn block(&self, at: u64, stored: u32, (skip, take): (u32, u32)) -> Result<Piece, Error> {
        let size = stored & !STORED;
        let max = self.superblock.block_size;
        if size > max || skip.checked_add(take).is_none_or(|end| end > max) {
            return Err(damaged(&format!("the data block at byte {at} is larger than blocks are")));
        }
        let end = at.checked_add(u64::from(size)).filter(|end| *end <= self.size);
        end.ok_or_else(|| cut_off(at))?;
        let range = Range { offset: at, size: u64::from(size) };
        if size == 0 {
            Ok(Piece::Zeros(u64::from(take)))
        } else if stored & STORED == 0 {
            Ok(Piece::Packed(Packed { at: range, codec: self.superblock.codec, max, skip, take }))
        } else if skip + take > size {
            Err(damaged(&format!("the data block at byte {at} is shorter than its content")))
        } else {
            Ok(Piece::Plain(Range { offset: at + u64::from(skip), size: u64::from(take) }))
        }
    }
}

impl<R: ReadAt> FileSystem for Image<'_, R> {
    fn root(&self) -> u64 {
        self.superblock.root
    }

    fn node(&mut self, id: u64) -> Result<Option<Node>, Error> {
        let inode = self.inode(id)?;
        let content = match inode.body {
            Body::Socket => return Ok(None),
            Body::File { start, size, fragment, offset, sizes } => self.content(start, size, (fragment, offset), sizes)?,
            _ => Vec::new(),
        };
        Ok(Some(Node { entry: self.entry(&inode)?, links: inode.links, content }))
    }

    fn list(&mut self, folder: u64, max: usize) -> Result<Vec<Name>, Error> {
        let Body::Directory { block, offset, size } = self.inode(folder)?.body else { return Err(damaged("a folder that is none")) };
        let mut place = Place::of(u64::from(block) << 16 | u64::from(offset), self.superblock.directory_table)?;
        let mut left = size.saturating_sub(DOTS) as usize;
        let mut names = Vec::new();
        while left > 0 {
            let raw = self.list_part(&mut place, 12, &mut left)?;
            let mut header = Fields::new(&raw, 0);
            let (last, block) = (header.u32()?, header.u32()?);
            if last >= MAX_RUN {
                return Err(damaged("a folder's list has a header for too many names"));
            }
            for _ in 0..=last {
                let raw = self.list_part(&mut place, 8, &mut left)?;
                let mut fields = Fields::new(&raw, 0);
                let offset = fields.u16()?;
                fields.skip(4)?; // the inode's number, as a difference, and its type
                let name = self.list_part(&mut place, usize::from(fields.u16()?) + 1, &mut left)?;
                names.push((name, u64::from(block) << 16 | u64::from(offset)));
                if names.len() > max {
                    return Err(too_many_names());
                }
            }
        }
        Ok(names)
    }
}

impl<R: ReadAt> Image<'_, R> {
    fn list_part(&mut self, place: &mut Place, len: usize, left: &mut usize) -> Result<Vec<u8>, Error> {
        *left = left.checked_sub(len).ok_or_else(|| damaged("a folder's list is cut off"))?;
        self.metadata.take(place, len)
    }
}

/// Major and minor number, as `new_decode_dev` of Linux takes them apart.
fn device_numbers(number: u32) -> (u32, u32) {
    ((number & 0xf_ff00) >> 8, (number & 0xff) | ((number >> 12) & 0xf_ff00))
}
