//! What one root filesystem has that another has not, as a layer.

use std::collections::{BTreeMap, HashMap};

use nacre_layer::{Compression, Entry, Kind, LayerWriter};
use nacre_oci::{Result as Data, Staging};
use nacre_plugin::graph::Diff;

use super::Job;
use crate::{
    Result, Snapshot,
    files::{FileTree, Item},
    key::KeyHasher,
};

impl Job<'_> {
    /// What `upper` has changed of `lower`: the layers that it has on top of it, or where it stands on something else one
    /// layer of all that differs.
    pub(super) fn diff(&self, diff: &Diff) -> Result<Snapshot> {
        let (lower, upper) = (self.root(diff.lower)?, self.root(diff.upper)?);
        let stands_on = upper.layers().len() >= lower.layers().len()
            && lower.layers().iter().zip(upper.layers()).all(|(one, other)| one.layer.diff_id == other.layer.diff_id);
        if stands_on {
            return Ok(Snapshot::default().with(upper.layers()[lower.layers().len()..].iter().cloned()));
        }
        let mut key = KeyHasher::new("diff");
        [&lower, &upper].into_iter().for_each(|root| key.bytes(root.chain().hex().as_bytes()));
        let added = self.cached(&key.finish(), None, || {
            let (lower, upper) = (self.solver.tree(self.id, &lower)?, self.solver.tree(self.id, &upper)?);
            let writer = LayerWriter::new(self.solver.session().stage()?, Compression::None);
            Ok(vec![write(&*lower, &*upper, writer)?.finish()?])
        })?;
        Ok(Snapshot::default().with(added))
    }
}

struct Walk<'a> {
    lower: &'a dyn FileTree,
    upper: &'a dyn FileTree,
    writer: LayerWriter,
    /// Folders on the way to where the walk is that are the same in both and not written yet.
    pending: Vec<Entry>,
    /// Where files with several names were written.
    links: HashMap<(u64, u64), Vec<u8>>,
}

/// Writes what `upper` has and `lower` has not, and whiteouts of what only `lower` has.
fn write(lower: &dyn FileTree, upper: &dyn FileTree, writer: LayerWriter) -> Data<LayerWriter> {
    let mut walk = Walk { lower, upper, writer, pending: Vec::new(), links: HashMap::new() };
    walk.folder(&[], true)?;
    Ok(walk.writer)
}

impl Walk<'_> {
    /// Compares what a folder of `upper` holds with the same folder of `lower`, if that `was` one.
    fn folder(&mut self, path: &[u8], was: bool) -> Data<()> {
        let mut both: BTreeMap<Vec<u8>, (Option<Item>, Option<Item>)> = BTreeMap::new();
        if was {
            for item in self.lower.list(path)? {
                let path = item.entry.path.clone();
                both.entry(path).or_default().0 = Some(item);
            }
        }
        for item in self.upper.list(path)? {
            let path = item.entry.path.clone();
            both.entry(path).or_default().1 = Some(item);
        }
        for (path, pair) in both {
            match pair {
                (Some(_), None) => self.add(&Entry::new(path, Kind::Whiteout))?,
                (old, Some(new)) => self.item(old, new)?,
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn item(&mut self, old: Option<Item>, new: Item) -> Data<()> {
        let same = match &old {
            Some(old) => old.entry == new.entry && self.same_content(&new)?,
            None => false,
        };
        if !new.is_folder() {
            return if same { Ok(()) } else { self.file(&new) };
        }
        let depth = self.pending.len();
        if same {
            self.pending.push(new.entry.clone())
        } else {
            self.add(&new.entry)?
        }
        self.folder(&new.entry.path, old.is_some_and(|old| old.is_folder()))?;
        self.pending.truncate(depth);
        Ok(())
    }

    fn same_content(&self, item: &Item) -> Data<bool> {
        if item.entry.kind != Kind::File || item.entry.size == 0 {
            return Ok(true);
        }
        let path = std::slice::from_ref(&item.entry.path);
        Ok(self.lower.digests(path)? == self.upper.digests(path)?)
    }

    fn file(&mut self, item: &Item) -> Data<()> {
        let entry = &item.entry;
        if let Some(first) = item.inode.and_then(|inode| self.links.get(&inode)) {
            let link = Entry { kind: Kind::Hardlink, link: Some(first.clone()), size: 0, ..entry.clone() };
            return self.add(&link);
        }
        if let Some(inode) = item.inode {
            self.links.insert(inode, entry.path.clone());
        }
        if entry.kind != Kind::File {
            return self.add(entry);
        }
        self.flush()?;
        let mut content = self.upper.open(&entry.path)?;
        self.writer.add(entry, &mut content)
    }

    fn add(&mut self, entry: &Entry) -> Data<()> {
        self.flush()?;
        self.writer.add(entry, &mut std::io::empty())
    }

    /// A layer names the folders on the way to what it changes as they are: who made them anew would not know.
    fn flush(&mut self) -> Data<()> {
        let pending = std::mem::take(&mut self.pending);
        pending.iter().try_for_each(|folder| self.writer.add(folder, &mut std::io::empty()))
    }
}
