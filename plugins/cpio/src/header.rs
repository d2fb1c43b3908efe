//! The header of one member: `newc` and `crc` (110 bytes in base 16, fields of 8 digits), and `odc`
//! (76 bytes in base 8, POSIX.1-1997 `cpio`).

use nacre_sdk::read::{Fields, ReadAt, Window};
use nacre_sdk::{Error, invalid};

/// The bytes that tell a header.
pub const MAGIC: usize = 6;
/// The longest path, Linux's `PATH_MAX`, with the zero behind it.
const MAX_NAME: u64 = 4096;

/// What a header says.
#[derive(Debug, Default)]
pub struct Header {
    /// The file that this is a name of: device and inode.
    pub file: (u64, u64),
    /// Type and permissions, as in Unix' `st_mode`.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// How many names the file has.
    pub links: u64,
    /// Seconds since 1970.
    pub mtime: u32,
    /// The bytes of its body: a file's content or a symlink's target.
    pub size: u64,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// The bytes of the name with the zero behind it.
    pub name_len: usize,
    /// The bytes before the name.
    len: u64,
    /// What name and body are filled up to.
    align: u64,
}

/// Whether a header begins like this.
pub fn is_magic(bytes: &[u8]) -> bool {
    matches!(bytes.get(..MAGIC), Some(b"070701" | b"070702" | b"070707"))
}

/// What something else is that stands where an archive could, by its first bytes.
pub fn other(bytes: &[u8]) -> Option<&'static str> {
    Some(match bytes {
        [0x5d, 0, 0, ..] => "compressed with lzma: want gzip, zstd, xz or bzip2",
        [0x02, 0x21, 0x4c, 0x18, ..] | [0x04, 0x22, 0x4d, 0x18, ..] => "compressed with lz4: want gzip, zstd, xz or bzip2",
        [0x89, b'L', b'Z', b'O', ..] => "compressed with lzo: want gzip, zstd, xz or bzip2",
        [0xc7, 0x71, ..] | [0x71, 0xc7, ..] => "cpio's old binary format: want newc, crc or odc",
        _ => return None,
    })
}

impl Header {
    /// Reads the header at `at`.
    pub fn read(window: &mut Window<'_, impl ReadAt>, at: u64) -> Result<Header, Error> {
        let header = match window.up_to(at, MAGIC)? {
            b"070701" | b"070702" => newc(window.fields(at, 110)?)?,
            b"070707" => odc(window.fields(at, 76)?)?,
            _ => return Err(invalid("no-header", format!("no cpio header at byte {at}"))),
        };
        if header.name_len == 0 || header.name_len as u64 > MAX_NAME {
            return Err(invalid("bad-name", format!("a name of {} bytes at byte {at}: want 1 to {MAX_NAME}", header.name_len)));
        }
        Ok(header)
    }

    /// Where the name lies, of a header at `at`.
    pub fn name_at(&self, at: u64) -> u64 {
        at.saturating_add(self.len)
    }

    /// Where the body lies, of a header at `at`.
    pub fn body_at(&self, at: u64) -> u64 {
        at.saturating_add((self.len + self.name_len as u64).next_multiple_of(self.align))
    }

    /// Where the next header lies, of a header at `at`.
    pub fn next(&self, at: u64) -> u64 {
        self.body_at(at).saturating_add(self.size.next_multiple_of(self.align))
    }
}

fn newc(mut fields: Fields<'_>) -> Result<Header, Error> {
    fields.skip(MAGIC)?;
    let mut next = || number(fields.digits(8, 16)?);
    let ino = next()?;
    let header = Header {
        mode: next()?,
        uid: next()?,
        gid: next()?,
        links: next()?.into(),
        mtime: next()?,
        size: next()?.into(),
        ..Header::default()
    };
    let file = (u64::from(next()?) << 32 | u64::from(next()?), ino.into());
    Ok(Header { file, device: (next()?, next()?), name_len: next()? as usize, len: 110, align: 4, ..header })
}

fn odc(mut fields: Fields<'_>) -> Result<Header, Error> {
    fields.skip(MAGIC)?;
    let mut next = |digits| fields.digits(digits, 8);
    let file = (next(6)?, next(6)?);
    let header =
        Header { file, mode: number(next(6)?)?, uid: number(next(6)?)?, gid: number(next(6)?)?, links: next(6)?, ..Header::default() };
    let device = number(next(6)?)?;
    // Eleven digits of base 8 are 33 bits.
    let mtime = u32::try_from(next(11)?).unwrap_or(u32::MAX);
    let name_len = number(next(6)?)? as usize;
    Ok(Header { device: (device >> 8, device & 0xff), mtime, name_len, size: next(11)?, len: 76, align: 1, ..header })
}

fn number(digits: u64) -> Result<u32, Error> {
    u32::try_from(digits).map_err(|_| invalid("bad-number", format!("the number {digits} in a header is too large")))
}
