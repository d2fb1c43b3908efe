//! The superblock and the group descriptors: where inodes lie.
//!
//! The fields are those of `struct ext4_super_block` (Linux, Documentation/filesystems/ext4).

use nacre_sdk::read::{ReadAt, Window};
use nacre_sdk::{Error, invalid};

/// Where the superblock lies.
pub const AT: u64 = 1024;
/// Where its mark lies in the file...
pub const MAGIC_AT: usize = 1024 + 0x38;
/// ...and the mark.
pub const MAGIC: [u8; 2] = [0x53, 0xef];
/// The bytes of it that are looked at.
const SIZE: usize = 0x254;

/// Features without which a file system cannot be read right (`s_feature_incompat`).
mod incompat {
    pub const RECOVER: u32 = 0x4;
    pub const JOURNAL_DEV: u32 = 0x8;
    pub const META_BG: u32 = 0x10;
    pub const BITS_64: u32 = 0x80;
    pub const LARGEDIR: u32 = 0x4000;
    /// Those that are known here. Encryption and the like show in the inodes that have it.
    pub const KNOWN: u32 =
        0x2 | RECOVER | META_BG | 0x40 | BITS_64 | 0x100 | 0x200 | 0x400 | 0x2000 | LARGEDIR | 0x8000 | 0x1_0000 | 0x2_0000;
}
/// In `s_feature_compat`: only two groups have a copy of the superblock.
const SPARSE_SUPER2: u32 = 0x200;
/// In `s_feature_ro_compat`: only some groups have a copy of the superblock.
const SPARSE_SUPER: u32 = 0x1;

/// What reading needs of the superblock.
pub struct Superblock {
    /// The bytes of a block: 1 KiB to 64 KiB.
    pub block_size: u32,
    /// How many inodes there are; they count from 1.
    pub inodes: u32,
    /// The bytes of an inode.
    pub inode_size: u16,
    /// Folders can have 2^32 bytes and more.
    pub large_folders: bool,
    blocks: u64,
    first_block: u32,
    blocks_per_group: u32,
    inodes_per_group: u32,
    descriptor_size: u16,
    meta_groups_from: Option<u32>,
    copies: Copies,
}

/// Which groups have a copy of the superblock.
enum Copies {
    All,
    Sparse,
    Two([u32; 2]),
}

impl Superblock {
    /// Reads the superblock. `unclean` takes a file system whose journal was not replayed.
    ///
    /// # Errors
    /// This is no ext2, ext3 or ext4, or one that cannot be read.
    pub fn read<R: ReadAt>(window: &mut Window<'_, R>, unclean: bool) -> Result<Superblock, Error> {
        let raw = window.bytes(AT, SIZE)?;
        let u16 = |at: usize| raw.get(at..at + 2).and_then(|raw| raw.try_into().ok()).map_or(0, u16::from_le_bytes);
        let u32 = |at: usize| raw.get(at..at + 4).and_then(|raw| raw.try_into().ok()).map_or(0, u32::from_le_bytes);
        if u16(0x38).to_le_bytes() != MAGIC {
            return Err(invalid("no-ext4", "no ext2, ext3 or ext4 file system: it has no superblock at byte 1024"));
        }
        let dynamic = u32(0x4c) > 0;
        let (compat, incompat, ro_compat) = if dynamic { (u32(0x5c), u32(0x60), u32(0x64)) } else { (0, 0, 0) };
        check_features(incompat, unclean)?;
        let wide = incompat & incompat::BITS_64 != 0;
        let high = if wide { u64::from(u32(0x150)) << 32 } else { 0 };
        let copies = match () {
            () if compat & SPARSE_SUPER2 != 0 => Copies::Two([u32(0x24c), u32(0x250)]),
            () if ro_compat & SPARSE_SUPER != 0 => Copies::Sparse,
            () => Copies::All,
        };
        let superblock = Superblock {
            block_size: 1024u32.checked_shl(u32(0x18)).unwrap_or(0),
            inodes: u32(0),
            inode_size: if dynamic { u16(0x58) } else { 128 },
            large_folders: incompat & incompat::LARGEDIR != 0,
            blocks: u64::from(u32(0x4)) | high,
            first_block: u32(0x14),
            blocks_per_group: u32(0x20),
            inodes_per_group: u32(0x28),
            descriptor_size: if wide { u16(0xfe) } else { 32 },
            meta_groups_from: (incompat & incompat::META_BG != 0).then(|| u32(0x104)),
            copies,
        };
        superblock.check(window.size())?;
        Ok(superblock)
    }

    fn check(&self, size: u64) -> Result<(), Error> {
        let block_size = self.block_size;
        let sane = (1024..=65536).contains(&block_size)
            && self.inode_size.is_power_of_two()
            && (128..=block_size).contains(&u32::from(self.inode_size))
            && (32..=1024).contains(&self.descriptor_size)
            && self.descriptor_size.is_power_of_two()
            && self.first_block <= 1
            && (1..=block_size * 8).contains(&self.inodes_per_group)
            && self.blocks_per_group > 0
            && self.blocks > u64::from(self.first_block);
        if !sane {
            return Err(invalid("bad-superblock", "the superblock's sizes cannot be: is the file damaged?"));
        }
        match self.blocks.checked_mul(u64::from(block_size)) {
            // `truncate` leaves the last, unused blocks out at times: what is missing shows later.
            Some(bytes) if bytes / 2 <= size => Ok(()),
            _ => Err(invalid(
                "cut-off",
                format!("the file system has {} blocks of {block_size} bytes, but the file only {size} bytes", self.blocks),
            )),
        }
    }

    /// Where an inode lies in the file.
    ///
    /// # Errors
    /// There is no such inode.
    pub fn inode_at<R: ReadAt>(&self, number: u32, descriptors: &mut Window<'_, R>) -> Result<u64, Error> {
        let index = number.checked_sub(1).filter(|_| number <= self.inodes);
        let index = index.ok_or_else(|| invalid("bad-inode", format!("the inode {number}, of {}", self.inodes)))?;
        let (group, index) = (index / self.inodes_per_group, index % self.inodes_per_group);
        let at = self.descriptor_at(group).ok_or_else(|| invalid("bad-inode", format!("the inode {number} is in no group")))?;
        let mut fields = descriptors.fields(at, usize::from(self.descriptor_size))?;
        fields.skip(8)?;
        let low = u64::from(fields.u32()?);
        let high = if self.descriptor_size >= 64 {
            fields.skip(0x28 - 0xc)?;
            u64::from(fields.u32()?) << 32
        } else {
            0
        };
        let table = (low | high).checked_mul(u64::from(self.block_size));
        let at = table.and_then(|table| table.checked_add(u64::from(index) * u64::from(self.inode_size)));
        at.ok_or_else(|| invalid("bad-group", format!("the inodes of group {group} lie nowhere")))
    }

    /// Where a group's descriptor lies: behind the first superblock all together, or with
    /// `meta_bg` those of some groups in each first of them.
    fn descriptor_at(&self, group: u32) -> Option<u64> {
        let size = u32::from(self.descriptor_size);
        let per_block = self.block_size / size;
        let (block, index) = (group / per_block, group % per_block);
        let at = match self.meta_groups_from {
            Some(from) if block >= from && block > 0 => {
                let first = block.checked_mul(per_block)?;
                let start = u64::from(self.first_block) + u64::from(first) * u64::from(self.blocks_per_group);
                start + u64::from(self.has_superblock(first))
            }
            // Where clusters have several blocks of 1 KiB, the first block is not the superblock's.
            _ => AT / u64::from(self.block_size) + 1 + u64::from(block),
        };
        at.checked_mul(u64::from(self.block_size))?.checked_add(u64::from(index * size))
    }

    /// Whether a group begins with a copy of the superblock (`ext4_bg_has_super`).
    fn has_superblock(&self, group: u32) -> bool {
        let is_power = |of: u32| std::iter::successors(Some(of), |power| power.checked_mul(of)).any(|power| power == group);
        match self.copies {
            Copies::All => true,
            Copies::Two(groups) => group == 0 || groups.contains(&group),
            Copies::Sparse => group <= 1 || [3, 5, 7].into_iter().any(is_power),
        }
    }
}

fn check_features(incompat: u32, unclean: bool) -> Result<(), Error> {
    let unsupported = |what: String| Err(Error::Unsupported(what));
    if incompat & incompat::JOURNAL_DEV != 0 {
        return unsupported("an ext4 journal without a file system".to_owned());
    }
    if incompat & !incompat::KNOWN != 0 {
        return unsupported(format!("an ext4 file system with unknown features ({:#x})", incompat & !incompat::KNOWN));
    }
    if incompat & incompat::RECOVER != 0 && !unclean {
        let help = "the file system was not unmounted: run e2fsck on it, or take it as it is with --opt unclean=true";
        return Err(invalid("unclean", help));
    }
    Ok(())
}
