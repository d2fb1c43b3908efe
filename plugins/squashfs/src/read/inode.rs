//! Inodes: what a file is, by the number of its type.

use nacre_sdk::Error;
use nacre_sdk::read::{Fields, ReadAt};

use super::metadata::{Metadata, Place, damaged};
use super::tables::NO_XATTRS;

/// A file's number for "its end is no part of a fragment block".
pub const NO_FRAGMENT: u32 = u32::MAX;

/// `squashfs_base_inode` and what comes behind it.
pub struct Inode {
    /// The permission bits.
    pub mode: u16,
    /// The user's place in the table of ids.
    pub uid: u16,
    /// The group's.
    pub gid: u16,
    /// When it was last changed.
    pub mtime: u32,
    /// How many names it has; of a folder also those that its folders have for it.
    pub links: u32,
    /// The number of its extended attributes, or [`NO_XATTRS`].
    pub xattrs: u32,
    /// What it is.
    pub body: Body,
}

/// What an inode is.
pub enum Body {
    /// A folder.
    Directory {
        /// The block of its list in the directory table.
        block: u32,
        /// And the offset in it.
        offset: u16,
        /// The bytes of its list.
        size: u32,
    },
    /// A file.
    File {
        /// Where its first data block lies.
        start: u64,
        /// The bytes that it has.
        size: u64,
        /// Which fragment block holds its end, or [`NO_FRAGMENT`].
        fragment: u32,
        /// The offset in it.
        offset: u32,
        /// Where the sizes of its data blocks are listed.
        sizes: Place,
    },
    /// A symlink and its target.
    Symlink(Vec<u8>),
    /// A block device and its numbers.
    BlockDevice(u32),
    /// A character device and its numbers.
    CharDevice(u32),
    /// A named pipe.
    Fifo,
    /// A socket, which no image holds.
    Socket,
}

/// Reads the inode at `place`.
///
/// # Errors
/// There is none.
pub fn read<R: ReadAt>(metadata: &mut Metadata<'_, R>, mut place: Place) -> Result<Inode, Error> {
    let raw = metadata.take(&mut place, 16)?;
    let mut base = Fields::new(&raw, 0);
    let kind = base.u16()?;
    let (mode, uid, gid, mtime) = (base.u16()?, base.u16()?, base.u16()?, base.u32()?);
    let mut reader = Reader { metadata, place };
    let (links, xattrs, body) = match kind {
        1 => reader.folder()?,
        8 => reader.long_folder()?,
        2 => reader.file()?,
        9 => reader.long_file()?,
        3 | 10 => reader.symlink(kind == 10)?,
        4 | 5 | 11 | 12 => reader.device(kind)?,
        6 | 7 | 13 | 14 => reader.pipe(kind)?,
        other => return Err(damaged(&format!("an inode of the unknown type {other}"))),
    };
    Ok(Inode { mode, uid, gid, mtime, links, xattrs, body })
}

struct Reader<'m, 'a, R: ReadAt> {
    metadata: &'m mut Metadata<'a, R>,
    place: Place,
}

type Rest = (u32, u32, Body);

impl<R: ReadAt> Reader<'_, '_, R> {
    fn take(&mut self, len: usize) -> Result<Vec<u8>, Error> {
        self.metadata.take(&mut self.place, len)
    }

    fn u32(&mut self) -> Result<u32, Error> {
        Fields::new(&self.take(4)?, 0).u32()
    }

    fn folder(&mut self) -> Result<Rest, Error> {
        let raw = self.take(16)?;
        let mut fields = Fields::new(&raw, 0);
        let (block, links, size, offset) = (fields.u32()?, fields.u32()?, u32::from(fields.u16()?), fields.u16()?);
        Ok((links, NO_XATTRS, Body::Directory { block, offset, size }))
    }

    fn long_folder(&mut self) -> Result<Rest, Error> {
        let raw = self.take(24)?;
        let mut fields = Fields::new(&raw, 0);
        let (links, size, block) = (fields.u32()?, fields.u32()?, fields.u32()?);
        fields.skip(6)?; // the parent, and how many index entries follow
        let (offset, xattrs) = (fields.u16()?, fields.u32()?);
        Ok((links, xattrs, Body::Directory { block, offset, size }))
    }

    fn file(&mut self) -> Result<Rest, Error> {
        let raw = self.take(16)?;
        let mut fields = Fields::new(&raw, 0);
        let (start, fragment, offset, size) = (u64::from(fields.u32()?), fields.u32()?, fields.u32()?, u64::from(fields.u32()?));
        Ok((1, NO_XATTRS, Body::File { start, size, fragment, offset, sizes: self.place }))
    }

    fn long_file(&mut self) -> Result<Rest, Error> {
        let raw = self.take(40)?;
        let mut fields = Fields::new(&raw, 0);
        let (start, size) = (fields.u64()?, fields.u64()?);
        fields.skip(8)?; // how many bytes are holes
        let (links, fragment, offset, xattrs) = (fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?);
        Ok((links, xattrs, Body::File { start, size, fragment, offset, sizes: self.place }))
    }

    fn symlink(&mut self, long: bool) -> Result<Rest, Error> {
        let (links, size) = (self.u32()?, self.u32()?);
        let size = u16::try_from(size).map_err(|_| damaged("a symlink of more than 64 KiB"))?;
        let target = self.take(usize::from(size))?;
        let xattrs = if long { self.u32()? } else { NO_XATTRS };
        Ok((links, xattrs, Body::Symlink(target)))
    }

    fn device(&mut self, kind: u16) -> Result<Rest, Error> {
        let (links, number) = (self.u32()?, self.u32()?);
        let xattrs = if kind > 7 { self.u32()? } else { NO_XATTRS };
        Ok((links, xattrs, if kind % 7 == 4 { Body::BlockDevice(number) } else { Body::CharDevice(number) }))
    }

    fn pipe(&mut self, kind: u16) -> Result<Rest, Error> {
        let links = self.u32()?;
        let xattrs = if kind > 7 { self.u32()? } else { NO_XATTRS };
        Ok((links, xattrs, if kind % 7 == 6 { Body::Fifo } else { Body::Socket }))
    }
}
