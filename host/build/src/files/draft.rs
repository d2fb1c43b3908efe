//! A tree in the making: what actions have changed of a base, which itself stays as it is.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use nacre_layer::{Bytes, Entry, Kind, path::join};
use nacre_oci::Result;

use super::{
    FileTree, Item, Names,
    resolve::{folder_of, name_of},
};

/// A base and changes to it.
pub(super) struct Draft<'a> {
    base: Option<&'a dyn FileTree>,
    names: BTreeMap<Vec<u8>, Change>,
    files: Vec<Drafted>,
}

/// What has become of a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The base has it, and it is gone.
    Gone,
    /// It is this file; several names may be.
    File(usize),
}

/// A file, folder, link or device that is new, or not what it was.
pub(super) struct Drafted {
    /// Without its path.
    pub(super) entry: Entry,
    pub(super) content: Content,
    /// Of a folder: what the base has there. A folder that covers nothing is one of the base with changes.
    pub(super) covers: Covers,
    /// It has had more than one name.
    pub(super) linked: bool,
}

/// What of the base a folder hides.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Covers {
    /// It is the base's own folder.
    Own,
    /// The base has nothing there.
    Nothing,
    /// The base has a folder there, which is gone.
    Gone,
}

/// Where a file's bytes come from.
pub(super) enum Content {
    /// It is no file, or an empty one.
    Empty,
    /// A file of another tree.
    Tree(Arc<dyn FileTree>, Vec<u8>),
    /// Bytes at hand.
    Memory(Arc<[u8]>),
    /// A part of an archive.
    Part { archive: Bytes, offset: u64 },
    /// A file of the base.
    Base(Vec<u8>),
}

impl<'a> Draft<'a> {
    /// Nothing has changed yet.
    pub(super) fn new(base: Option<&'a dyn FileTree>) -> Self {
        Self { base, names: BTreeMap::new(), files: Vec::new() }
    }

    pub(super) fn base(&self) -> Option<&'a dyn FileTree> {
        self.base
    }

    /// All changes, sorted by path, so that every folder stands before what it holds.
    pub(super) fn changes(&self) -> impl Iterator<Item = (&[u8], Change)> {
        self.names.iter().map(|(path, change)| (path.as_slice(), *change))
    }

    pub(super) fn file(&self, index: usize) -> &Drafted {
        &self.files[index]
    }

    pub(super) fn file_mut(&mut self, index: usize) -> &mut Drafted {
        &mut self.files[index]
    }

    /// Puts something new at a path where nothing is.
    pub(super) fn put(&mut self, path: Vec<u8>, entry: Entry, content: Content) -> usize {
        let covers = if self.names.get(&path) == Some(&Change::Gone) { Covers::Gone } else { Covers::Nothing };
        self.files.push(Drafted { entry: Entry { path: Vec::new(), ..entry }, content, covers, linked: false });
        self.names.insert(path, Change::File(self.files.len() - 1));
        self.files.len() - 1
    }

    /// Gives a file one more name, where nothing is.
    pub(super) fn link(&mut self, path: Vec<u8>, file: usize) {
        self.files[file].linked = true;
        self.names.insert(path, Change::File(file));
    }

    /// What has this path, to be changed; of the base it becomes a part of the draft. `None` for nothing and for the root.
    pub(super) fn edit(&mut self, path: &[u8]) -> Result<Option<&mut Drafted>> {
        let Some(index) = self.adopt(path)? else { return Ok(None) };
        Ok(Some(&mut self.files[index]))
    }

    /// As [`Draft::edit`], for whoever wants to link it.
    pub(super) fn adopt(&mut self, path: &[u8]) -> Result<Option<usize>> {
        if let Some(Change::File(index)) = self.names.get(path) {
            return Ok(Some(*index));
        }
        let Some(item) = self.get(path)?.filter(|_| !path.is_empty()) else { return Ok(None) };
        let content = if item.entry.kind == Kind::File { Content::Base(path.to_vec()) } else { Content::Empty };
        self.files.push(Drafted { entry: Entry { path: Vec::new(), ..item.entry }, content, covers: Covers::Own, linked: false });
        self.names.insert(path.to_vec(), Change::File(self.files.len() - 1));
        Ok(Some(self.files.len() - 1))
    }

    /// Takes away what has this path, and all below it.
    pub(super) fn remove(&mut self, path: &[u8]) -> Result<()> {
        self.names.extract_if(below(path), |_, _| true).for_each(drop);
        self.names.remove(path);
        let base = self.base.filter(|_| !self.hides(path));
        if let Some(base) = base
            && base.get(path)?.is_some()
        {
            self.names.insert(path.to_vec(), Change::Gone);
        }
        Ok(())
    }

    /// Whether what the draft has above a path hides what the base has there.
    fn hides(&self, path: &[u8]) -> bool {
        let mut at = path;
        while !at.is_empty() {
            at = folder_of(at);
            match self.names.get(at) {
                Some(Change::Gone) => return true,
                Some(Change::File(index)) => return self.is_new(*index),
                None => {}
            }
        }
        false
    }

    /// Whether what lies below it in the base cannot be seen.
    fn is_new(&self, index: usize) -> bool {
        let file = &self.files[index];
        file.entry.kind != Kind::Directory || file.covers != Covers::Own
    }
}

impl Names for Draft<'_> {
    fn get(&self, path: &[u8]) -> Result<Option<Item>> {
        if path.is_empty() {
            return Ok(Some(Item::root()));
        }
        match self.names.get(path) {
            Some(Change::Gone) => Ok(None),
            Some(Change::File(index)) => {
                let entry = Entry { path: path.to_vec(), ..self.files[*index].entry.clone() };
                Ok(Some(Item { entry, inode: None }))
            }
            None if self.hides(path) => Ok(None),
            None => self.base.map_or(Ok(None), |base| base.get(path)),
        }
    }

    fn list(&self, folder: &[u8]) -> Result<Vec<Item>> {
        let hidden = match self.names.get(folder) {
            Some(Change::Gone) => true,
            Some(Change::File(index)) => self.is_new(*index),
            None => self.hides(folder),
        };
        let of_base = match self.base {
            Some(base) if !hidden => base.list(folder)?,
            _ => Vec::new(),
        };
        let mut names: BTreeMap<Vec<u8>, Option<Item>> = of_base.into_iter().map(|item| (item.entry.path.clone(), Some(item))).collect();
        for (path, _) in self.names.range(below(folder)).filter(|(path, _)| folder_of(path) == folder) {
            names.insert(join(folder, name_of(path)), self.get(path)?);
        }
        Ok(names.into_values().flatten().collect())
    }
}

/// The paths below a folder.
fn below(folder: &[u8]) -> Range<Vec<u8>> {
    // '0' is what follows '/'.
    if folder.is_empty() { vec![0]..vec![0xff; 1] } else { [folder, b"/"].concat()..[folder, b"0"].concat() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::files::testing::tree;

    fn list(draft: &Draft, folder: &str) -> String {
        let items = draft.list(folder.as_bytes()).unwrap();
        items.iter().map(|item| item.entry.name()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_removed_hides_the_base_and_what_is_put_shows() {
        let base = tree("a/b/c\na/d\ne");
        let mut draft = Draft::new(Some(&base));
        draft.put(b"a/n".into(), Entry::new([], Kind::File), Content::Empty);
        assert_eq!((list(&draft, ""), list(&draft, "a")), ("a e".into(), "a/b a/d a/n".into()));
        draft.remove(b"a").unwrap();
        assert!(draft.get(b"a/b/c").unwrap().is_none() && draft.get(b"a/n").unwrap().is_none());
        draft.put(b"a".into(), Entry::new([], Kind::Directory), Content::Empty);
        assert_eq!((list(&draft, ""), list(&draft, "a")), ("a e".into(), String::new()));
        assert!(draft.get(b"a/b").unwrap().is_none());
        draft.remove(b"a").unwrap();
        draft.remove(b"e").unwrap();
        draft.put(b"x".into(), Entry::new([], Kind::File), Content::Empty);
        draft.remove(b"x").unwrap();
        let left: Vec<_> = draft.changes().map(|(path, change)| (path.to_vec(), change == Change::Gone)).collect();
        assert_eq!(left, [(b"a".to_vec(), true), (b"e".to_vec(), true)]);
    }

    #[test]
    fn an_edited_folder_keeps_what_it_holds() {
        let base = tree("a/b/c");
        let mut draft = Draft::new(Some(&base));
        draft.edit(b"a").unwrap().unwrap().entry.mode = 0o700;
        assert_eq!(draft.get(b"a").unwrap().unwrap().entry.mode, 0o700);
        assert!(draft.get(b"a/b/c").unwrap().is_some() && draft.edit(b"none").unwrap().is_none());
        assert_eq!(list(&draft, "a"), "a/b");
    }
}
