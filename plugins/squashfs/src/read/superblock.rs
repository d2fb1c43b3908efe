//! The superblock: what the file system is made of and where its tables lie.

use nacre_sdk::bytes::Codec;
use nacre_sdk::read::{ReadAt, Window};
use nacre_sdk::{Error, invalid};

/// The first bytes.
pub const MAGIC: [u8; 4] = *b"hsqs";
/// How many bytes the superblock has.
pub const SIZE: usize = 96;
/// Stands for a table that is not there, in a place for an offset.
pub const NO_TABLE: u64 = u64::MAX;
/// The smallest and the largest block, as powers of two.
pub const BLOCK_LOG: std::ops::RangeInclusive<u16> = 12..=20;

/// `squashfs_super_block`, as far as reading needs it. Places are offsets in the file.
pub struct Superblock {
    /// How all blocks are compressed that are.
    pub codec: Codec,
    /// The bytes of a data block before compression.
    pub block_size: u32,
    /// How many fragment blocks there are.
    pub fragments: u32,
    /// How many user and group ids there are.
    pub ids: u16,
    /// The root folder's inode, as everywhere: block and offset in the inode table.
    pub root: u64,
    /// Where the list of the blocks of user and group ids lies.
    pub id_table: u64,
    /// The same for the extended attributes, or [`NO_TABLE`].
    pub xattr_table: u64,
    /// Where the inodes begin.
    pub inode_table: u64,
    /// Where the folders' lists begin.
    pub directory_table: u64,
    /// Where the list of the blocks of fragments lies.
    pub fragment_table: u64,
}

impl Superblock {
    /// Reads the superblock.
    ///
    /// # Errors
    /// This is no squashfs, or one that cannot be read.
    pub fn read<R: ReadAt>(window: &mut Window<'_, R>) -> Result<Superblock, Error> {
        let size = window.size();
        let mut fields = window.fields(0, SIZE)?;
        match fields.take(4)? {
            magic if *magic == MAGIC => {}
            b"sqsh" => {
                return Err(Error::Unsupported("a big-endian squashfs of before version 4.0: make it anew with mksquashfs".to_owned()));
            }
            _ => return Err(invalid("no-squashfs", "no squashfs file system: it does not begin with 'hsqs'")),
        }
        fields.skip(8)?; // the number of inodes, and when it was made
        let block_size = fields.u32()?;
        let fragments = fields.u32()?;
        let (compressor, log, _flags, ids, major, minor) =
            (fields.u16()?, fields.u16()?, fields.u16()?, fields.u16()?, fields.u16()?, fields.u16()?);
        let (root, used, id_table, xattr_table) = (fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?);
        let (inode_table, directory_table, fragment_table) = (fields.u64()?, fields.u64()?, fields.u64()?);
        if (major, minor) != (4, 0) {
            return Err(Error::Unsupported(format!("squashfs version {major}.{minor}: only 4.0 is known, make it anew with mksquashfs")));
        }
        if !BLOCK_LOG.contains(&log) || 1u32.checked_shl(u32::from(log)) != Some(block_size) {
            return Err(invalid("bad-superblock", format!("the superblock's block size of {block_size} is none")));
        }
        if used > size {
            return Err(invalid("cut-off", format!("the file system has {used} bytes, but the file only {size}")));
        }
        let codec = codec(compressor)?;
        Ok(Superblock { codec, block_size, fragments, ids, root, id_table, xattr_table, inode_table, directory_table, fragment_table })
    }
}

/// The codec for a `Compression` number.
fn codec(number: u16) -> Result<Codec, Error> {
    let name = match number {
        1 => return Ok(Codec::Zlib),
        4 => return Ok(Codec::Xz),
        5 => return Ok(Codec::Lz4Block),
        6 => return Ok(Codec::Zstd),
        2 => "lzma".to_owned(),
        3 => "lzo".to_owned(),
        other => format!("number {other}"),
    };
    Err(Error::Unsupported(format!("squashfs compressed with {name}: make it anew with gzip, xz, zstd or lz4")))
}
