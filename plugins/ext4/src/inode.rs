//! Inodes: `struct ext4_inode`.

use nacre_sdk::Error;
use nacre_sdk::read::Fields;

/// In an inode's flags: its names and content are encrypted.
pub const ENCRYPTED: u32 = 0x800;
/// In an inode's flags: a tree of extents tells where its content lies.
pub const EXTENTS: u32 = 0x8_0000;
/// In an inode's flags: its content lies in the inode itself.
pub const INLINE: u32 = 0x1000_0000;
/// The bytes for an inode's content, or where that lies.
pub const BODY: usize = 60;
/// The bytes that inodes had at first.
const OLD_SIZE: u64 = 128;

/// What an inode says.
pub struct Inode {
    /// Where it lies in the file.
    pub at: u64,
    /// The type and the permission bits.
    pub mode: u32,
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The bytes that it has, as the low half says...
    pub size_low: u32,
    /// ...and the high half, which means something else for what is no file.
    pub size_high: u32,
    /// When it was last changed, in seconds since 1970...
    pub mtime: i64,
    /// ...and billionths of a second.
    pub nanos: u32,
    /// How many names it has.
    pub links: u16,
    /// Flags such as [`EXTENTS`].
    pub flags: u32,
    /// Where its content lies, or the content.
    pub body: [u8; BODY],
    /// The block of its extended attributes, if any.
    pub xattr_block: u64,
    /// Where in the file the inode's own extended attributes are, and how many bytes there are for them.
    pub xattrs: Option<(u64, usize)>,
}

impl Inode {
    /// Takes an inode apart that lies at `at`.
    ///
    /// # Errors
    /// It is cut off.
    pub fn parse(raw: &[u8], at: u64) -> Result<Inode, Error> {
        let mut fields = Fields::new(raw, at);
        let (mode, uid, size_low) = (fields.u16()?, fields.u16()?, fields.u32()?);
        fields.skip(8)?; // when it was read, and when the inode was changed
        let mtime = fields.u32()?.cast_signed();
        fields.skip(4)?; // when it was deleted
        let (gid, links) = (fields.u16()?, fields.u16()?);
        fields.skip(4)?; // how many blocks it has
        let flags = fields.u32()?;
        fields.skip(4)?;
        let mut body = [0; BODY];
        body.copy_from_slice(fields.take(BODY)?);
        fields.skip(4)?; // the generation
        let (xattr_low, size_high) = (fields.u32()?, fields.u32()?);
        fields.skip(6)?;
        let (xattr_high, uid_high, gid_high) = (fields.u16()?, fields.u16()?, fields.u16()?);
        fields.skip(4)?;
        let extra = if fields.rest().is_empty() { 0 } else { usize::from(fields.u16()?) };
        let times = Fields::new(raw, at).rest().get(0x88..0x8c).filter(|_| extra >= 0x8c - 0x80);
        let (epochs, nanos) = times.map_or((0, 0), |raw| split_time(Fields::new(raw, at).u32().unwrap_or(0)));
        let room = raw.len().checked_sub(OLD_SIZE as usize + extra).filter(|room| extra > 0 && *room > 4);
        let join = |low: u16, high: u16| u32::from(low) | u32::from(high) << 16;
        Ok(Inode {
            at,
            mode: u32::from(mode),
            uid: join(uid, uid_high),
            gid: join(gid, gid_high),
            size_low,
            size_high,
            mtime: i64::from(mtime) + (i64::from(epochs) << 32),
            nanos,
            links,
            flags,
            body,
            xattr_block: u64::from(xattr_low) | u64::from(xattr_high) << 32,
            xattrs: room.map(|room| (at + OLD_SIZE + extra as u64, room)),
        })
    }

    /// Where the body lies in the file.
    pub fn body_at(&self) -> u64 {
        self.at + 0x28
    }

    /// The 32-bit numbers of the body.
    pub fn words(&self) -> [u32; BODY / 4] {
        let mut words = [0; BODY / 4];
        for (word, raw) in words.iter_mut().zip(self.body.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*raw);
        }
        words
    }
}

/// The bits that 32 bits of seconds lack, and the billionths (`ext4_decode_extra_time`).
fn split_time(extra: u32) -> (u32, u32) {
    (extra & 3, (extra >> 2).min(999_999_999))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn times_go_on_after_2038() {
        let mut raw = vec![0; 256];
        raw[0x10..0x14].copy_from_slice(&(-5i32).to_le_bytes());
        raw[0x80] = 32;
        raw[0x88..0x8c].copy_from_slice(&(7u32 << 2 | 1).to_le_bytes());
        let inode = Inode::parse(&raw, 0).unwrap();
        assert_eq!((inode.mtime, inode.nanos), ((1 << 32) - 5, 7));
        assert_eq!(inode.xattrs, Some((160, 96)));
        raw[0x80] = 4;
        assert_eq!(Inode::parse(&raw, 0).unwrap().mtime, -5);
        raw[0x81] = 255;
        assert_eq!(Inode::parse(&raw, 0).unwrap().xattrs, None);
        assert_eq!(Inode::parse(&raw[..128], 0).unwrap().mtime, -5);
        assert!(Inode::parse(&raw[..127], 0).is_err());
    }
}
