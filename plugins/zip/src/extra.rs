//! Extra fields: sizes beyond 4 GiB, times and owners (APPNOTE 4.5 and 4.6; Info-ZIP's
//! `proginfo/extrafld.txt`).

use nacre_sdk::Error;
use nacre_sdk::read::Fields;

const ZIP64: u16 = 0x0001;
const NTFS: u16 = 0x000a;
const TIMESTAMP: u16 = 0x5455;
const UNIX: u16 = 0x5855;
const UNIX_NEW: u16 = 0x7875;

/// Seconds from 1601, where Windows' time begins, to 1970.
const FROM_1601: i64 = 11_644_473_600;

/// What an entry's extra fields say beside its header.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Extra {
    /// Seconds since 1970 and billionths.
    pub mtime: Option<(i64, u32)>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

impl Extra {
    /// Reads fields on top of what is known. `large` are the header's numbers: those that stand
    /// for "see the extra field", in the field's order.
    ///
    /// # Errors
    /// The zip64 field lacks a number, which would have to be guessed. Damage in others loses what
    /// they say, and no more.
    pub fn read(&mut self, mut fields: Fields<'_>, large: &mut [&mut u64]) -> Result<(), Error> {
        while fields.rest().len() >= 4 {
            let (id, len) = (fields.u16()?, fields.u16()?);
            let Ok(mut field) = fields.part(usize::from(len)) else { break };
            match id {
                ZIP64 => {
                    for number in large.iter_mut().filter(|number| ***number == u64::from(u32::MAX)) {
                        **number = field.u64()?;
                    }
                }
                _ => drop(self.field(id, field)),
            }
        }
        Ok(())
    }

    fn field(&mut self, id: u16, mut field: Fields<'_>) -> Result<(), Error> {
        match id {
            TIMESTAMP if field.u8()? & 1 != 0 => self.mtime = Some((i64::from(field.u32()?.cast_signed()), 0)),
            UNIX => {
                field.skip(4)?;
                self.mtime = Some((i64::from(field.u32()?.cast_signed()), 0));
                (self.uid, self.gid) = (Some(field.u16()?.into()), Some(field.u16()?.into()));
            }
            UNIX_NEW if field.u8()? == 1 => (self.uid, self.gid) = (id_of(&mut field)?, id_of(&mut field)?),
            NTFS if self.mtime.is_none() => {
                field.skip(4)?;
                if (field.u16()?, field.u16()?) == (1, 24) {
                    self.mtime = Some(from_windows(field.u64()?));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// A number of a length that stands before it. `None` if it is no user's number that an image can have.
fn id_of(field: &mut Fields<'_>) -> Result<Option<u32>, Error> {
    let len = field.u8()?;
    let bytes = field.take(usize::from(len))?;
    let number = bytes.iter().rev().try_fold(0_u32, |sum, &byte| sum.checked_mul(256)?.checked_add(byte.into()));
    Ok(number.filter(|_| len > 0))
}

/// Tenths of microseconds since 1601.
fn from_windows(ticks: u64) -> (i64, u32) {
    ((ticks / 10_000_000) as i64 - FROM_1601, (ticks % 10_000_000) as u32 * 100)
}

/// Days and time of DOS, without a time zone: taken for UTC, so that it is the same everywhere.
pub fn from_dos(date: u16, time: u16) -> i64 {
    let part = |bits: u16, shift: u16, mask: u16| i64::from(bits >> shift & mask);
    let (year, month, day) = (1980 + part(date, 9, 0x7f), part(date, 5, 15).clamp(1, 12), part(date, 0, 31).max(1));
    let seconds = part(time, 11, 31) * 3600 + part(time, 5, 63) * 60 + part(time, 0, 31) * 2;
    days(year, month, day) * 86_400 + seconds
}

/// Days since 1970 of a date from then on, in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // A year that begins in March has its leap day last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 719_469
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn dos_times_are_seconds() {
        assert_eq!(from_dos(0x0021, 0), 315_532_800, "1980-01-01");
        assert_eq!(from_dos((44 << 9) | (2 << 5) | 29, (23 << 11) | (59 << 5) | 29), 1_709_251_198, "2024-02-29 23:59:58");
        assert_eq!(from_dos(0, 0), 315_532_800, "no month and no day");
    }

    #[test]
    fn times_owners_and_large_sizes_are_read() {
        let mut extra = Extra::default();
        let (mut size, mut offset) = (u64::from(u32::MAX), 7);
        let fields = [
            &b"\x01\x00\x08\x00\x00\x00\x00\x00\x01\x00\x00\x00"[..],
            b"UT\x05\x00\x03\xff\xff\xff\xff",
            b"ux\x0b\x00\x01\x04\xe8\x03\x00\x00\x04\x64\x00\x00\x00",
            b"zz\xff\xff",
        ];
        extra.read(Fields::new(&fields.concat(), 0), &mut [&mut size, &mut offset]).unwrap();
        assert_eq!((size, offset), (1 << 32, 7));
        assert_eq!(extra, Extra { mtime: Some((-1, 0)), uid: Some(1000), gid: Some(100) });
        let mut windows = Extra::default();
        let ntfs = [&b"\x0a\x00\x20\x00\0\0\0\0\x01\x00\x18\x00"[..], &116_444_736_000_000_015_u64.to_le_bytes(), &[0; 16]].concat();
        windows.read(Fields::new(&ntfs, 0), &mut []).unwrap();
        assert_eq!(windows.mtime, Some((0, 1500)));
    }

    #[test]
    fn a_large_size_that_is_not_there_is_an_error() {
        let mut size = u64::from(u32::MAX);
        assert!(Extra::default().read(Fields::new(b"\x01\x00\x04\x00\x00\x00\x00\x00", 0), &mut [&mut size]).is_err());
    }
}
