//! The root filesystem that layers make together (image specification, `layer.md`, "Applying Changesets").

use std::{
    collections::{BTreeMap, HashSet},
    ops::Bound::{Excluded, Included, Unbounded},
};

use nacre_oci::{Error, Result};

use crate::{
    Entry, Kind, Member,
    layer::{bad, below},
    path,
    resolve::{self, Found, Lost},
};

/// The most entries of all layers together.
const MAX_ENTRIES: usize = 2_000_000;

/// One file of a root filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is. Of several names of one file the first, in the order of the paths, is the file and the others are
    /// hard links to it.
    pub entry: Entry,
    /// The index of the layer that has its content.
    pub layer: usize,
    /// Where its content begins in the uncompressed layer ...
    pub offset: u64,
    /// ... and how many bytes it has; of a hard link, those of its target.
    pub size: u64,
}

/// An image's root filesystem, without its content.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    /// Applies layers, base first, whose members were read by [`TarReader::as_layer`](crate::TarReader::as_layer).
    ///
    /// # Errors
    /// If a layer puts something below what is no folder, links to what is not there, or has symbolic links that go round in
    /// circles; if there are more than two million entries.
    pub fn new(layers: impl IntoIterator<Item = Vec<Member>>) -> Result<Self> {
        let mut applying = Applying::default();
        for (index, members) in layers.into_iter().enumerate() {
            applying.layer = index;
            applying.cleared.clear();
            members.into_iter().try_for_each(|member| applying.apply(member))?;
        }
        Ok(Self { nodes: applying.finish() })
    }

    /// Sorted by path, byte by byte, so that every folder stands before what it holds. The root itself is left out.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node with a tidy path.
    pub fn get(&self, path: &[u8]) -> Option<&Node> {
        let index = self.nodes.binary_search_by(|node| node.entry.path.as_slice().cmp(path)).ok()?;
        self.nodes.get(index)
    }
}

/// A tree in the making.
#[derive(Default)]
struct Applying {
    names: BTreeMap<Vec<u8>, Name>,
    /// What names stand for; several may stand for one.
    files: Vec<Node>,
    layer: usize,
    /// What this layer has cleared of lower layers.
    cleared: HashSet<(Kind, Vec<u8>)>,
}

/// A name, and which layer gave it.
struct Name {
    file: usize,
    layer: usize,
}

impl Applying {
    fn apply(&mut self, member: Member) -> Result<()> {
        let Member { mut entry, offset } = member;
        let placed = match entry.kind {
            Kind::Opaque => resolve::folder(&entry.path, |path| self.find(path)),
            _ => resolve::place(&entry.path, |path| self.find(path)),
        };
        let path = match placed {
            // Nothing can be there to be taken away.
            Err(Lost::Blocked(_)) if matches!(entry.kind, Kind::Whiteout | Kind::Opaque) => return Ok(()),
            placed => placed.map_err(|why| bad(&entry, why))?,
        };
        match entry.kind {
            Kind::Whiteout | Kind::Opaque => self.clear(entry.kind, path),
            // The root is there already.
            _ if path.is_empty() => {}
            Kind::Hardlink => {
                let file = self.target(&entry)?;
                self.set(path, file);
            }
            _ => {
                entry.path = Vec::new();
                let size = entry.size;
                self.files.push(Node { entry, layer: self.layer, offset, size });
                self.set(path, self.files.len() - 1);
            }
        }
        if self.files.len() > MAX_ENTRIES || self.names.len() > MAX_ENTRIES {
            return Err(Error::TooLarge { what: "the root filesystem".into(), limit: format!("{MAX_ENTRIES} entries") });
        }
        Ok(())
    }

    fn find(&self, path: &[u8]) -> Found<'_> {
        let Some(name) = self.names.get(path) else { return Found::Nothing };
        let entry = &self.files[name.file].entry;
        match entry.kind {
            Kind::Directory => Found::Directory,
            Kind::Symlink => Found::Symlink(entry.link.as_deref().unwrap_or_default()),
            _ => Found::Other,
        }
    }

    fn is_folder(&self, file: usize) -> bool {
        self.files[file].entry.kind == Kind::Directory
    }

    /// What a hard link is another name for.
    fn target(&self, entry: &Entry) -> Result<usize> {
        let link = entry.link.as_deref().unwrap_or_default();
        let target = resolve::place(link, |path| self.find(path)).map_err(|why| bad(entry, format!("of its link, {why}")))?;
        match self.names.get(&target) {
            Some(name) if !self.is_folder(name.file) => Ok(name.file),
            _ => Err(bad(entry, format!("it is a hard link to {}, which is no file", path::shown(&target)))),
        }
    }

    /// Gives something a name, and with it the folders that it needs. What replaces a folder takes away all that it held.
    fn set(&mut self, path: Vec<u8>, file: usize) {
        let folder = path::split(&path).map_or(&b""[..], |(parent, _)| parent);
        self.make(folder);
        let was_folder = self.names.get(&path).is_some_and(|name| self.is_folder(name.file));
        if was_folder && !self.is_folder(file) {
            self.names.extract_if(below(&path), |_, _| true).for_each(drop);
        }
        self.names.insert(path, Name { file, layer: self.layer });
    }

    /// Makes a folder that no layer describes, and those above it, if they are not there.
    fn make(&mut self, folder: &[u8]) {
        let mut at = folder;
        while !at.is_empty() && !self.names.contains_key(at) {
            self.files.push(Node { entry: Entry::new([], Kind::Directory), layer: self.layer, offset: 0, size: 0 });
            self.names.insert(at.to_vec(), Name { file: self.files.len() - 1, layer: self.layer });
            at = path::split(at).map_or(&b""[..], |(parent, _)| parent);
        }
    }

    /// Takes away what lower layers put at or below `path`; what this layer put there stays, in whatever order it came.
    fn clear(&mut self, kind: Kind, path: Vec<u8>) {
        if !self.cleared.insert((kind, path.clone())) {
            return;
        }
        let lower = |name: &mut Name| name.layer < self.layer;
        if path.is_empty() {
            self.names.retain(|_, name| !lower(name));
        } else {
            self.names.extract_if(below(&path), |_, name| lower(name)).for_each(drop);
            if kind == Kind::Whiteout && self.names.get_mut(&path).is_some_and(lower) {
                self.names.remove(&path);
            }
        }
        self.mend(&path);
    }

    /// Makes the folders that what is left below `path` needs.
    fn mend(&mut self, path: &[u8]) {
        let range = if path.is_empty() { (Unbounded, Unbounded) } else { (Included(below(path).start), Excluded(below(path).end)) };
        let parents = self.names.range(range).filter_map(|(held, _)| path::split(held)).map(|(parent, _)| parent);
        let missing: Vec<Vec<u8>> = parents.filter(|parent| !self.names.contains_key(*parent)).map(<[u8]>::to_vec).collect();
        missing.iter().for_each(|folder| self.make(folder));
    }

    fn finish(self) -> Vec<Node> {
        let mut nodes: Vec<Node> = Vec::with_capacity(self.names.len());
        let mut files: Vec<Option<Node>> = self.files.into_iter().map(Some).collect();
        let mut first = vec![usize::MAX; files.len()];
        for (path, name) in self.names {
            let node = match files[name.file].take() {
                Some(file) => {
                    first[name.file] = nodes.len();
                    Node { entry: Entry { path, ..file.entry }, ..file }
                }
                None => {
                    let file = &nodes[first[name.file]];
                    let entry = Entry {
                        path,
                        kind: Kind::Hardlink,
                        size: 0,
                        link: Some(file.entry.path.clone()),
                        device: None,
                        ..file.entry.clone()
                    };
                    Node { entry, ..*file }
                }
            };
            nodes.push(node);
        }
        nodes
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
