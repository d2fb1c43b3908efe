//! Paths inside archives and images: bytes without a leading slash, and their spelling as text.

use std::fmt;

/// The most bytes of a path or of a symbolic link's text (Linux' `PATH_MAX`).
pub const MAX: usize = 4096;

/// What escapes a byte that is not UTF-8 starts at (Python and the WIT files call for a private-use character).
const ESCAPE: u32 = 0xf700;

/// Why a path is none inside a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPath {
    /// It has a part `..`.
    Leaves,
    /// It has a NUL byte.
    Nul,
    /// It has more than [`MAX`] bytes.
    Long,
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leaves => "its path has '..', which may lead out of the root",
            Self::Nul => "its path has a NUL byte",
            Self::Long => "its path is longer than 4096 bytes",
        })
    }
}

impl std::error::Error for BadPath {}

/// The path relative to the root, without empty parts and `.`: the root itself is empty. An absolute path loses its
/// slash, as in Docker's import.
///
/// # Errors
/// If it has `..` or NUL, or is too long.
pub fn tidy(path: &[u8]) -> Result<Vec<u8>, BadPath> {
    if path.contains(&0) {
        return Err(BadPath::Nul);
    }
    let mut tidy = Vec::with_capacity(path.len());
    for part in parts(path) {
        if part == b".." {
            return Err(BadPath::Leaves);
        }
        if !tidy.is_empty() {
            tidy.push(b'/');
        }
        tidy.extend_from_slice(part);
    }
    if tidy.len() > MAX { Err(BadPath::Long) } else { Ok(tidy) }
}

/// As [`tidy`], but `..` goes up a folder and stays at the root, as after `chroot`.
///
/// # Errors
/// If it has NUL, or is too long.
pub fn clamp(path: &[u8]) -> Result<Vec<u8>, BadPath> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for part in parts(path) {
        if part == b".." {
            kept.pop();
        } else {
            kept.push(part);
        }
    }
    tidy(&kept.join(&b'/'))
}

/// The parts of a path that are neither empty nor `.`.
pub fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."))
}

/// The folder that a tidy path lies in, and its last part. The root has neither.
pub fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => Some((&path[..slash], &path[slash + 1..])),
        None if path.is_empty() => None,
        None => Some((b"", path)),
    }
}

/// A tidy path and one more part.
pub fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

/// A path as text: a byte that is not UTF-8 becomes the character U+F700 plus its value. [`from_text`] takes that back.
pub fn to_text(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for character in chunk.valid().chars() {
            if escaped(character).is_some() {
                // It looks like an escape already, so it is spelt byte by byte.
                text.extend(character.encode_utf8(&mut [0; 4]).bytes().map(escape));
            } else {
                text.push(character);
            }
        }
        text.extend(chunk.invalid().iter().copied().map(escape));
    }
    text
}

/// A path for messages, cut off if it is very long.
pub fn shown(path: &[u8]) -> String {
    const LONG: usize = 200;
    if path.len() > LONG { format!("{}…", to_text(&path[..LONG])) } else { to_text(path) }
}

/// The bytes of a path that [`to_text`] spelt.
pub fn from_text(text: &str) -> Vec<u8> {
    let mut path = Vec::with_capacity(text.len());
    for character in text.chars() {
        match escaped(character) {
            Some(byte) => path.push(byte),
            None => path.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    path
}

fn escape(byte: u8) -> char {
    char::from_u32(ESCAPE + u32::from(byte)).expect("U+F700 to U+F7FF are characters")
}

/// The byte that a character stands for. Only bytes from 0x80 on can be no UTF-8.
fn escaped(character: char) -> Option<u8> {
    let byte = u8::try_from(u32::from(character).checked_sub(ESCAPE)?).ok()?;
    (byte >= 0x80).then_some(byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tidies_or_refuses() {
        for (path, want) in
            [("usr/bin", "usr/bin"), ("/usr//bin/", "usr/bin"), ("./a/./b", "a/b"), ("", ""), ("/", ""), ("./", ""), ("..a/b..", "..a/b..")]
        {
            assert_eq!(tidy(path.as_bytes()), Ok(want.into()), "{path}");
        }
        for path in ["..", "../a", "a/..", "a/../b", "/.."] {
            assert_eq!(tidy(path.as_bytes()), Err(BadPath::Leaves), "{path}");
        }
        for (path, want) in [("../../up/x", "up/x"), ("a/../../b/", "b"), ("/..", ""), ("./a//b", "a/b")] {
            assert_eq!(clamp(path.as_bytes()), Ok(want.into()), "{path}");
        }
        assert_eq!(clamp(b"../a\0b"), Err(BadPath::Nul));
        assert_eq!(tidy(b"a\0b"), Err(BadPath::Nul));
        assert_eq!(tidy(&[b'a'; MAX + 1]), Err(BadPath::Long));
        assert_eq!((split(b""), split(b"a"), split(b"a/b/c")), (None, Some((&b""[..], &b"a"[..])), Some((&b"a/b"[..], &b"c"[..]))));
    }

    #[test]
    fn spells_what_is_no_utf8() {
        assert_eq!(to_text(b"caf\xe9"), "caf\u{f7e9}");
        assert_eq!(to_text("café".as_bytes()), "café");
        assert_eq!(from_text(&to_text("\u{f7e9}".as_bytes())), "\u{f7e9}".as_bytes());
    }

    proptest! {
        #[test]
        fn every_path_survives_as_text(path in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(from_text(&to_text(&path)), path);
        }

        #[test]
        fn every_character_survives(text in "[\u{f6f0}-\u{f810}a-z]{0,12}") {
            prop_assert_eq!(from_text(&to_text(text.as_bytes())), text.as_bytes());
        }
    }
}
