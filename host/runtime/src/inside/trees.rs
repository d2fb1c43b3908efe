//! Unpacked layers, shared by all runs.
//!
//! A tree belongs to a chain of layers (image specification, `config.md`, "Layer ChainID"), not to the last of them:
//! hard links into lower layers and the folders on the way to a file depend on what lies below.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fs::{self, File},
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use nacre_layer::{Codec, Form, Unpacking, unpack};
use nacre_oci::{Algorithm, Digest, Error, Hasher, Result};

use crate::{
    inside::folder::{Folder, Place},
    request::TreeLayer,
};

/// The most layers below one mount: the kernel's limit is 500, and a page of options. What lies below the last multiple
/// of this is then one whole tree.
const MAX_LOWERS: usize = 256;

/// The trees that one run uses.
pub(crate) struct Trees<'a> {
    place: &'a Place,
    folder: &'a Folder,
    /// The short names in the run's folder of trees in use.
    names: RefCell<HashMap<String, String>>,
    made: Cell<usize>,
}

impl<'a> Trees<'a> {
    pub(crate) fn new(place: &'a Place, folder: &'a Folder) -> Self {
        Self { place, folder, names: RefCell::default(), made: Cell::new(0) }
    }

    /// One folder per layer, topmost first, each as its name in the run's folder.
    pub(crate) fn lowers(&self, layers: &[TreeLayer]) -> Result<Vec<PathBuf>> {
        let chains = chains(layers);
        let whole = if layers.len() > MAX_LOWERS { layers.len() / MAX_LOWERS * MAX_LOWERS } else { 0 };
        let mut lowers = Vec::new();
        if whole > 0 {
            lowers.push(self.whole(&layers[..whole])?);
        }
        let names = self.hold(chains[whole..].iter().map(|chain| chain.hex().to_owned()))?;
        for (layer, name) in layers[whole..].iter().zip(names) {
            self.make(&name, |path| {
                self.unpack(layer, path, &Form::Overlay { lowers: &borrowed(&lowers), attributes: self.place.attributes() })
            })?;
            lowers.insert(0, self.folder.join(name));
        }
        if lowers.is_empty() {
            lowers.push(self.empty()?);
        }
        Ok(lowers)
    }

    /// One folder with all of the layers applied.
    pub(crate) fn whole(&self, layers: &[TreeLayer]) -> Result<PathBuf> {
        let Some(chain) = chains(layers).pop() else { return self.empty() };
        let name = self.hold([whole_name(&chain)])?.remove(0);
        self.make(&name, |path| layers.iter().try_for_each(|layer| self.unpack(layer, path, &Form::InPlace)))?;
        Ok(self.folder.join(name))
    }

    /// Makes a folder that a run has written the tree of the layers and one more.
    pub(crate) fn adopt(&self, layers: &[TreeLayer], diff_id: &Digest, folder: &Path, whole: bool) -> Result<()> {
        let below = chains(layers).pop();
        let chain = chain(below.as_ref(), diff_id);
        let name = if whole { whole_name(&chain) } else { chain.hex().to_owned() };
        let name = self.hold([name])?.remove(0);
        self.make(&name, |path| {
            fs::remove_dir(path).and_then(|()| fs::rename(folder, path)).map_err(Error::io("keep what the program has written"))
        })
    }

    /// A folder without anything in it.
    pub(crate) fn empty(&self) -> Result<PathBuf> {
        let path = self.folder.join("empty");
        if path.is_dir() { Ok(path) } else { self.folder.make("empty") }
    }

    /// From now on these trees, whether they are there or not, are in use.
    fn hold(&self, trees: impl IntoIterator<Item = String>) -> Result<Vec<String>> {
        let lock = self.place.lock()?;
        lock.lock_shared().map_err(Error::io("lock the trees"))?;
        let mut names = self.names.borrow_mut();
        let mut held = Vec::new();
        for tree in trees {
            let new = names.len().to_string();
            if !names.contains_key(&tree) {
                self.folder.link(&new, &Path::new("../../layers").join(&self.place.boot).join(&tree))?;
            }
            held.push(names.entry(tree).or_insert(new).clone());
        }
        Ok(held)
    }

    /// Makes the tree that a name stands for, if nobody has yet. Who finds it being made waits.
    fn make(&self, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let link = self.folder.join(name);
        let target = self.folder.join(fs::read_link(&link).map_err(Error::io("find a tree"))?);
        if target.is_dir() {
            return Ok(());
        }
        let tree = target.file_name().expect("every tree has a name");
        let making = self.place.path.join("making").join(tree);
        let lock = File::create(&making).map_err(Error::io(format!("make {}", making.display())))?;
        lock.lock().map_err(Error::io(format!("lock {}", making.display())))?;
        if !target.is_dir() {
            self.made.set(self.made.get() + 1);
            let path = self.folder.make(&format!("new{}", self.made.get()))?;
            fill(&path)?;
            fs::rename(&path, &target).map_err(Error::io(format!("keep {}", target.display())))?;
        }
        // Whoever still waits for this very file finds the tree.
        let _ = fs::remove_file(&making);
        Ok(())
    }

    fn unpack(&self, layer: &TreeLayer, path: &Path, form: &Form<'_>) -> Result<()> {
        let blob = layer.blob.display();
        let doing = || Error::io(format!("read the layer {blob}"));
        let mut file = File::open(&layer.blob).map_err(doing())?;
        let mut head = Vec::new();
        (&mut file).take(Codec::HEAD as u64).read_to_end(&mut head).map_err(doing())?;
        let stored = BufReader::with_capacity(256 << 10, head.as_slice().chain(&file));
        let plain: Box<dyn Read> = match Codec::detect(&head) {
            Some(codec) => codec.reader(stored).map_err(doing())?,
            None => Box::new(stored),
        };
        let mut hashed = Hashed { plain, hasher: Hasher::new(layer.diff_id.algorithm()) };
        unpack(&mut hashed, path, &Unpacking { form: *form, owners: self.place.owners, privileged: self.place.privileged })?;
        let actual = hashed.hasher.digest();
        if actual == layer.diff_id {
            return Ok(());
        }
        Err(Error::Mismatch { what: format!("the layer {blob}"), expected: layer.diff_id.to_string(), actual: actual.to_string() })
    }
}

/// Reads and hashes.
struct Hashed<'a> {
    plain: Box<dyn Read + 'a>,
    hasher: Hasher,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.plain.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

pub(crate) fn borrowed(paths: &[PathBuf]) -> Vec<&Path> {
    paths.iter().map(PathBuf::as_path).collect()
}

fn whole_name(chain: &Digest) -> String {
    format!("whole-{}", chain.hex())
}

fn chains(layers: &[TreeLayer]) -> Vec<Digest> {
    let mut chains: Vec<Digest> = Vec::new();
    for layer in layers {
        chains.push(chain(chains.last(), &layer.diff_id));
    }
    chains
}

fn chain(below: Option<&Digest>, diff_id: &Digest) -> Digest {
    let Some(below) = below else { return diff_id.clone() };
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(format!("{below} {diff_id}").as_bytes());
    hasher.digest()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_chain_is_named_by_all_of_its_layers() {
        let layer = |text: &[u8]| TreeLayer { diff_id: Digest::of(text), blob: PathBuf::new() };
        let chains = chains(&[layer(b"a"), layer(b"b"), layer(b"a")]);
        assert_eq!(chains[0], Digest::of(b"a"));
        assert_eq!(chains[1], Digest::of(format!("{} {}", Digest::of(b"a"), Digest::of(b"b")).as_bytes()));
        assert_ne!(chains[2], chains[0]);
    }
}
