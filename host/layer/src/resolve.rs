//! Following symbolic links inside a root, never out of it.

use std::fmt;

use crate::path::{self, join, parts, split};

/// The most symbolic links in one path (Linux' own limit).
const MAX_LINKS: usize = 40;

/// What has a path.
pub(crate) enum Found<'a> {
    Nothing,
    Directory,
    /// A symbolic link's text.
    Symlink(&'a [u8]),
    Other,
}

/// Why a path leads nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// More than 40 symbolic links.
    Circles,
    /// Something on the way is no folder.
    Blocked(Vec<u8>),
    Long,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Circles => f.write_str("its symbolic links go round in circles"),
            Self::Blocked(path) => write!(f, "{} on the way to it is no folder", path::shown(path)),
            Self::Long => f.write_str("its path grows beyond 4096 bytes by symbolic links"),
        }
    }
}

/// The folder that `path` names when its symbolic links are followed, as after `chroot`: `..` at the root stays there.
/// What is not there counts as a folder.
pub(crate) fn folder<'a>(path: &[u8], find: impl Fn(&[u8]) -> Found<'a>) -> Result<Vec<u8>, Lost> {
    let mut todo: Vec<Vec<u8>> = parts(path).rev().map(<[u8]>::to_vec).collect();
    let (mut at, mut links) = (Vec::new(), 0);
    while let Some(part) = todo.pop() {
        if part == b".." {
            at = split(&at).map_or_else(Vec::new, |(parent, _)| parent.to_vec());
            continue;
        }
        let next = join(&at, &part);
        if next.len() > path::MAX {
            return Err(Lost::Long);
        }
        match find(&next) {
            Found::Nothing | Found::Directory => at = next,
            Found::Other => return Err(Lost::Blocked(next)),
            Found::Symlink(text) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Lost::Circles);
                }
                if text.starts_with(b"/") {
                    at.clear();
                }
                todo.extend(parts(text).rev().map(<[u8]>::to_vec));
            }
        }
    }
    Ok(at)
}

/// `path` with the symbolic links in the folder that it lies in followed, but not its own.
pub(crate) fn place<'a>(path: &[u8], find: impl Fn(&[u8]) -> Found<'a>) -> Result<Vec<u8>, Lost> {
    let Some((parent, name)) = split(path) else { return Ok(Vec::new()) };
    Ok(join(&folder(parent, find)?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(path: &[u8]) -> Found<'static> {
        match path {
            b"abs" => Found::Symlink(b"/usr/lib"),
            b"usr/rel" => Found::Symlink(b"../etc"),
            b"out" => Found::Symlink(b"../../../../etc"),
            b"loop" => Found::Symlink(b"./loop"),
            b"two" => Found::Symlink(b"abs/deep"),
            b"file" => Found::Other,
            b"usr" => Found::Directory,
            _ => Found::Nothing,
        }
    }

    #[test]
    fn stays_inside() {
        let cases = [
            ("abs/x", "usr/lib/x"),
            ("usr/rel/x", "etc/x"),
            ("out/passwd", "etc/passwd"),
            ("two/x", "usr/lib/deep/x"),
            ("abs", "abs"),
            ("", ""),
        ];
        for (path, want) in cases {
            assert_eq!(place(path.as_bytes(), find), Ok(want.into()), "{path}");
        }
        assert_eq!(place(b"loop/x", find), Err(Lost::Circles));
        assert_eq!(place(b"file/x", find), Err(Lost::Blocked(b"file".to_vec())));
        assert_eq!(folder(b"abs", find), Ok(b"usr/lib".to_vec()));
    }
}
