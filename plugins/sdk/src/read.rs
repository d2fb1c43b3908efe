//! Reading structures out of a source: anywhere with [`Window`], field by field with [`Fields`].
//!
//! A parser that takes any [`ReadAt`] runs natively on bytes, so that its tests and its fuzzing
//! need no host:
//!
//! ```
//! use nacre_sdk::read::{ReadAt, Window};
//!
//! fn version(file: &impl ReadAt) -> Result<u16, nacre_sdk::Error> {
//!     let mut window = Window::new(file, 64 << 10)?;
//!     let mut header = window.fields(0, 6)?;
//!     header.skip(4)?;
//!     header.u16()
//! }
//!
//! assert_eq!(version(&&b"MAGC\x02\x00"[..]).ok(), Some(2));
//! assert!(version(&&b"MAGC\x02"[..]).is_err());
//! ```

use crate::bytes::Source;
use crate::{Error, invalid};

/// The most that one `read-at` returns.
const MAX_READ: u32 = 1 << 20;
/// How much is read at a new place; where reading goes on, more and more.
const FIRST_READ: u32 = 4 << 10;

/// Bytes that can be read anywhere: a host's [`Source`], or a slice.
pub trait ReadAt {
    /// How many bytes there are.
    ///
    /// # Errors
    /// A stream could not be read to its end.
    fn size(&self) -> Result<u64, Error>;

    /// Bytes from `offset` on, at most `max` and at most 1 MiB; fewer only at the end.
    ///
    /// # Errors
    /// Reading failed.
    fn read_at(&self, offset: u64, max: u32) -> Result<Vec<u8>, Error>;
}

impl ReadAt for Source {
    fn size(&self) -> Result<u64, Error> {
        Source::size(self)
    }

    fn read_at(&self, offset: u64, max: u32) -> Result<Vec<u8>, Error> {
        Source::read_at(self, offset, max)
    }
}

impl ReadAt for &[u8] {
    fn size(&self) -> Result<u64, Error> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, offset: u64, max: u32) -> Result<Vec<u8>, Error> {
        let behind = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        Ok(behind.get(..max.min(MAX_READ) as usize).unwrap_or(behind).to_vec())
    }
}

/// A source with the bytes around the last place read at hand, so that many small structures cost
/// few calls of the host. Where they lie far apart, little of what is between crosses.
pub struct Window<'a, R: ReadAt> {
    source: &'a R,
    size: u64,
    ahead: u32,
    step: u32,
    start: u64,
    held: Vec<u8>,
}

impl<'a, R: ReadAt> Window<'a, R> {
    /// Reads `source`, up to `ahead` bytes (at most 1 MiB) more than asked for at a time.
    ///
    /// # Errors
    /// The source's size could not be told.
    pub fn new(source: &'a R, ahead: u32) -> Result<Window<'a, R>, Error> {
        let ahead = ahead.clamp(1, MAX_READ);
        Ok(Window { source, size: source.size()?, ahead, step: FIRST_READ.min(ahead), start: 0, held: Vec::new() })
    }

    /// How many bytes the source has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The `len` bytes at `offset`. As many are held in memory: the caller has to bound `len`.
    ///
    /// # Errors
    /// The source is shorter (`cut-off`), or reading failed.
    pub fn bytes(&mut self, offset: u64, len: usize) -> Result<&[u8], Error> {
        let end = offset.checked_add(len as u64).filter(|&end| end <= self.size).ok_or_else(|| cut_off(offset))?;
        if offset < self.start || end > self.start + self.held.len() as u64 {
            self.fill(offset, end)?;
        }
        // It fits into memory: it is a part of what is held.
        let from = (offset - self.start) as usize;
        self.held.get(from..from + len).ok_or_else(|| cut_off(offset))
    }

    /// The bytes at `offset`, at most `len`; fewer only at the end.
    ///
    /// # Errors
    /// Reading failed.
    pub fn up_to(&mut self, offset: u64, len: usize) -> Result<&[u8], Error> {
        let left = self.size.saturating_sub(offset);
        self.bytes(offset.min(self.size), usize::try_from(left).unwrap_or(len).min(len))
    }

    /// The `len` bytes at `offset`, to be taken apart.
    ///
    /// # Errors
    /// As for [`Window::bytes`].
    pub fn fields(&mut self, offset: u64, len: usize) -> Result<Fields<'_>, Error> {
        Ok(Fields::new(self.bytes(offset, len)?, offset))
    }

    fn fill(&mut self, offset: u64, end: u64) -> Result<(), Error> {
        let held_to = self.start + self.held.len() as u64;
        let goes_on = offset >= self.start && offset <= held_to && !self.held.is_empty();
        self.step = if goes_on { self.step.saturating_mul(4) } else { FIRST_READ }.min(self.ahead);
        self.start = offset;
        self.held.clear();
        loop {
            let at = offset + self.held.len() as u64;
            if at >= end {
                return Ok(());
            }
            let want = (end - at).max(u64::from(self.step)).min(u64::from(MAX_READ));
            let read = self.source.read_at(at, want as u32)?;
            if read.is_empty() {
                return Err(cut_off(offset));
            }
            match self.held.is_empty() {
                true => self.held = read,
                false => self.held.extend(read),
            }
        }
    }
}

/// Bytes that are taken apart from the front, field by field. Numbers are little-endian unless
/// their name says otherwise.
#[derive(Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
    offset: u64,
}

impl<'a> Fields<'a> {
    /// Takes `bytes` apart, which lie at `offset` of the file: errors name the place.
    pub fn new(bytes: &'a [u8], offset: u64) -> Fields<'a> {
        Fields { rest: bytes, offset }
    }

    /// Where the next field lies in the file.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What was not taken yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// There are fewer (`cut-off`), as for all that follows.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or_else(|| cut_off(self.offset))?;
        self.rest = rest;
        self.offset = self.offset.saturating_add(len as u64);
        Ok(taken)
    }

    /// The next `len` bytes, to be taken apart on their own.
    pub fn part(&mut self, len: usize) -> Result<Fields<'a>, Error> {
        let offset = self.offset;
        Ok(Fields { rest: self.take(len)?, offset })
    }

    /// Leaves out `len` bytes.
    pub fn skip(&mut self, len: usize) -> Result<(), Error> {
        self.take(len).map(drop)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let offset = self.offset;
        self.take(N)?.try_into().map_err(|_| cut_off(offset))
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Error> {
        self.array().map(u8::from_le_bytes)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_le_bytes)
    }

    /// `len` digits of base 8, 10 or 16, with blanks behind them. Without a digit it is 0.
    ///
    /// # Errors
    /// Something else stands there, or a number beyond 2^64 (`bad-number`).
    pub fn digits(&mut self, len: usize, base: u32) -> Result<u64, Error> {
        let offset = self.offset;
        let text = self.take(len)?;
        let end = text.iter().rposition(|&byte| byte != b' ' && byte != 0).map_or(0, |last| last + 1);
        let add = |sum: u64, &byte: &u8| {
            let digit = char::from(byte).to_digit(base)?;
            sum.checked_mul(u64::from(base))?.checked_add(u64::from(digit))
        };
        let number = text.iter().take(end).try_fold(0, add);
        number.ok_or_else(|| invalid("bad-number", format!("the number at byte {offset} is none")))
    }
}

/// The file ends too early.
pub fn cut_off(offset: u64) -> Error {
    invalid("cut-off", format!("the file ends before what it should hold at byte {offset}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_window_reads_ahead_and_says_where_the_end_is() {
        let bytes: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
        let slice = &bytes[..];
        let mut window = Window::new(&slice, 16).unwrap();
        assert_eq!(window.bytes(300, 4).unwrap(), [44, 45, 46, 47]);
        assert_eq!(window.bytes(302, 4).unwrap(), [46, 47, 48, 49]);
        assert_eq!(window.bytes(10, 2).unwrap(), [10, 11]);
        assert_eq!(window.bytes(1, (2 << 20) + 5).unwrap().len(), (2 << 20) + 5);
        assert_eq!(window.up_to((3 << 20) - 1, 9).unwrap(), [255]);
        assert_eq!(window.up_to(u64::MAX, 9).unwrap(), [0; 0]);
        for (offset, len) in [(u64::MAX, 1), (3 << 20, 1), (0, (3 << 20) + 1), (u64::MAX, usize::MAX)] {
            assert!(matches!(window.bytes(offset, len), Err(Error::Invalid(_))), "{offset} {len}");
        }
    }

    /// Counts what is read.
    struct Counted(Vec<u8>, std::cell::RefCell<Vec<usize>>);

    impl ReadAt for Counted {
        fn size(&self) -> Result<u64, Error> {
            Ok(self.0.len() as u64)
        }
        fn read_at(&self, offset: u64, max: u32) -> Result<Vec<u8>, Error> {
            let read = (&self.0[..]).read_at(offset, max)?;
            self.1.borrow_mut().push(read.len());
            Ok(read)
        }
    }

    #[test]
    fn a_window_reads_more_where_reading_goes_on() {
        let source = Counted(vec![7; 1 << 20], Default::default());
        let mut window = Window::new(&source, 64 << 10).unwrap();
        for at in (0..100 << 10).step_by(100) {
            window.bytes(at, 100).unwrap();
        }
        window.bytes(500 << 10, 100).unwrap();
        window.bytes(900 << 10, 5000).unwrap();
        assert_eq!(*source.1.borrow(), [4 << 10, 16 << 10, 64 << 10, 64 << 10, 4 << 10, 5000]);
    }

    #[test]
    fn fields_end_in_an_error() {
        let mut fields = Fields::new(b"\x01\x02\x03\x04\x05\x06\x070017 beef12", 100);
        assert_eq!((fields.u16().unwrap(), fields.u32().unwrap(), fields.u8().unwrap()), (0x0201, 0x0605_0403, 7));
        assert_eq!((fields.digits(5, 8).unwrap(), fields.digits(4, 16).unwrap()), (0o17, 0xbeef));
        assert_eq!((fields.offset(), fields.rest()), (116, &b"12"[..]));
        assert!(fields.u32().is_err() && fields.part(3).is_err());
        assert_eq!(fields.part(2).unwrap().digits(2, 10).unwrap(), 12);
    }

    #[test]
    fn numbers_are_only_digits() {
        let number = |text: &[u8], base| Fields::new(text, 0).digits(text.len(), base).ok();
        assert_eq!(number(b"  ", 8), Some(0));
        assert_eq!(number(b"FFFFFFFFFFFFFFFF", 16), Some(u64::MAX));
        for (text, base) in [(&b"8"[..], 8), (b"-1", 10), (b" 1", 10), (b"10000000000000000", 16), (b"1 2", 10)] {
            assert_eq!(number(text, base), None, "{text:?}");
        }
    }
}
