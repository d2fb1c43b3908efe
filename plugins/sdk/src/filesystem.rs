//! File systems in files, such as squashfs and ext4 images: what their parsers have in common.
//!
//! A parser says what a node is and what a folder lists; [`walk`] goes through the tree and holds
//! the line against images that lie: loops, names that lead elsewhere, floods, impossible sizes.

use std::collections::{BTreeMap, BTreeSet};

use crate::bytes::{Piece, Range, Source};
use crate::entries::to_text;
use crate::files::{Content, Entry, Kind, Layer};
use crate::{Error, invalid};

/// The most names that one image may have.
const MAX_NAMES: usize = 2_000_000;
/// The longest path and the longest symlink: Linux's `PATH_MAX`.
const MAX_PATH: usize = 4096;
/// How many times its own size an image's files may have: no compression gets beyond 1:1032 often.
const MAX_RATIO: u64 = 1000;
/// What an image's files may have in any case.
const ALWAYS_ALLOWED: u64 = 1 << 30;

/// The parser of one file system.
pub trait FileSystem {
    /// The root folder.
    fn root(&self) -> u64;

    /// What a node is. `None` if an image cannot hold it: a socket.
    ///
    /// # Errors
    /// The image is damaged there, or what it holds there is not supported.
    fn node(&mut self, id: u64) -> Result<Option<Node>, Error>;

    /// The names in a folder and their nodes, without `.` and `..`; at most `max`.
    ///
    /// # Errors
    /// The image is damaged there, or there are more.
    fn list(&mut self, folder: u64, max: usize) -> Result<Vec<Name>, Error>;
}

/// One name in a folder, and the node that it stands for.
pub type Name = (Vec<u8>, u64);

/// What a name stands for.
pub struct Node {
    /// Everything but its path.
    pub entry: Entry,
    /// How many names it has: from two on [`walk`] looks for the others.
    pub links: u32,
    /// Where a file's content lies in the image.
    pub content: Vec<Piece>,
}

/// Where the files of an image go: a layer, or a test's memory.
pub trait Files {
    /// Adds an entry, and of a file its content, put together of these pieces of the image.
    ///
    /// # Errors
    /// The pieces do not lie in the image, or it cannot be added.
    fn add(&mut self, entry: Entry, content: &[Piece]) -> Result<(), Error>;
}

/// Files that go from an image right into a layer: none of their bytes crosses.
pub struct IntoLayer<'a> {
    /// The image.
    pub source: &'a Source,
    /// The layer.
    pub layer: &'a Layer,
}

impl Files for IntoLayer<'_> {
    fn add(&mut self, entry: Entry, content: &[Piece]) -> Result<(), Error> {
        match content {
            [] => self.layer.add(&entry, &Content::None),
            pieces => self.layer.add(&entry, &Content::Source(&self.source.part(pieces)?)),
        }
    }
}

/// Adds a piece to content, as a longer one if it goes on where the last one ends.
pub fn push_piece(content: &mut Vec<Piece>, piece: Piece) {
    match (content.last_mut(), piece) {
        (_, Piece::Zeros(0) | Piece::Plain(Range { size: 0, .. })) => {}
        (Some(Piece::Zeros(size)), Piece::Zeros(more)) => *size = size.saturating_add(more),
        (Some(Piece::Plain(last)), Piece::Plain(next)) if last.offset.checked_add(last.size) == Some(next.offset) => {
            last.size = last.size.saturating_add(next.size);
        }
        _ => content.push(piece),
    }
}

/// Adds everything that a file system of `size` bytes holds to `files`, folders before what they
/// hold and names in order. Of several names of one file all but the first become hardlinks.
///
/// # Errors
/// The image is damaged, or holds more than an image of its size can. The message says where.
pub fn walk(fs: &mut impl FileSystem, size: u64, files: &mut impl Files) -> Result<(), Error> {
    let mut walk = Walk { fs, files, names: 1, budget: allowed(size), folders: BTreeSet::new(), linked: BTreeMap::new() };
    let mut todo = vec![(String::new(), walk.fs.root())];
    while let Some((path, id)) = todo.pop() {
        let children = walk.visit(&path, id).map_err(|error| at(&path, error))?;
        todo.extend(children.into_iter().rev());
    }
    Ok(())
}

struct Walk<'a, S, F> {
    fs: &'a mut S,
    files: &'a mut F,
    names: usize,
    budget: u64,
    folders: BTreeSet<u64>,
    linked: BTreeMap<u64, String>,
}

impl<S: FileSystem, F: Files> Walk<'_, S, F> {
    /// Adds one entry. Returns what it holds, if it is a folder.
    fn visit(&mut self, path: &str, id: u64) -> Result<Vec<(String, u64)>, Error> {
        let Some(mut node) = self.fs.node(id)? else { return Ok(Vec::new()) };
        node.entry.path = path.to_owned();
        if node.entry.kind == Kind::Directory {
            self.files.add(node.entry, &[])?;
            return self.children(path, id);
        }
        if path.is_empty() {
            return Err(invalid("bad-root", "the root is no folder"));
        }
        if node.entry.link.as_ref().is_some_and(|target| target.is_empty() || target.len() > MAX_PATH || target.contains('\0')) {
            return Err(invalid("bad-symlink", "a symlink with an impossible target"));
        }
        if node.links > 1 {
            if let Some(first) = self.linked.get(&id) {
                let link = Some(first.clone());
                let entry = Entry { kind: Kind::Hardlink, size: 0, link, device: None, xattrs: Vec::new(), ..node.entry };
                self.files.add(entry, &[])?;
                return Ok(Vec::new());
            }
            self.linked.insert(id, path.to_owned());
        }
        self.spend(node.entry.size)?;
        self.files.add(node.entry, &node.content)?;
        Ok(Vec::new())
    }

    fn children(&mut self, path: &str, id: u64) -> Result<Vec<(String, u64)>, Error> {
        if !self.folders.insert(id) {
            return Err(invalid("loop", "a folder that is also somewhere else: folders form a loop"));
        }
        let left = MAX_NAMES.saturating_sub(self.names);
        let mut names = self.fs.list(id, left)?;
        self.names += names.len();
        names.sort_unstable();
        let mut before: &[u8] = b"";
        for (name, _) in &names {
            check_name(name, before)?;
            before = name;
        }
        let join = |(name, id): Name| {
            let name = to_text(&name);
            let path = if path.is_empty() { name } else { format!("{path}/{name}") };
            if path.len() > MAX_PATH {
                return Err(invalid("long-path", format!("a path of more than {MAX_PATH} bytes")));
            }
            Ok((path, id))
        };
        names.into_iter().map(join).collect()
    }

    fn spend(&mut self, size: u64) -> Result<(), Error> {
        let left = self.budget.checked_sub(size);
        self.budget = left.ok_or_else(too_large)?;
        Ok(())
    }
}

fn check_name(name: &[u8], before: &[u8]) -> Result<(), Error> {
    let shown = || to_text(name).escape_default().to_string();
    if name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') || name.contains(&0) {
        return Err(invalid("bad-name", format!("the name '{}' in a folder", shown())));
    }
    if name == before {
        return Err(invalid("twice", format!("the name '{}' twice in a folder", shown())));
    }
    Ok(())
}

/// What the files of an image of `size` bytes may have together.
fn allowed(size: u64) -> u64 {
    size.saturating_mul(MAX_RATIO).max(ALWAYS_ALLOWED)
}

/// Checks the size of one file, before a parser looks for its blocks; [`walk`] checks that of all.
///
/// # Errors
/// An image of `image` bytes cannot hold it.
pub fn check_size(file: u64, image: u64) -> Result<(), Error> {
    if file > allowed(image) { Err(too_large()) } else { Ok(()) }
}

fn too_large() -> Error {
    Error::Limit("its files are larger than an image of this size can hold".to_owned())
}

/// Too many names in a folder: for [`FileSystem::list`].
pub fn too_many_names() -> Error {
    Error::Limit(format!("it holds more than {MAX_NAMES} files"))
}

/// Says which file an error is about.
fn at(path: &str, error: Error) -> Error {
    let add = |message: String| format!("{message} (at /{path})");
    match error {
        Error::Invalid(mut list) => {
            list.iter_mut().for_each(|item| item.message = add(std::mem::take(&mut item.message)));
            Error::Invalid(list)
        }
        Error::Unsupported(message) => Error::Unsupported(add(message)),
        Error::Limit(message) => Error::Limit(add(message)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::entries::entry;

    type Folders<'a> = &'a [(u64, &'a [(&'static [u8], u64)])];
    type Listed = Vec<(String, Kind, Option<String>)>;

    /// Folders as lists; what is not listed is a file of so many bytes with as many names.
    struct Fake(BTreeMap<u64, Vec<(&'static [u8], u64)>>, u64, u32);

    impl FileSystem for Fake {
        fn root(&self) -> u64 {
            2
        }
        fn node(&mut self, id: u64) -> Result<Option<Node>, Error> {
            let kind = if self.0.contains_key(&id) { Kind::Directory } else { Kind::File };
            let size = if kind == Kind::File { self.1 } else { 0 };
            Ok(Some(Node { entry: Entry { size, ..entry("", kind, 0o644) }, links: self.2, content: vec![Piece::Zeros(size)] }))
        }
        fn list(&mut self, folder: u64, _: usize) -> Result<Vec<Name>, Error> {
            Ok(self.0[&folder].iter().map(|(name, id)| (name.to_vec(), *id)).collect())
        }
    }

    struct Found(Listed);

    impl Files for Found {
        fn add(&mut self, entry: Entry, _: &[Piece]) -> Result<(), Error> {
            self.0.push((entry.path, entry.kind, entry.link));
            Ok(())
        }
    }

    fn found(folders: Folders, size: u64) -> Result<Listed, Error> {
        let mut found = Found(Vec::new());
        let folders = folders.iter().map(|(id, names)| (*id, names.to_vec())).collect();
        walk(&mut Fake(folders, size, 2), 1 << 20, &mut found).map(|()| found.0)
    }

    fn message(folders: Folders, size: u64) -> String {
        format!("{:?}", found(folders, size).unwrap_err())
    }

    #[test]
    fn folders_come_first_and_further_names_are_links() {
        let folders: Folders = &[(2, &[(b"z", 7), (b"b", 3), (b"a\xff", 9)]), (3, &[(b"y", 7)])];
        let link = Some("b/y".to_owned());
        let expected = [
            (String::new(), Kind::Directory, None),
            ("a\u{f7ff}".to_owned(), Kind::File, None),
            ("b".to_owned(), Kind::Directory, None),
            ("b/y".to_owned(), Kind::File, None),
            ("z".to_owned(), Kind::Hardlink, link),
        ];
        assert_eq!(found(folders, 1).unwrap(), expected);
    }

    #[test]
    fn trees_that_lie_are_refused() {
        assert!(message(&[(2, &[(b"a", 3)]), (3, &[(b"b", 2)])], 0).contains("loop (at /a/b)"));
        for name in [&b".."[..], b".", b"", b"a/b", b"a\0"] {
            assert!(message(&[(2, &[(name, 3)])], 0).contains("bad-name"), "{name:?}");
        }
        assert!(message(&[(2, &[(b"a", 3), (b"a", 4)])], 0).contains("twice"));
        assert!(message(&[], 0).contains("the root is no folder"));
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        assert!(found(&[(2, &[(b"a", 3), (b"b", 4)])], 400 << 20).is_ok());
        assert!(message(&[(2, &[(b"a", 3), (b"b", 4)])], 600 << 20).contains("larger than"));
        assert!(message(&[(2, &[(b"a", 3)])], u64::MAX).contains("larger than"));
    }

    #[test]
    fn pieces_grow_together() {
        let plain = |offset, size| Piece::Plain(Range { offset, size });
        let mut content = Vec::new();
        for piece in [plain(0, 4), plain(4, 4), plain(9, 1), Piece::Zeros(0), plain(10, 0), Piece::Zeros(3), Piece::Zeros(4)] {
            push_piece(&mut content, piece);
        }
        assert!(matches!(
            content[..],
            [Piece::Plain(Range { offset: 0, size: 8 }), Piece::Plain(Range { offset: 9, size: 1 }), Piece::Zeros(7)]
        ));
    }
}
