//! One entry of the directory, and what stands before its content (APPNOTE 4.3.7 and 4.3.12).

use nacre_sdk::bytes::{Codec, Range};
use nacre_sdk::entries::{check_path, entry, kind_of};
use nacre_sdk::files::{Entry, Kind};
use nacre_sdk::read::{ReadAt, Window, cut_off};
use nacre_sdk::{Error, invalid};

use crate::end::Directory;
use crate::extra::{Extra, from_dos};

/// Flags: encrypted, strongly encrypted, and with a hidden directory.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
/// Flag: the sizes stand behind the content.
const SIZES_BEHIND: u16 = 1 << 3;
const CENTRAL: &[u8] = b"PK\x01\x02";
const CENTRAL_LEN: usize = 46;
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_LEN: u64 = 30;

/// What the directory says about one file.
#[derive(Debug)]
pub struct Member {
    pub name: Vec<u8>,
    /// System (of the attributes), and attributes.
    made_by: u8,
    attributes: u32,
    flags: u16,
    method: u16,
    dos: (u16, u16),
    extra: Extra,
    /// The bytes that its content takes.
    pub packed: u64,
    /// The bytes of its content.
    pub size: u64,
    /// Where what stands before its content begins in the file.
    pub local: u64,
    /// The bytes of its entry in the directory.
    pub len: u64,
}

impl Member {
    /// Reads the entry at `at`.
    pub fn read(window: &mut Window<'_, impl ReadAt>, at: u64, directory: &Directory) -> Result<Member, Error> {
        let mut fields = window.fields(at, CENTRAL_LEN)?;
        if fields.take(4)? != CENTRAL {
            return Err(invalid("bad-directory", format!("no entry of the directory at byte {at}")));
        }
        fields.skip(1)?;
        let made_by = fields.u8()?;
        fields.skip(2)?;
        let (flags, method, time, date) = (fields.u16()?, fields.u16()?, fields.u16()?, fields.u16()?);
        fields.skip(4)?;
        let (mut packed, mut size) = (u64::from(fields.u32()?), u64::from(fields.u32()?));
        let lens = [fields.u16()?, fields.u16()?, fields.u16()?].map(usize::from);
        fields.skip(4)?;
        let (attributes, mut offset) = (fields.u32()?, u64::from(fields.u32()?));
        let mut rest = window.fields(at + CENTRAL_LEN as u64, lens.iter().sum())?;
        let name = rest.take(lens[0])?.to_vec();
        let mut extra = Extra::default();
        extra.read(rest.part(lens[1])?, &mut [&mut size, &mut packed, &mut offset])?;
        let local = offset.checked_add(directory.base).ok_or_else(|| cut_off(at))?;
        let len = (CENTRAL_LEN + lens.iter().sum::<usize>()) as u64;
        Ok(Member { name, made_by, attributes, flags, method, dos: (date, time), extra, packed, size, local, len })
    }

    /// The least that it takes in the file before the directory, which no other may take as well.
    ///
    /// # Errors
    /// That is not before the directory.
    pub fn span(&self, directory: &Directory) -> Result<Range, Error> {
        let size = (LOCAL_LEN + self.name.len() as u64).checked_add(self.packed);
        let end = size.and_then(|size| self.local.checked_add(size)).filter(|&end| end <= directory.at.offset);
        let (Some(size), Some(_)) = (size, end) else {
            return Err(invalid("bad-offset", format!("'{}' at byte {} does not lie before the directory", self.shown(), self.local)));
        };
        Ok(Range { offset: self.local, size })
    }

    /// Where its content lies, with what is known more from before it.
    ///
    /// # Errors
    /// What stands there is not what the directory says: another program would see another file.
    pub fn content(&mut self, window: &mut Window<'_, impl ReadAt>, directory: &Directory) -> Result<Range, Error> {
        let mut fields = window.fields(self.local, LOCAL_LEN as usize)?;
        let differs =
            |what: &str| invalid("mismatch", format!("'{}': {what} at byte {} is not what the directory says", self.shown(), self.local));
        if fields.take(4)? != LOCAL {
            return Err(differs("what stands"));
        }
        fields.skip(2)?;
        let (flags, method) = (fields.u16()?, fields.u16()?);
        fields.skip(8)?;
        let (mut packed, mut size) = (u64::from(fields.u32()?), u64::from(fields.u32()?));
        let lens = [fields.u16()?, fields.u16()?].map(usize::from);
        let mut rest = window.fields(self.local + LOCAL_LEN, lens[0] + lens[1])?;
        if rest.take(lens[0])? != self.name {
            return Err(differs("the name"));
        }
        let mut extra = self.extra.clone();
        extra.read(rest.part(lens[1])?, &mut [&mut size, &mut packed])?;
        if (method, flags & ENCRYPTED) != (self.method, self.flags & ENCRYPTED) {
            return Err(differs("the method"));
        }
        if flags & SIZES_BEHIND == 0 && (packed, size) != (self.packed, self.size) {
            return Err(differs("the size"));
        }
        self.extra = extra;
        let content = Range { offset: rest.offset(), size: self.packed };
        match content.offset.checked_add(content.size).is_some_and(|end| end <= directory.at.offset) {
            true => Ok(content),
            false => Err(cut_off(content.offset)),
        }
    }

    /// The compression; `None` for none.
    ///
    /// # Errors
    /// It is encrypted, or compressed with something else.
    pub fn codec(&self) -> Result<Option<Codec>, Error> {
        if self.flags & ENCRYPTED != 0 {
            return Err(Error::Unsupported(format!("'{}' is encrypted: unpack it and import the folder's tar", self.shown())));
        }
        match self.method {
            0 if self.packed != self.size => Err(invalid("mismatch", format!("'{}' is not compressed, but has two sizes", self.shown()))),
            0 => Ok(None),
            8 => Ok(Some(Codec::Deflate)),
            12 => Ok(Some(Codec::Bzip2)),
            20 | 93 => Ok(Some(Codec::Zstd)),
            95 => Ok(Some(Codec::Xz)),
            other => {
                Err(Error::Unsupported(format!("'{}' is compressed with method {other}: want deflate, bzip2, zstd or xz", self.shown())))
            }
        }
    }

    /// The entry without a symlink's target. `None` for a socket.
    pub fn entry(&self) -> Result<Option<Entry>, Error> {
        let path = check_path(&self.name, self.local)?;
        let folder = self.name.ends_with(b"/");
        // Unix, and macOS of old.
        let mode = if matches!(self.made_by, 3 | 19) { self.attributes >> 16 } else { 0 };
        let folder_bit = self.attributes & 0x10 != 0;
        let (kind, mode) = match kind_of(mode) {
            Some(Kind::CharDevice | Kind::BlockDevice) => {
                return Err(Error::Unsupported(format!("'{}' is a device without a number", self.shown())));
            }
            Some(kind) if !folder || kind == Kind::Directory => (kind, mode),
            _ if mode & 0o170_000 == 0o140_000 => return Ok(None),
            _ if folder || folder_bit => (Kind::Directory, if mode & 0o7777 == 0 { 0o755 } else { mode }),
            _ => (Kind::File, if mode & 0o7777 == 0 { 0o644 } else { mode }),
        };
        let (mtime, nanos) = self.extra.mtime.unwrap_or_else(|| (from_dos(self.dos.0, self.dos.1), 0));
        let (uid, gid) = (self.extra.uid.unwrap_or(0), self.extra.gid.unwrap_or(0));
        let size = if kind == Kind::File { self.size } else { 0 };
        Ok(Some(Entry { size, uid, gid, mtime, nanos, ..entry(path, kind, mode) }))
    }

    /// Its name for messages.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.name).escape_default().take(200).collect()
    }
}
