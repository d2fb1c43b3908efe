//! What a layer in the making has, so that every entry lands where unpacking would put it.

use std::collections::BTreeMap;

use nacre_oci::{Error, Result};

use crate::{
    Entry, Kind, path,
    resolve::{self, Found},
    tar::WHITEOUT,
};

/// The most paths of one layer, and the most bytes of all of them.
const MAX_PATHS: usize = 2_000_000;
const MAX_BYTES: usize = 256 << 20;

/// The paths of a layer.
#[derive(Default)]
pub(crate) struct Names {
    nodes: BTreeMap<Vec<u8>, Node>,
    bytes: usize,
}

#[derive(Clone)]
enum Node {
    Directory,
    Symlink(Vec<u8>),
    Other,
}

impl Names {
    /// The entry as it is to be written, after the folders that it needs and that were not there.
    pub(crate) fn add(&mut self, entry: &Entry) -> Result<(Vec<Entry>, Entry)> {
        let mut entry = entry.clone();
        entry.path = path::tidy(&entry.path).map_err(|why| bad(&entry, why))?;
        if path::parts(&entry.path).any(|part| part.starts_with(WHITEOUT)) {
            return Err(bad(&entry, "names that begin with .wh. are for whiteouts alone"));
        }
        let placed = match entry.kind {
            Kind::Opaque => resolve::folder(&entry.path, |path| self.find(path)),
            _ => resolve::place(&entry.path, |path| self.find(path)),
        };
        entry.path = placed.map_err(|why| bad(&entry, why))?;
        if entry.path.is_empty() && !matches!(entry.kind, Kind::Directory | Kind::Opaque) {
            return Err(bad(&entry, "the root is a folder"));
        }
        let node = self.node(&mut entry)?;
        let parent = if entry.kind == Kind::Opaque { Some(&entry.path[..]) } else { path::split(&entry.path).map(|(parent, _)| parent) };
        let parents = self.parents(parent.unwrap_or_default());
        if let Some(node) = node {
            self.set(entry.path.clone(), node);
        }
        if self.nodes.len() > MAX_PATHS || self.bytes > MAX_BYTES {
            let limit = format!("{MAX_PATHS} paths and {} MiB of them", MAX_BYTES >> 20);
            return Err(Error::TooLarge { what: "the layer".into(), limit });
        }
        Ok((parents, entry))
    }

    fn find(&self, path: &[u8]) -> Found<'_> {
        match self.nodes.get(path) {
            None => Found::Nothing,
            Some(Node::Directory) => Found::Directory,
            Some(Node::Symlink(text)) => Found::Symlink(text),
            Some(Node::Other) => Found::Other,
        }
    }

    /// What the entry will be; whiteouts are nothing. A hard link's target is put where it really is.
    fn node(&self, entry: &mut Entry) -> Result<Option<Node>> {
        let link = entry.link.clone().unwrap_or_default();
        Ok(match entry.kind {
            Kind::Whiteout | Kind::Opaque => None,
            Kind::Directory => Some(Node::Directory),
            Kind::Symlink if link.len() > path::MAX => return Err(bad(entry, "its link is longer than 4096 bytes")),
            Kind::Symlink => Some(Node::Symlink(link)),
            Kind::Hardlink => {
                let target = path::tidy(&link).map_err(|why| bad(entry, format!("of its link, {why}")))?;
                let target = resolve::place(&target, |path| self.find(path)).map_err(|why| bad(entry, format!("of its link, {why}")))?;
                let node = match self.nodes.get(&target) {
                    Some(node @ (Node::Other | Node::Symlink(_))) if target != entry.path => node.clone(),
                    _ => {
                        return Err(bad(
                            entry,
                            format!("it is a hard link to {}, which is no earlier file of the layer", path::shown(&target)),
                        ));
                    }
                };
                entry.link = Some(target);
                Some(node)
            }
            _ => Some(Node::Other),
        })
    }

    /// The folder and those above it that are not there yet, outermost first; now they are.
    fn parents(&mut self, folder: &[u8]) -> Vec<Entry> {
        let mut missing = Vec::new();
        let mut at = folder;
        while !at.is_empty() && !self.nodes.contains_key(at) {
            missing.push(Entry::new(at, Kind::Directory));
            at = path::split(at).map_or(&b""[..], |(parent, _)| parent);
        }
        missing.reverse();
        for entry in &missing {
            self.set(entry.path.clone(), Node::Directory);
        }
        missing
    }

    /// What replaces a folder takes away all that the folder held.
    fn set(&mut self, path: Vec<u8>, node: Node) {
        let was = self.nodes.get(&path);
        if matches!(was, Some(Node::Directory)) && !matches!(node, Node::Directory) {
            for (gone, _) in self.nodes.extract_if(below(&path), |_, _| true) {
                self.bytes -= gone.len();
            }
        }
        let length = path.len();
        if self.nodes.insert(path, node).is_none() {
            self.bytes += length;
        }
    }
}

/// The paths below a folder that is not the root.
pub(crate) fn below(folder: &[u8]) -> std::ops::Range<Vec<u8>> {
    // '0' is what follows '/'.
    [folder, b"/"].concat()..[folder, b"0"].concat()
}

pub(crate) fn bad(entry: &Entry, why: impl ToString) -> Error {
    Error::malformed(format!("the entry '{}'", path::shown(&entry.path)), why)
}
