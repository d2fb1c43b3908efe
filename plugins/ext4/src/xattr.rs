//! Extended attributes: behind an inode, in a block, or with the value in an inode of its own.

use nacre_sdk::bytes::Range;
use nacre_sdk::entries::to_text;
use nacre_sdk::read::Fields;
use nacre_sdk::{Error, invalid};

/// What attributes begin with.
pub const MAGIC: u32 = 0xea02_0000;
/// The bytes at the beginning of a block of attributes.
pub const BLOCK_HEADER: usize = 32;
/// The largest value (`XATTR_SIZE_MAX`).
pub const MAX_VALUE: u32 = 1 << 16;
/// The name of what holds the rest of a small file's content.
pub const INLINE_DATA: &str = "system.data";

/// An attribute, and where its value is.
pub struct Found {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// Where a value is.
pub enum Value {
    /// In the file system's file.
    At(Range),
    /// The content of an inode, so many bytes.
    Inode(u32, u32),
}

/// Lists the attributes of an area that lies at `at`. Its entries begin at `first`, and values
/// count from `origin`, both from the beginning of the area.
///
/// # Errors
/// The area is damaged.
pub fn list(area: &[u8], at: u64, first: usize, origin: usize) -> Result<Vec<Found>, Error> {
    let damaged = || invalid("bad-xattr", format!("the extended attributes at byte {at} are damaged"));
    let mut fields = Fields::new(area.get(first..).ok_or_else(damaged)?, at);
    let mut found = Vec::new();
    // Four zero bytes end the list, or the area's end does.
    while fields.rest().len() >= 16 && fields.rest().iter().take(4).any(|byte| *byte != 0) {
        let (len, index, offset) = (fields.u8()?, fields.u8()?, usize::from(fields.u16()?));
        let (inode, size) = (fields.u32()?, fields.u32()?);
        fields.skip(4)?; // the hash
        let mut rest = fields.part(usize::from(len).next_multiple_of(4).min(fields.rest().len()))?;
        let name = to_text(rest.take(len.into())?);
        let Some(prefix) = prefix(index) else { continue };
        if size > MAX_VALUE {
            return Err(damaged());
        }
        let value = if inode != 0 {
            Value::Inode(inode, size)
        } else {
            let start = origin + offset;
            let inside = start + size as usize <= area.len();
            inside.then(|| Value::At(Range { offset: at + start as u64, size: size.into() })).ok_or_else(damaged)?
        };
        found.push(Found { name: format!("{prefix}{name}"), value });
    }
    Ok(found)
}

/// What stands before a name, by number (`ext4_xattr_handler_map`).
fn prefix(index: u8) -> Option<&'static str> {
    Some(match index {
        0 => "",
        1 => "user.",
        2 => "system.posix_acl_access",
        3 => "system.posix_acl_default",
        4 => "trusted.",
        6 => "security.",
        7 => "system.",
        8 => "system.richacl",
        _ => return None,
    })
}

/// An ACL as `getxattr` gives it: on disk, only named users and groups have room for an id.
///
/// # Errors
/// The ACL is damaged.
pub fn acl(raw: &[u8]) -> Result<Vec<u8>, Error> {
    let mut fields = Fields::new(raw, 0);
    if fields.u32()? != 1 {
        return Err(invalid("bad-acl", "an access control list of an unknown version"));
    }
    let mut acl = 2u32.to_le_bytes().to_vec();
    while !fields.rest().is_empty() {
        let (tag, permissions) = (fields.u16()?, fields.u16()?);
        let id = if matches!(tag, 0x02 | 0x08) { fields.u32()? } else { u32::MAX };
        acl.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        acl.extend(id.to_le_bytes());
    }
    Ok(acl)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn acls_get_room_for_ids() {
        let disk = [1, 0, 0, 0, 1, 0, 6, 0, 2, 0, 4, 0, 232, 3, 0, 0];
        let shown = [2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 232, 3, 0, 0];
        assert_eq!(acl(&disk).unwrap(), shown);
        assert!(acl(&disk[..13]).is_err() && acl(&[2, 0, 0, 0]).is_err());
    }

    #[test]
    fn values_outside_are_refused() {
        let mut area = vec![0; 64];
        area[..17].copy_from_slice(&[1, 1, 60, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, b'a']);
        let found = list(&area, 100, 0, 0).unwrap();
        assert!(found[0].name == "user.a" && matches!(found[0].value, Value::At(Range { offset: 160, size: 4 })));
        area[2] = 61;
        assert!(list(&area, 100, 0, 0).is_err());
        area[8..12].copy_from_slice(&[255; 4]);
        assert!(list(&area, 100, 0, 0).is_err());
        assert!(list(&area, 100, 65, 0).is_err());
    }
}
