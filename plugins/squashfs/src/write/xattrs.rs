//! Extended attributes: files with the same ones share them.

use std::collections::BTreeMap;

use nacre_sdk::entries::from_text;
use nacre_sdk::files::Xattr;
use nacre_sdk::{Error, invalid};

use super::table::{Compression, Table, indexed};
use crate::read::superblock::NO_TABLE;
use crate::read::tables::NO_XATTRS;

/// The prefixes that the format knows, by type.
const PREFIXES: [&str; 3] = ["user.", "trusted.", "security."];

/// All extended attributes, each set of them once.
pub struct Xattrs {
    compression: Compression,
    values: Table,
    numbers: BTreeMap<Vec<u8>, u32>,
    items: Vec<u8>,
    /// How many were left out, because the format has no type for them (ACLs).
    pub left_out: u32,
}

impl Xattrs {
    /// None yet.
    pub fn new(compression: Compression) -> Xattrs {
        Xattrs { compression, values: Table::new(compression), numbers: BTreeMap::new(), items: Vec::new(), left_out: 0 }
    }

    /// The number of these extended attributes.
    ///
    /// # Errors
    /// One is larger than the format allows.
    pub fn number(&mut self, xattrs: &[Xattr]) -> Result<u32, Error> {
        let (mut bytes, mut count) = (Vec::new(), 0u32);
        for xattr in xattrs {
            match packed(xattr)? {
                Some(one) => {
                    bytes.extend(one);
                    count += 1;
                }
                None => self.left_out += 1,
            }
        }
        if count == 0 {
            return Ok(NO_XATTRS);
        }
        if let Some(number) = self.numbers.get(&bytes) {
            return Ok(*number);
        }
        let (block, offset) = self.values.place();
        self.values.push(&bytes)?;
        self.items.extend((u64::from(block) << 16 | u64::from(offset)).to_le_bytes());
        self.items.extend(count.to_le_bytes());
        self.items.extend((bytes.len() as u32).to_le_bytes());
        let number = self.numbers.len() as u32;
        self.numbers.insert(bytes, number);
        Ok(number)
    }

    /// The table's bytes, to lie at `at`, and the place that the superblock names.
    ///
    /// # Errors
    /// Compressing failed.
    pub fn finish(self, at: u64) -> Result<(Vec<u8>, u64), Error> {
        if self.numbers.is_empty() {
            return Ok((Vec::new(), NO_TABLE));
        }
        let mut bytes = self.values.finish()?;
        let items_at = at + bytes.len() as u64;
        let (items, list) = indexed(&self.items, items_at, self.compression)?;
        // `squashfs_xattr_id_table` stands between the blocks and the list of their places.
        let (blocks, places) = items.split_at((list - items_at) as usize);
        bytes.extend(blocks);
        bytes.extend(at.to_le_bytes());
        bytes.extend((self.numbers.len() as u32).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(places);
        Ok((bytes, list))
    }
}

/// `squashfs_xattr_entry` and `squashfs_xattr_val`; `None` if the format has no type for it.
fn packed(xattr: &Xattr) -> Result<Option<Vec<u8>>, Error> {
    let kind = (0u16..).zip(PREFIXES).find_map(|(kind, prefix)| Some((kind, xattr.name.strip_prefix(prefix)?)));
    let Some((kind, name)) = kind else { return Ok(None) };
    let name = from_text(name);
    let len = u16::try_from(name.len()).ok().filter(|_| xattr.value.len() <= 1 << 16);
    let len = len.ok_or_else(|| invalid("large-xattr", format!("the extended attribute {} is larger than 64 KiB", xattr.name)))?;
    let mut bytes = Vec::with_capacity(8 + name.len() + xattr.value.len());
    bytes.extend(kind.to_le_bytes());
    bytes.extend(len.to_le_bytes());
    bytes.extend(name);
    bytes.extend((xattr.value.len() as u32).to_le_bytes());
    bytes.extend(&xattr.value);
    Ok(Some(bytes))
}
