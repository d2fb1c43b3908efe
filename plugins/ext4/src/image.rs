//! An ext4 file system as [`nacre_sdk::filesystem::walk`] wants it.

use nacre_sdk::bytes::{Piece, Range};
use nacre_sdk::entries::{entry, kind_of, to_text};
use nacre_sdk::files::{Entry, Kind, Xattr};
use nacre_sdk::filesystem::{FileSystem, Name, Node, check_size, push_piece};
use nacre_sdk::read::{ReadAt, Window};
use nacre_sdk::{Error, invalid};

use crate::blocks;
use crate::folder;
use crate::inode::{BODY, ENCRYPTED, INLINE, Inode};
use crate::superblock::Superblock;
use crate::xattr::{self, Found, INLINE_DATA, Value};

/// The root folder's inode.
const ROOT: u64 = 2;
/// The type bits of a socket's mode.
const SOCKET: u32 = 0o140_000;
/// The bytes of a folder's body before the names, if they lie there: the parent's inode.
const INLINE_PARENT: u64 = 4;
/// The longest symlink that is read.
const MAX_SYMLINK: u64 = 4096;

/// An ext2, ext3 or ext4 file system.
pub struct Image<'a, R: ReadAt> {
    superblock: Superblock,
    size: u64,
    descriptors: Window<'a, R>,
    inodes: Window<'a, R>,
    blocks: Window<'a, R>,
}

impl<'a, R: ReadAt> Image<'a, R> {
    /// Opens the file system in `source`. `unclean` takes one whose journal was not replayed.
    ///
    /// # Errors
    /// It is none that can be read.
    pub fn open(source: &'a R, unclean: bool) -> Result<Image<'a, R>, Error> {
        let mut descriptors = Window::new(source, 4096)?;
        let superblock = Superblock::read(&mut descriptors, unclean)?;
        let (inodes, blocks) = (Window::new(source, 16 << 10)?, Window::new(source, 4096)?);
        Ok(Image { superblock, size: blocks.size(), descriptors, inodes, blocks })
    }

    fn inode(&mut self, id: u64) -> Result<Inode, Error> {
        let number = u32::try_from(id).map_err(|_| invalid("bad-inode", "an inode beyond all"))?;
        let at = self.superblock.inode_at(number, &mut self.descriptors)?;
        let inode = Inode::parse(self.inodes.bytes(at, self.superblock.inode_size.into())?, at)?;
        if inode.flags & ENCRYPTED != 0 {
            return Err(Error::Unsupported("an encrypted file or folder: it can be read only by Linux, with its key".to_owned()));
        }
        Ok(inode)
    }

    fn file_size(&self, inode: &Inode) -> u64 {
        let high = match kind_of(inode.mode) {
            Some(Kind::File) => inode.size_high,
            Some(Kind::Directory) if self.superblock.large_folders => inode.size_high,
            _ => 0,
        };
        u64::from(inode.size_low) | u64::from(high) << 32
    }

    /// Where the first `size` bytes of an inode lie.
    fn content(&mut self, inode: &Inode, size: u64) -> Result<Vec<Piece>, Error> {
        check_size(size, self.size)?;
        if inode.flags & INLINE == 0 {
            return blocks::content(&mut self.blocks, self.superblock.block_size, inode, size);
        }
        let in_body = size.min(BODY as u64);
        let mut content = Vec::new();
        push_piece(&mut content, Piece::Plain(Range { offset: inode.body_at(), size: in_body }));
        if size > in_body {
            let rest = self.inline_rest(inode)?.filter(|range| range.size >= size - in_body);
            let rest = rest.ok_or_else(|| invalid("bad-inline", "a small file that lacks its second half"))?;
            push_piece(&mut content, Piece::Plain(Range { size: size - in_body, ..rest }));
        }
        Ok(content)
    }

    fn inline_rest(&mut self, inode: &Inode) -> Result<Option<Range>, Error> {
        let found = self.own_xattrs(inode)?.into_iter().find(|found| found.name == INLINE_DATA);
        Ok(found.and_then(|found| if let Value::At(range) = found.value { Some(range) } else { None }))
    }

    fn own_xattrs(&mut self, inode: &Inode) -> Result<Vec<Found>, Error> {
        let Some((at, room)) = inode.xattrs else { return Ok(Vec::new()) };
        let mut fields = self.inodes.fields(at, room)?;
        let area = fields.rest();
        if fields.u32()? != xattr::MAGIC { Ok(Vec::new()) } else { xattr::list(area, at, 4, 4) }
    }

    fn xattrs(&mut self, inode: &Inode) -> Result<Vec<Xattr>, Error> {
        let mut found = self.own_xattrs(inode)?;
        if inode.xattr_block != 0 {
            let at = inode.xattr_block.saturating_mul(self.superblock.block_size.into());
            let mut fields = self.blocks.fields(at, self.superblock.block_size as usize)?;
            let area = fields.rest();
            if fields.u32()? != xattr::MAGIC {
                return Err(invalid("bad-xattr", format!("no extended attributes in the block at byte {at}")));
            }
            found.extend(xattr::list(area, at, xattr::BLOCK_HEADER, 0)?);
        }
        found.into_iter().filter(|found| found.name != INLINE_DATA).map(|found| self.xattr(found)).collect()
    }

    fn xattr(&mut self, found: Found) -> Result<Xattr, Error> {
        let pieces = match found.value {
            Value::At(range) => vec![Piece::Plain(range)],
            Value::Inode(number, size) => {
                let inode = self.inode(number.into())?;
                self.content(&inode, size.into())?
            }
        };
        let value = self.read(&pieces)?;
        let is_acl = found.name.starts_with("system.posix_acl_");
        Ok(Xattr { value: if is_acl { xattr::acl(&value)? } else { value }, name: found.name })
    }

    /// The bytes of something small.
    fn read(&mut self, pieces: &[Piece]) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Plain(range) => bytes.extend_from_slice(self.blocks.bytes(range.offset, range.size as usize)?),
                Piece::Zeros(size) => bytes.resize(bytes.len() + *size as usize, 0),
                Piece::Packed(_) => {}
            }
        }
        Ok(bytes)
    }

    fn symlink(&mut self, inode: &Inode) -> Result<String, Error> {
        let size = self.file_size(inode);
        if size > MAX_SYMLINK {
            return Err(invalid("bad-symlink", format!("a symlink of {size} bytes")));
        }
        // Where there are no extents, what fits takes the place of the list of blocks.
        let short =
            inode.body.get(..size as usize).filter(|target| target.len() < BODY && inode.flags & (INLINE | crate::inode::EXTENTS) == 0);
        let target = match short {
            Some(target) => target.to_vec(),
            None => {
                let pieces = self.content(inode, size)?;
                self.read(&pieces)?
            }
        };
        Ok(to_text(&target))
    }
}

impl<R: ReadAt> FileSystem for Image<'_, R> {
    fn root(&self) -> u64 {
        ROOT
    }

    fn node(&mut self, id: u64) -> Result<Option<Node>, Error> {
        let inode = self.inode(id)?;
        let Some(kind) = kind_of(inode.mode) else {
            return if inode.mode & 0o170_000 == SOCKET {
                Ok(None)
            } else {
                Err(invalid("bad-inode", format!("the inode {id} is of no known type")))
            };
        };
        let mut base = Entry { uid: inode.uid, gid: inode.gid, mtime: inode.mtime, nanos: inode.nanos, ..entry("", kind, inode.mode) };
        base.xattrs = self.xattrs(&inode)?;
        let mut content = Vec::new();
        match kind {
            Kind::File => {
                base.size = self.file_size(&inode);
                content = self.content(&inode, base.size)?;
            }
            Kind::Symlink => base.link = Some(self.symlink(&inode)?),
            Kind::CharDevice | Kind::BlockDevice => base.device = Some(device(inode.words())),
            _ => {}
        }
        Ok(Some(Node { entry: base, links: inode.links.into(), content }))
    }

    fn list(&mut self, id: u64, max: usize) -> Result<Vec<Name>, Error> {
        let inode = self.inode(id)?;
        let (size, mut names) = (self.file_size(&inode), Vec::new());
        if inode.flags & INLINE != 0 {
            let body = Range { offset: inode.body_at() + INLINE_PARENT, size: BODY as u64 - INLINE_PARENT };
            let rest = self.inline_rest(&inode)?;
            for range in [Some(body), rest].into_iter().flatten() {
                folder::names(self.blocks.bytes(range.offset, range.size as usize)?, range.offset, max, &mut names)?;
            }
            return Ok(names);
        }
        let block_size = u64::from(self.superblock.block_size);
        for piece in self.content(&inode, size)? {
            let Piece::Plain(Range { offset, size }) = piece else { continue };
            for at in (offset..offset + size).step_by(block_size as usize) {
                let len = block_size.min(offset + size - at);
                folder::names(self.blocks.bytes(at, len as usize)?, at, max, &mut names)?;
            }
        }
        Ok(names)
    }
}

/// Major and minor number: 16 bits in the first word, or 32 in the second.
fn device(words: [u32; BODY / 4]) -> (u32, u32) {
    match words {
        [0, new, ..] => ((new & 0xf_ff00) >> 8, (new & 0xff) | ((new >> 12) & 0xf_ff00)),
        [old, ..] => ((old >> 8) & 0xff, old & 0xff),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_in_16_bits_and_in_32() {
        let mut words = [0; BODY / 4];
        words[0] = 0x0801;
        assert_eq!(device(words), (8, 1));
        (words[0], words[1]) = (0, 0x7a1f_a020);
        assert_eq!(device(words), (4000, 500_000));
    }
}
