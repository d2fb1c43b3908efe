//! The end of a zip archive, which says where its directory lies (APPNOTE 6.3, 4.3.14 to 4.3.16).

use nacre_sdk::bytes::Range;
use nacre_sdk::read::{Fields, ReadAt, Window};
use nacre_sdk::{Error, invalid};

const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";
/// The record that ends an archive, without its comment.
const END_LEN: usize = 22;
const LOCATOR_LEN: u64 = 20;
/// The longest comment.
const MAX_COMMENT: usize = 0xffff;
/// The shortest entry of the directory.
const MIN_ENTRY: u64 = 46;

/// Where the directory lies.
#[derive(Debug)]
pub struct Directory {
    /// Its bytes in the file.
    pub at: Range,
    /// How many entries it has.
    pub entries: u64,
    /// Where the archive begins in the file, such as behind the program of a self-extracting one:
    /// its offsets count from there.
    pub base: u64,
}

/// Finds the directory.
///
/// # Errors
/// There is none, it is not within the file, or the archive has several parts.
pub fn find(window: &mut Window<'_, impl ReadAt>) -> Result<Directory, Error> {
    let at = find_end(window)?;
    let mut end = window.fields(at, END_LEN)?;
    end.skip(4)?;
    let disks = [end.u16()?, end.u16()?];
    let counts = [end.u16()?, end.u16()?];
    let (size, offset) = (end.u32()?, end.u32()?);
    let large = counts.contains(&u16::MAX) || disks.contains(&u16::MAX) || size == u32::MAX || offset == u32::MAX;
    if large && let Some(directory) = find_64(window, at)? {
        return Ok(directory);
    }
    directory(at, disks.map(u32::from), counts.map(u64::from), Range { offset: offset.into(), size: size.into() })
}

/// The last place where the record stands with a comment that reaches to the end.
fn find_end(window: &mut Window<'_, impl ReadAt>) -> Result<u64, Error> {
    let size = window.size();
    let from = size.saturating_sub((END_LEN + MAX_COMMENT) as u64);
    let tail = window.up_to(from, END_LEN + MAX_COMMENT)?;
    let is_end = |at: &usize| {
        let record = tail.get(*at..).unwrap_or_default();
        let comment = record.get(20..END_LEN).and_then(|len| len.try_into().ok()).map(u16::from_le_bytes);
        record.starts_with(END) && comment.is_some_and(|comment| record.len() == END_LEN + usize::from(comment))
    };
    let found = (0..tail.len()).rev().find(is_end);
    let at = found.ok_or_else(|| invalid("no-directory", "no directory at its end: it is no zip archive, or cut off"))?;
    Ok(from + at as u64)
}

/// The record for archives beyond 4 GiB or 65,535 entries, which a locator before the end points at.
fn find_64(window: &mut Window<'_, impl ReadAt>, end: u64) -> Result<Option<Directory>, Error> {
    let Some(locator_at) = end.checked_sub(LOCATOR_LEN) else { return Ok(None) };
    let mut locator = window.fields(locator_at, LOCATOR_LEN as usize)?;
    if locator.take(4)? != LOCATOR_64 {
        return Ok(None);
    }
    locator.skip(4)?;
    let told = locator.u64()?;
    // If something stands before the archive, the offset is short of the place: before the locator.
    let behind = locator_at.checked_sub(56);
    for at in [Some(told), behind].into_iter().flatten() {
        if window.up_to(at, 4)? == END_64 {
            return record_64(window.fields(at, 56)?).map(Some);
        }
    }
    Err(invalid("no-directory", format!("no zip64 directory record at byte {told}")))
}

fn record_64(mut record: Fields<'_>) -> Result<Directory, Error> {
    let at = record.offset();
    record.skip(16)?;
    let disks = [record.u32()?, record.u32()?];
    let counts = [record.u64()?, record.u64()?];
    let (size, offset) = (record.u64()?, record.u64()?);
    directory(at, disks, counts, Range { offset, size })
}

/// The directory that a record at `end` tells of: it lies right before the record.
fn directory(end: u64, disks: [u32; 2], counts: [u64; 2], told: Range) -> Result<Directory, Error> {
    if disks != [0, 0] || counts[0] != counts[1] {
        return Err(Error::Unsupported("a zip archive in several parts: join them first".to_owned()));
    }
    let outside = || invalid("bad-directory", format!("a directory of {} bytes at byte {} cannot be", told.size, told.offset));
    let offset = end.checked_sub(told.size).ok_or_else(outside)?;
    let base = offset.checked_sub(told.offset).ok_or_else(outside)?;
    if counts[1].checked_mul(MIN_ENTRY).is_none_or(|least| least > told.size) {
        return Err(invalid("bad-directory", format!("{} entries in a directory of {} bytes", counts[1], told.size)));
    }
    Ok(Directory { at: Range { offset, size: told.size }, entries: counts[1], base })
}
