use std::{fs, path::Path};

use nacre_oci::{Descriptor, Memory, Options, RawManifest, Select, Silent, copy, media_type, read_document};
use nacre_store::{Acquired, Store};
use nacre_tests::images::{self, Recipe, layer};

pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) memory: Memory,
    _dir: tempfile::TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        Self::at(dir, &root)
    }

    /// At a root that is there.
    pub(crate) fn at(dir: tempfile::TempDir, root: &Path) -> Self {
        Self { store: Store::open(root).unwrap(), memory: Memory::new(), _dir: dir }
    }

    /// Another connection to the same root, as another process has it.
    pub(crate) fn other(&self) -> Store {
        Store::open(self.store.root()).unwrap()
    }

    /// An image with a layer of its own and one that all share, in memory only.
    pub(crate) fn image(&self, content: &str) -> Descriptor {
        let layers = vec![layer("etc/shared", b"by all of them"), layer("etc/own", content.as_bytes())];
        let mut made = images::image(&self.memory, &Recipe { layers, labels: &[("k", "v")], ..Recipe::default() });
        made.platform = None;
        made
    }

    pub(crate) fn raw(&self, root: &Descriptor) -> RawManifest {
        read_document(&self.memory, root).unwrap().0
    }

    /// Pulls from memory.
    pub(crate) fn pull(&self, root: &Descriptor, names: &[&str]) {
        self.get(root, names, Select::All, Acquired::Pulled);
    }

    pub(crate) fn get(&self, root: &Descriptor, names: &[&str], select: Select, acquired: Acquired) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let session = self.store.session(acquired).unwrap();
        let options = Options { select, parallel: 2, progress: &Silent };
        copy(&self.memory, &session, root, &names, &options).unwrap();
        if names.is_empty() {
            self.store.add_image(&self.raw(root), acquired).unwrap();
        }
    }

    pub(crate) fn pulled(&self, content: &str, names: &[&str]) -> Descriptor {
        let root = self.image(content);
        self.pull(&root, names);
        root
    }

    pub(crate) fn blobs(&self) -> u64 {
        let df = self.store.df().unwrap();
        df.blob_count
    }
}

pub(crate) fn layer_of(fixture: &Fixture, root: &Descriptor) -> Descriptor {
    let document = fixture.raw(root).document().unwrap();
    let children = document.children();
    let last = children.last().unwrap();
    assert_eq!(last.media_type, media_type::OCI_LAYER);
    (*last).clone()
}

/// The bytes of all files below.
pub(crate) fn bytes_below(path: &Path) -> u64 {
    let meta = fs::symlink_metadata(path).unwrap();
    if !meta.is_dir() {
        return meta.len();
    }
    fs::read_dir(path).unwrap().map(|entry| bytes_below(&entry.unwrap().path())).sum()
}

pub(crate) fn files_in(path: &Path) -> usize {
    fs::read_dir(path).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file()).count()
}
