//! Writing a squashfs: the files' content, block by block, then the tables, and the superblock
//! last. The same files give the same bytes.
//!
//! Only files that are smaller than a block share fragment blocks; the end of a larger one is a
//! block of its own. There is no export table (inodes by number, for NFS).

pub mod fragments;
pub mod inodes;
pub mod table;
pub mod tree;
pub mod xattrs;

use nacre_sdk::bytes::{Block, Codec};
use nacre_sdk::files::{Entry, Kind};
use nacre_sdk::{Error, Options, invalid};

use crate::read::STORED;
use crate::read::superblock::{BLOCK_LOG, MAGIC, NO_TABLE, SIZE};
use fragments::Fragments;
use table::{Compression, Encode};
use tree::{Body, Tree};
use xattrs::Xattrs;

/// What the file is padded to, so that it can be mounted as it is.
const PADDING: u64 = 4096;
/// In the superblock's flags: there are no fragments.
const NO_FRAGMENTS: u16 = 0x10;
/// In the superblock's flags: the compressor's options stand behind it.
const COMPRESSOR_OPTIONS: u16 = 0x400;

/// Where a file system is written to, and its files' content comes from.
pub trait Target {
    /// Appends bytes.
    ///
    /// # Errors
    /// Writing failed, as for all that follows.
    fn write(&mut self, data: &[u8]) -> Result<(), Error>;
    /// Overwrites bytes that were written.
    fn write_at(&mut self, offset: u64, data: &[u8]) -> Result<(), Error>;
    /// How many bytes were written.
    fn position(&mut self) -> Result<u64, Error>;
    /// The content of the `index`th entry, which has `size` bytes: less than 1 MiB.
    fn content(&mut self, index: u32, size: u32) -> Result<Vec<u8>, Error>;
    /// Appends the content of the `index`th entry in blocks of `size` bytes.
    fn blocks(&mut self, index: u32, size: u32, codec: Codec) -> Result<Vec<Block>, Error>;
}

/// How a file system is written.
#[derive(Clone, Copy)]
pub struct Format {
    /// The number of its compressor.
    compressor: u16,
    compression: Compression,
    block_log: u16,
}

impl Format {
    /// The format that the user wants.
    ///
    /// # Errors
    /// An option's value is wrong.
    pub fn of(opts: &Options, encode: Encode) -> Result<Format, Error> {
        let (compressor, codec) = match opts.one("compress")? {
            Some("gzip") => (1, Codec::Zlib),
            Some("xz") => (4, Codec::Xz),
            Some("lz4") => (5, Codec::Lz4Block),
            None | Some("zstd") => (6, Codec::Zstd),
            Some(other) => return Err(invalid("bad-value", format!("invalid option 'compress={other}': want zstd, gzip, xz or lz4"))),
        };
        let block = opts.one("block")?.unwrap_or("128KiB");
        let log = block_size(block).filter(|size| size.is_power_of_two()).map(|size| size.trailing_zeros() as u16);
        let block_log = log
            .filter(|log| BLOCK_LOG.contains(log))
            .ok_or_else(|| invalid("bad-value", format!("invalid option 'block={block}': want a power of 2 from 4KiB to 1MiB")))?;
        Ok(Format { compressor, compression: Compression { codec, encode }, block_log })
    }
}

/// Writes a file system that holds `entries`. Says how many extended attributes it left out,
/// because the format cannot hold them.
///
/// # Errors
/// An entry cannot be held, or writing failed.
pub fn write(entries: impl Iterator<Item = Result<Entry, Error>>, out: &mut impl Target, format: Format) -> Result<u32, Error> {
    out.write(&[0; SIZE])?;
    out.write(format.compressor_options())?;
    let mut tree = Tree::new(Xattrs::new(format.compression))?;
    let mut fragments = Fragments::new(format.compression, 1 << format.block_log);
    for (index, entry) in (0..).zip(entries) {
        let entry = entry?;
        let file = if entry.kind == Kind::File { Some(format.content(index, entry.size, &mut fragments, out)?) } else { None };
        tree.add(&entry, file).map_err(|error| about(&entry.path, error))?;
    }
    fragments.close(out)?;
    let left_out = tree.xattrs.left_out;
    format.tables(tree, &fragments, out)?;
    Ok(left_out)
}

impl Format {
    /// Linux refuses LZ4 without its options: a metadata block that is not compressed, with the
    /// version of the block format and no flags.
    fn compressor_options(&self) -> &'static [u8] {
        if self.compressor == 5 { &[8, 0x80, 1, 0, 0, 0, 0, 0, 0, 0] } else { &[] }
    }

    fn content(&self, index: u32, size: u64, fragments: &mut Fragments, out: &mut impl Target) -> Result<Body, Error> {
        let block_size = 1u32 << self.block_log;
        let differs = || invalid("bad-size", "a file that does not have as many bytes as it says");
        match u32::try_from(size) {
            Ok(0) => Ok(Body::File { start: 0, size, blocks: Vec::new(), fragment: None }),
            Ok(small) if small < block_size => {
                let content = out.content(index, small)?;
                if content.len() as u64 != size {
                    return Err(differs());
                }
                let fragment = Some(fragments.add(&content, out)?);
                Ok(Body::File { start: 0, size, blocks: Vec::new(), fragment })
            }
            _ => {
                let start = out.position()?;
                let written = out.blocks(index, block_size, self.compression.codec)?;
                if written.len() as u64 != size.div_ceil(block_size.into()) {
                    return Err(differs());
                }
                let mark = |block: Block| if block.compressed { block.size } else { block.size | STORED };
                Ok(Body::File { start, size, blocks: written.into_iter().map(mark).collect(), fragment: None })
            }
        }
    }

    fn tables(&self, tree: Tree, fragments: &Fragments, out: &mut impl Target) -> Result<(), Error> {
        let written = inodes::write(&tree, self.compression)?;
        let inode_table = out.position()?;
        out.write(&written.inodes)?;
        let directory_table = out.position()?;
        out.write(&written.directories)?;
        let fragment_table = self.indexed(&fragments.items, out)?;
        let ids: Vec<u8> = tree.ids.all.iter().flat_map(|id| id.to_le_bytes()).collect();
        let id_table = self.indexed(&ids, out)?;
        let made = tree.nodes.iter().map(|node| node.mtime).max().unwrap_or(0);
        let counts = (tree.nodes.len() as u32, fragments.count, tree.ids.all.len() as u16);
        let (bytes, xattr_table) = tree.xattrs.finish(out.position()?)?;
        out.write(&bytes)?;
        let used = out.position()?;
        out.write(&vec![0; (used.next_multiple_of(PADDING) - used) as usize])?;
        let places = [written.root, used, id_table, xattr_table, inode_table, directory_table, fragment_table, NO_TABLE];
        out.write_at(0, &self.superblock(counts, made, places))
    }

    fn indexed(&self, items: &[u8], out: &mut impl Target) -> Result<u64, Error> {
        let (bytes, list) = table::indexed(items, out.position()?, self.compression)?;
        out.write(&bytes)?;
        Ok(list)
    }

    /// `squashfs_super_block`.
    fn superblock(&self, (inodes, fragments, ids): (u32, u32, u16), made: u32, places: [u64; 8]) -> Vec<u8> {
        let options = if self.compressor_options().is_empty() { 0 } else { COMPRESSOR_OPTIONS };
        let no_fragments = if fragments == 0 { NO_FRAGMENTS } else { 0 };
        let mut bytes = MAGIC.to_vec();
        bytes.extend([inodes, made, 1 << self.block_log, fragments].iter().flat_map(|field| field.to_le_bytes()));
        let small = [self.compressor, self.block_log, no_fragments | options, ids, 4, 0];
        bytes.extend(small.iter().flat_map(|field| field.to_le_bytes()));
        bytes.extend(places.iter().flat_map(|field| field.to_le_bytes()));
        bytes
    }
}

/// Bytes from `128KiB`, `128K`, `1MiB`, `1M` or `131072`, as `mksquashfs -b` takes them.
fn block_size(text: &str) -> Option<u32> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "" => 1,
        "K" | "k" | "KiB" => 1 << 10,
        "M" | "m" | "MiB" => 1 << 20,
        _ => return None,
    };
    number.parse::<u32>().ok()?.checked_mul(scale)
}

/// Says which file an error is about.
fn about(path: &str, error: Error) -> Error {
    match error {
        Error::Invalid(mut list) => {
            list.iter_mut().for_each(|item| item.message = format!("{} (at /{path})", item.message));
            Error::Invalid(list)
        }
        other => other,
    }
}
