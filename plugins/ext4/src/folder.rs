//! Folders: lists of names, block by block. An index over them (htree) hides in entries that name
//! nothing, so that all can be read one after the other.

use nacre_sdk::filesystem::{Name, too_many_names};
use nacre_sdk::read::Fields;
use nacre_sdk::{Error, invalid};

/// An entry's bytes before its name.
const HEADER: usize = 8;

/// Adds the names that a block (or another part of a folder) lists, without `.` and `..`.
///
/// # Errors
/// The list is damaged, or there are more than `max` names.
pub fn names(part: &[u8], at: u64, max: usize, names: &mut Vec<Name>) -> Result<(), Error> {
    let mut fields = Fields::new(part, at);
    while fields.rest().len() >= HEADER {
        let left = fields.rest().len();
        let offset = fields.offset();
        let (inode, len, name_len) = (fields.u32()?, fields.u16()?, fields.u8()?);
        fields.skip(1)?; // the type, or the name's length in 16 bits: no name has that many
        let len = length(len, left);
        if len < HEADER + usize::from(name_len) || len > left || !len.is_multiple_of(4) {
            return Err(invalid("bad-folder", format!("the folder's entry at byte {offset} cannot have {len} bytes")));
        }
        let mut rest = fields.part(len - HEADER)?;
        let name = rest.take(name_len.into())?;
        if inode != 0 && name != b"." && name != b".." {
            names.push((name.to_vec(), inode.into()));
            if names.len() > max {
                return Err(too_many_names());
            }
        }
    }
    Ok(())
}

/// Blocks of 64 KiB have entries whose length does not fit into 16 bits (`ext4_rec_len_from_disk`).
fn length(len: u16, left: usize) -> usize {
    match len {
        0 | u16::MAX if left == 1 << 16 => left,
        len => len.into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn entry(inode: u32, len: u16, name: &[u8]) -> Vec<u8> {
        let mut entry = [&inode.to_le_bytes()[..], &len.to_le_bytes(), &[name.len() as u8, 1], name].concat();
        entry.resize(len.into(), 0);
        entry
    }

    fn read(part: &[u8], max: usize) -> Result<Vec<Name>, Error> {
        let mut found = Vec::new();
        names(part, 0, max, &mut found).map(|()| found)
    }

    #[test]
    fn entries_that_name_nothing_are_left_out() {
        let part = [entry(2, 12, b"."), entry(2, 12, b".."), entry(0, 24, b"gone"), entry(5, 16, b"name"), entry(0, 12, b"")].concat();
        assert_eq!(read(&part, 1).unwrap(), [(b"name".to_vec(), 5)]);
        assert!(read(&part, 0).is_err());
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        for len in [0, 4, 7, 8, 11, 14, 20, u16::MAX] {
            let mut part = entry(5, 16, b"name");
            part[4..6].copy_from_slice(&u16::to_le_bytes(len));
            assert!(read(&part, 9).is_err(), "{len}");
        }
        let mut whole = entry(5, 16, b"name");
        whole[4..6].copy_from_slice(&[0xff, 0xff]);
        whole.resize(1 << 16, 0);
        assert_eq!(read(&whole, 9).unwrap().len(), 1);
    }
}
