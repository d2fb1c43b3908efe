//! Files of a layer, and their paths as text.

use crate::files::{Entry, Kind};
use crate::{Error, invalid};

/// An entry with nothing but a path, a kind and permissions: of root, empty, from the beginning of
/// 1970. Set what matters: `Entry { size: 5, ..entry("etc/motd", Kind::File, 0o644) }`.
pub fn entry(path: impl Into<String>, kind: Kind, mode: u32) -> Entry {
    Entry {
        path: path.into(),
        kind,
        mode: mode & 0o7777,
        uid: 0,
        gid: 0,
        size: 0,
        mtime: 0,
        nanos: 0,
        link: None,
        device: None,
        xattrs: Vec::new(),
    }
}

/// The kind that the type bits of a Unix mode tell, such as `0o100000` for a file. `None` for a
/// socket, which no layer can hold, and for what is no type.
pub fn kind_of(mode: u32) -> Option<Kind> {
    Some(match mode & 0o170_000 {
        0o010_000 => Kind::Fifo,
        0o020_000 => Kind::CharDevice,
        0o040_000 => Kind::Directory,
        0o060_000 => Kind::BlockDevice,
        0o100_000 => Kind::File,
        0o120_000 => Kind::Symlink,
        _ => return None,
    })
}

/// A path of any bytes as text: what is not UTF-8 stands as U+F700 plus the byte, and so does what
/// is UTF-8 of such a character, so that [`from_text`] gives the same bytes again.
pub fn to_text(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for char in chunk.valid().chars() {
            match escaped(char) {
                Some(_) => text.extend(char.encode_utf8(&mut [0; 4]).bytes().filter_map(escape)),
                None => text.push(char),
            }
        }
        text.extend(chunk.invalid().iter().copied().filter_map(escape));
    }
    text
}

/// The longest path, Linux's `PATH_MAX`.
const MAX_PATH: usize = 4096;

/// The path of what an archive holds, as text: it may be absolute, but must not lead out of the root.
/// `at` is its place in the archive, for the error.
///
/// # Errors
/// It has a part `..`, a zero byte, or more than 4096 bytes (`bad-path`).
pub fn check_path(path: &[u8], at: u64) -> Result<String, Error> {
    let why = match path {
        _ if path.split(|&byte| byte == b'/').any(|part| part == b"..") => "leads out of the root with '..'",
        _ if path.contains(&0) => "has a zero byte",
        _ if path.len() > MAX_PATH => "is too long",
        _ => return Ok(to_text(path)),
    };
    let shown: String = to_text(path).escape_default().take(200).collect();
    Err(invalid("bad-path", format!("the path '{shown}' at byte {at} {why}")))
}

/// The bytes of a path that came as text.
pub fn from_text(text: &str) -> Vec<u8> {
    let mut path = Vec::with_capacity(text.len());
    for char in text.chars() {
        match escaped(char) {
            Some(byte) => path.push(byte),
            None => path.extend(char.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    path
}

fn escape(byte: u8) -> Option<char> {
    char::from_u32(0xF700 + u32::from(byte))
}

/// The byte that a character stands for, if it does. Below 0x80 every byte is UTF-8.
fn escaped(char: char) -> Option<u8> {
    let byte = u32::from(char).checked_sub(0xF700)?;
    u8::try_from(byte).ok().filter(|byte| *byte >= 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive_as_text() {
        let all: Vec<u8> = (0..=255).collect();
        for path in [&b"usr/bin"[..], b"caf\xc3\xa9", b"caf\xe9", "a\u{f7e9}b".as_bytes(), &all] {
            assert_eq!(from_text(&to_text(path)), path);
        }
        assert_eq!(to_text(b"caf\xe9"), "caf\u{f7e9}");
        assert_eq!(to_text(b"caf\xc3\xa9"), "café");
    }

    #[test]
    fn paths_stay_inside() {
        for path in [&b"usr/bin"[..], b"/etc", b"./a", b"", b"a..b/...", b"caf\xe9"] {
            assert_eq!(check_path(path, 0).ok(), Some(to_text(path)));
        }
        for path in [&b".."[..], b"../x", b"a/../../x", b"/..", b"a/..", b"a\0b", &[b'a'; 4097]] {
            assert!(check_path(path, 7).is_err_and(|error| format!("{error:?}").contains("at byte 7")));
        }
    }
}
