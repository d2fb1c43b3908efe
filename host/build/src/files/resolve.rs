//! Following symbolic links inside a tree, never out of it.

use std::io::Read;

use nacre_layer::{
    Kind,
    path::{self, join, parts, split},
};
use nacre_oci::{Error, Result};

use super::{FileTree, Item, Names, fail, shown};

/// The most symbolic links in one path (BuildKit's limit).
const MAX_LINKS: usize = 255;

/// Where `path` leads when all of its symbolic links are followed, as after `chroot`: `..` at the root stays there. What is
/// not there, or no folder, counts as a folder; so the result need not be there either.
///
/// # Errors
/// If there are more than 255 links, the path grows beyond 4096 bytes, or the tree cannot be read.
pub fn resolve(tree: &(impl Names + ?Sized), path: &[u8]) -> Result<Vec<u8>> {
    resolve_by(&|path| tree.get(path), path)
}

/// As [`resolve`], for what is no whole tree.
pub(super) fn resolve_by(get: &dyn Fn(&[u8]) -> Result<Option<Item>>, path: &[u8]) -> Result<Vec<u8>> {
    let mut todo: Vec<Vec<u8>> = parts(path).rev().map(<[u8]>::to_vec).collect();
    let (mut at, mut links) = (Vec::new(), 0);
    while let Some(part) = todo.pop() {
        if part == b".." {
            at = folder_of(&at).to_vec();
            continue;
        }
        let next = join(&at, &part);
        if next.len() > path::MAX {
            return Err(fail(format!("{} is longer than {} bytes", shown(&next), path::MAX)));
        }
        match get(&next)? {
            Some(item) if item.entry.kind == Kind::Symlink => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(fail(format!("too many links: {}: too many symbolic links", shown(path))));
                }
                let text = item.entry.link.unwrap_or_default();
                if text.starts_with(b"/") {
                    at.clear();
                }
                todo.extend(parts(&text).rev().map(<[u8]>::to_vec));
            }
            _ => at = next,
        }
    }
    Ok(at)
}

/// As [`resolve`], but the path's own last part is not followed.
///
/// # Errors
/// As [`resolve`].
pub(super) fn place(tree: &(impl Names + ?Sized), path: &[u8]) -> Result<Vec<u8>> {
    let path = path::clamp(path).map_err(|why| Error::malformed(shown(path), why))?;
    match split(&path) {
        Some((folder, name)) => Ok(join(&resolve(tree, folder)?, name)),
        None => Ok(Vec::new()),
    }
}

/// The folder that a tidy path lies in; the root lies in itself.
pub(super) fn folder_of(path: &[u8]) -> &[u8] {
    split(path).map_or(b"", |(folder, _)| folder)
}

/// The last part of a tidy path.
pub(super) fn name_of(path: &[u8]) -> &[u8] {
    split(path).map_or(b"", |(_, name)| name)
}

/// A file's content, at most `max` bytes; `None` if there is no such file. Links are followed.
///
/// # Errors
/// If it is no file, has more bytes, or cannot be read.
pub fn read_small(tree: &dyn FileTree, path: &str, max: u64) -> Result<Option<Vec<u8>>> {
    let path = resolve(tree, path.as_bytes())?;
    let Some(item) = tree.get(&path)? else { return Ok(None) };
    if item.entry.kind != Kind::File {
        return Err(fail(format!("{} is not a regular file", shown(&path))));
    }
    let mut content = Vec::new();
    let reading = || Error::io(format!("read {}", shown(&path)));
    tree.open(&path)?.take(max + 1).read_to_end(&mut content).map_err(reading())?;
    if content.len() as u64 > max {
        return Err(Error::TooLarge { what: shown(&path), limit: format!("{max} bytes") });
    }
    Ok(Some(content))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::files::testing::tree;

    #[test]
    fn links_lead_where_chroot_would_take_them() {
        let tree = tree("usr/lib/x\nabs -> /usr/lib\nusr/rel -> ../etc\nout -> ../../../etc\ntwo -> abs/deep\ndangling -> no/where\nf");
        let cases = [
            ("abs/x", "usr/lib/x"),
            ("/usr/rel/x", "etc/x"),
            ("out/passwd", "etc/passwd"),
            ("two", "usr/lib/deep"),
            ("dangling", "no/where"),
            ("abs/../y", "usr/y"),
            ("../../f", "f"),
            ("none/../f", "f"),
            ("", ""),
        ];
        for (path, want) in cases {
            assert_eq!(String::from_utf8(resolve(&tree, path.as_bytes()).unwrap()).unwrap(), want, "{path}");
        }
        assert_eq!(place(&tree, b"/abs/../two").unwrap(), b"two");
        assert_eq!(resolve(&tree, b"f/x").unwrap(), b"f/x");
    }

    #[test]
    fn circles_end() {
        let tree = tree("a -> b\nb -> a");
        assert!(resolve(&tree, b"a/x").unwrap_err().to_string().contains("too many symbolic links"));
    }

    #[test]
    fn small_files_are_read_through_links_and_large_ones_refused() {
        let tree = tree("d/f 0644 0:0 hello\nl -> d/f");
        assert_eq!(read_small(&tree, "l", 5).unwrap().unwrap(), b"hello");
        assert!(read_small(&tree, "/d/f", 4).is_err() && read_small(&tree, "d", 4).is_err());
        assert_eq!(read_small(&tree, "d/none", 4).unwrap(), None);
    }
}
