//! How much of each image other images need as well.

use std::collections::HashMap;

use nacre_oci::{Digest, Result};

use crate::{
    Image, Store,
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
        let (all, graph) = self.meta.read(|db| Ok((images::all(db)?, edges::graph(db)?)))?;
        let present = self.layout.list_blobs()?;
        let mut users: HashMap<Digest, u32> = HashMap::new();
        for image in &all {
            for content in graph.reach([&image.id]) {
                *users.entry(content).or_default() += 1;
            }
        }
        let sizes = wanted.iter().map(|image| {
            let mut sizes = Sizes::default();
            for content in graph.reach([&image.id]) {
                let size = present.get(&content).copied().unwrap_or_default();
                let shared = users.get(&content).is_some_and(|count| *count > 1);
                *(if shared { &mut sizes.shared } else { &mut sizes.unique }) += size;
            }
            sizes
        });
        Ok(sizes.collect())
    }
}
