//! The tables that inodes refer to by number: owners, fragment blocks, extended attributes.

use nacre_sdk::entries::to_text;
use nacre_sdk::files::Xattr;
use nacre_sdk::read::{Fields, ReadAt, Window};
use nacre_sdk::{Error, invalid};

use super::metadata::{BLOCK, Metadata, Place, damaged};
use super::superblock::{NO_TABLE, Superblock};

/// An inode's number for "no extended attributes".
pub const NO_XATTRS: u32 = u32::MAX;
/// The bytes that the extended attributes of one file may have. Linux allows 64 KiB for a value.
const MAX_XATTRS: usize = 1 << 20;
/// In an attribute's type: its value lies elsewhere, where another file's is.
const ELSEWHERE: u16 = 0x100;

/// Finds metadata blocks by the lists of their places, eight bytes each.
struct Lookup<'a, R: ReadAt> {
    window: Window<'a, R>,
    list: u64,
    width: usize,
}

impl<R: ReadAt> Lookup<'_, R> {
    /// Where the item `index` lies, which the caller knows to be one of the table's.
    fn place(&mut self, index: u32) -> Result<Place, Error> {
        let per_block = (BLOCK / self.width) as u32;
        let at = self.list.checked_add(u64::from(index / per_block) * 8).ok_or_else(|| damaged("a table lies nowhere"))?;
        let block = self.window.fields(at, 8)?.u64()?;
        Ok(Place { block, offset: (index % per_block) as usize * self.width })
    }
}

fn lookup<R: ReadAt>(source: &R, list: u64, width: usize) -> Result<Lookup<'_, R>, Error> {
    Ok(Lookup { window: Window::new(source, 1024)?, list, width })
}

/// All user and group ids.
pub fn ids<R: ReadAt>(source: &R, superblock: &Superblock, metadata: &mut Metadata<'_, R>) -> Result<Vec<u32>, Error> {
    let mut table = lookup(source, superblock.id_table, 4)?;
    let mut read = |index: u16| {
        let raw = metadata.take(&mut table.place(u32::from(index))?, 4)?;
        Fields::new(&raw, superblock.id_table).u32()
    };
    (0..superblock.ids).map(&mut read).collect()
}

/// A fragment block: where it lies, and its size with a mark as data blocks have it.
pub struct Fragment {
    /// Where it lies.
    pub start: u64,
    /// Its bytes in the file, and whether they are compressed.
    pub size: u32,
}

/// The fragment blocks.
pub struct Fragments<'a, R: ReadAt> {
    table: Lookup<'a, R>,
    count: u32,
}

impl<'a, R: ReadAt> Fragments<'a, R> {
    /// The fragment blocks of a file system.
    pub fn new(source: &'a R, superblock: &Superblock) -> Result<Fragments<'a, R>, Error> {
        Ok(Fragments { table: lookup(source, superblock.fragment_table, 16)?, count: superblock.fragments })
    }

    /// The fragment block of number `index`.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&mut self, index: u32, metadata: &mut Metadata<'_, R>) -> Result<Fragment, Error> {
        if index >= self.count {
            return Err(invalid("bad-fragment", format!("a file's end in the fragment block {index} of {}", self.count)));
        }
        let raw = metadata.take(&mut self.table.place(index)?, 16)?;
        let mut fields = Fields::new(&raw, 0);
        Ok(Fragment { start: fields.u64()?, size: fields.u32()? })
    }
}

/// The extended attributes.
pub struct Xattrs<'a, R: ReadAt> {
    table: Lookup<'a, R>,
    values: u64,
    count: u32,
}

impl<'a, R: ReadAt> Xattrs<'a, R> {
    /// The extended attributes of a file system, if it has any.
    pub fn new(source: &'a R, superblock: &Superblock) -> Result<Option<Xattrs<'a, R>>, Error> {
        let at = superblock.xattr_table;
        if at == NO_TABLE {
            return Ok(None);
        }
        let mut table = lookup(source, at, 16)?;
        let mut fields = table.window.fields(at, 16)?;
        let (values, count) = (fields.u64()?, fields.u32()?);
        table.list = at + 16;
        Ok(Some(Xattrs { table, values, count }))
    }

    /// The extended attributes of number `index`.
    ///
    /// # Errors
    /// There are none, they are damaged, or there is no end to them.
    pub fn get(&mut self, index: u32, metadata: &mut Metadata<'_, R>) -> Result<Vec<Xattr>, Error> {
        if index >= self.count {
            return Err(invalid("bad-xattr", format!("extended attributes of number {index} of {}", self.count)));
        }
        let raw = metadata.take(&mut self.table.place(index)?, 16)?;
        let mut fields = Fields::new(&raw, 0);
        let mut place = Place::of(fields.u64()?, self.values)?;
        let mut left = MAX_XATTRS;
        (0..fields.u32()?).map(|_| self.one(&mut place, &mut left, metadata)).collect()
    }

    fn one(&self, place: &mut Place, left: &mut usize, metadata: &mut Metadata<'_, R>) -> Result<Xattr, Error> {
        let raw = metadata.take(place, 4)?;
        let mut fields = Fields::new(&raw, 0);
        let (kind, len) = (fields.u16()?, usize::from(fields.u16()?));
        let prefix = match kind & !ELSEWHERE {
            0 => "user.",
            1 => "trusted.",
            2 => "security.",
            other => return Err(invalid("bad-xattr", format!("an extended attribute of the unknown type {other}"))),
        };
        let mut charge = |bytes: usize| {
            *left = left.checked_sub(bytes).ok_or_else(|| Error::Limit("more than 1 MiB of extended attributes".to_owned()))?;
            Ok::<_, Error>(bytes)
        };
        let name = metadata.take(place, charge(len + 1)? - 1)?;
        let mut size = u32_of(&metadata.take(place, 4)?)?;
        let value = if kind & ELSEWHERE == 0 {
            metadata.take(place, charge(size as usize)?)?
        } else {
            let raw = metadata.take(place, charge(size as usize)?)?;
            let mut there = Place::of(Fields::new(&raw, 0).u64()?, self.values)?;
            size = u32_of(&metadata.take(&mut there, 4)?)?;
            metadata.take(&mut there, charge(size as usize)?)?
        };
        Ok(Xattr { name: format!("{prefix}{}", to_text(&name)), value })
    }
}

fn u32_of(raw: &[u8]) -> Result<u32, Error> {
    Fields::new(raw, 0).u32()
}
