//! How much of each image other images need as well.

use std::collections::{BTreeMap, HashMap};

use nacre_oci::{Digest, Result};

use crate::{
    Image, Store,
    mark::Graph,
    meta::{edges, images},
};

/// The bytes of an image that are present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// What other images of the store need as well.
    pub shared: u64,
    /// What deleting the image alone would free.
    pub unique: u64,
}

impl Store {
    /// The sizes of `wanted`, in their order, against all images of the store.
    ///
    /// # Errors
    /// If the metadata or the blobs' folder cannot be read.
    pub fn shared_sizes(&self, wanted: &[Image]) -> Result<Vec<Sizes>> {
        let (all, graph) = self.meta.read(|db| Ok((images::ids(db)?, edges::graph(db)?)))?;
        let present = self.layout.list_blobs()?;
        let mut contents = Numbered::default();
        contents.add(&graph, &present);
        let mut users = vec![0_u32; contents.len()];
        for image in &all {
            contents.walk(image, |content, _| users[content] += 1);
        }
        let sizes = wanted.iter().map(|image| {
            let mut sizes = Sizes::default();
            contents.walk(&image.id, |content, bytes| {
                *(if users[content] > 1 { &mut sizes.shared } else { &mut sizes.unique }) += bytes;
            });
            sizes
        });
        Ok(sizes.collect())
    }
}

/// Content by numbers: walks over very many images copy and compare no digests.
#[derive(Default)]
struct Numbered<'a> {
    numbers: HashMap<&'a Digest, usize>,
    children: Vec<Vec<usize>>,
    bytes: Vec<u64>,
    /// The last walk that came by.
    met: Vec<usize>,
    walks: usize,
}

impl<'a> Numbered<'a> {
    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn add(&mut self, graph: &'a Graph, present: &'a BTreeMap<Digest, u64>) {
        for (digest, bytes) in present {
            let number = self.number(digest);
            self.bytes[number] = *bytes;
        }
        for (parent, children) in graph.documents() {
            let children = children.iter().map(|child| self.number(&child.digest)).collect();
            let parent = self.number(parent);
            self.children[parent] = children;
        }
    }

    fn number(&mut self, digest: &'a Digest) -> usize {
        let next = self.bytes.len();
        let number = *self.numbers.entry(digest).or_insert(next);
        if number == next {
            self.bytes.push(0);
            self.children.push(Vec::new());
            self.met.push(0);
        }
        number
    }

    /// Shows each content at and below a document once, with its bytes.
    fn walk(&mut self, root: &Digest, mut visit: impl FnMut(usize, u64)) {
        self.walks += 1;
        let mut open: Vec<usize> = self.numbers.get(root).copied().into_iter().collect();
        while let Some(at) = open.pop() {
            if self.met[at] != self.walks {
                self.met[at] = self.walks;
                visit(at, self.bytes[at]);
                open.extend(&self.children[at]);
            }
        }
    }
}
