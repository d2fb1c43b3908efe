//! What layers make together, found through their indexes.

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use nacre_layer::{Bytes, Entry, Kind, Piece};
use nacre_oci::{Digest, Error, Result};

use super::{
    FileTree, Item, Names,
    digests::{self, Remembered, Sum},
    fail,
    format::{Index, Record},
    indexing,
    resolve::{folder_of, name_of},
    shown,
};

/// One layer of a tree.
#[derive(Clone)]
pub struct TreeLayer {
    /// The digest of the layer uncompressed.
    pub diff_id: Digest,
    /// Gives the uncompressed layer; called only when its index has to be made or its files are read.
    pub open: Arc<dyn Fn() -> Result<Bytes> + Send + Sync>,
}

/// The root filesystem that layers make together (image specification, `layer.md`, "Applying Changesets").
pub struct LayerTree {
    chain: Chain,
    contents: Vec<Contents>,
}

/// The indexes of layers, lowest first.
#[derive(Default)]
pub(super) struct Chain(Vec<Arc<Index>>);

struct Contents {
    layer: TreeLayer,
    bytes: Mutex<Option<Bytes>>,
    digests: PathBuf,
    remembered: OnceLock<Remembered>,
}

impl LayerTree {
    /// A tree of these layers, lowest first; of none, an empty one. The indexes lie in `cache`; one that is not there is made,
    /// for which its whole layer is read.
    ///
    /// # Errors
    /// If a layer has to be read and cannot be, it has another digest than it should, or its content is malformed.
    pub fn new(layers: Vec<TreeLayer>, cache: &Path) -> Result<Self> {
        let folder = cache.join("layers");
        let mut tree = Self { chain: Chain::default(), contents: Vec::new() };
        let mut id = String::new();
        for layer in layers {
            id = Digest::of(format!("{id} {}", layer.diff_id).as_bytes()).hex().to_owned();
            let digests = folder.join(format!("{}.digests", layer.diff_id.hex()));
            let contents = Contents { layer, bytes: Mutex::default(), digests, remembered: OnceLock::new() };
            let file = folder.join(&id);
            let index = match Index::load(&file) {
                Some(index) => index,
                None => {
                    let index = indexing::index(&contents.bytes()?, &contents.layer.diff_id, &tree.chain)?;
                    index.save(&file);
                    index
                }
            };
            tree.chain.0.push(Arc::new(index));
            tree.contents.push(contents);
        }
        Ok(tree)
    }

    fn file(&self, path: &[u8]) -> Result<Record> {
        match self.chain.record(path) {
            Some(record) if record.entry.kind == Kind::File => Ok(record),
            Some(_) => Err(fail(format!("{} is not a regular file", shown(path)))),
            None => Err(Error::not_found(shown(path))),
        }
    }

    fn digest(&self, path: &[u8]) -> Result<Sum> {
        let record = self.file(path)?;
        let remembered = self.contents(&record)?.remembered();
        let key = ([record.offset, record.entry.size], [0; 5]);
        if let Some(sum) = remembered.get(key.0, key.1) {
            return Ok(sum);
        }
        let sum = digests::sum(&mut self.bytes(path)?).map_err(Error::io(format!("read {}", shown(path))))?;
        remembered.set(key.0, key.1, sum);
        Ok(sum)
    }

    fn contents(&self, record: &Record) -> Result<&Contents> {
        // Only an index that somebody tampered with could say so.
        self.contents.get(usize::from(record.layer)).ok_or_else(|| fail("a layer's index is damaged; remove the cache folder"))
    }
}

impl Names for LayerTree {
    fn get(&self, path: &[u8]) -> Result<Option<Item>> {
        if path.is_empty() {
            return Ok(Some(Item::root()));
        }
        Ok(self.chain.record(path).map(|record| record.item()))
    }

    fn list(&self, folder: &[u8]) -> Result<Vec<Item>> {
        Ok(self.chain.list(folder).into_iter().map(|record| record.item()).collect())
    }
}

impl FileTree for LayerTree {
    fn open(&self, path: &[u8]) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.bytes(path)?))
    }

    fn bytes(&self, path: &[u8]) -> Result<Bytes> {
        let record = self.file(path)?;
        let piece = Piece::Plain { offset: record.offset, size: record.entry.size };
        let part = self.contents(&record)?.bytes()?.part(&[piece]);
        part.map_err(Error::io(format!("read {}", shown(path))))
    }

    fn digests(&self, paths: &[Vec<u8>]) -> Result<Vec<Sum>> {
        let sums = digests::each(paths, |path| self.digest(path));
        self.contents.iter().filter_map(|contents| contents.remembered.get()).for_each(Remembered::save);
        sums
    }
}

impl Contents {
    /// The uncompressed layer. Clones share what of it had to be decompressed.
    fn bytes(&self) -> Result<Bytes> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        match &*bytes {
            Some(bytes) => Ok(bytes.clone()),
            None => Ok(bytes.insert((self.layer.open)()?).clone()),
        }
    }

    fn remembered(&self) -> &Remembered {
        self.remembered.get_or_init(|| Remembered::load(self.digests.clone()))
    }
}

impl Chain {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What has this path; never a whiteout.
    pub(super) fn record(&self, path: &[u8]) -> Option<Record> {
        for index in self.0.iter().rev() {
            if let Some(record) = index.get(path) {
                return (record.entry.kind != Kind::Whiteout).then_some(record);
            }
            if hidden(index, path) {
                return None;
            }
        }
        None
    }

    /// What this folder holds, by name.
    fn list(&self, folder: &[u8]) -> Vec<Record> {
        let mut found: BTreeMap<Vec<u8>, Option<Record>> = BTreeMap::new();
        for index in self.0.iter().rev() {
            for record in index.list(folder) {
                let name = name_of(&record.entry.path).to_vec();
                found.entry(name).or_insert_with(|| (record.entry.kind != Kind::Whiteout).then_some(record));
            }
            if index.hides_below(folder) || hidden(index, folder) {
                break;
            }
        }
        found.into_values().flatten().collect()
    }
}

/// Whether a layer hides what those below have at this path, by what it has above it.
fn hidden(index: &Index, path: &[u8]) -> bool {
    let mut at = path;
    while !at.is_empty() {
        at = folder_of(at);
        if index.hides_below(at) {
            return true;
        }
    }
    false
}

impl Record {
    /// As an item of a tree.
    pub(super) fn item(self) -> Item {
        let size = if self.entry.kind == Kind::File { self.entry.size } else { 0 };
        Item { entry: Entry { size, ..self.entry }, inode: self.linked.then_some((u64::from(self.layer), self.offset)) }
    }
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
