//! Everything that is known of all images, read once: for whoever looks at very many of them.

use std::{collections::HashSet, panic::resume_unwind, thread};

use nacre_oci::{Digest, Result};
use rusqlite::Connection;

use crate::{
    Decision, Image, Plan, Store,
    contents::Contents,
    ingest, lease,
    meta::{Meta, cache, images},
    now, prune,
    usage::Usage,
};

/// The store's images, content and users, as they were at one moment.
pub struct Survey {
    pub(crate) images: Vec<Image>,
    /// The images' numbers in `contents`.
    pub(crate) numbers: Vec<usize>,
    pub(crate) contents: Contents,
    pub(crate) usage: Usage,
    /// What the build cache has.
    pub(crate) cached: HashSet<Digest>,
    /// The bytes of abandoned downloads.
    pub(crate) abandoned: u64,
}

/// The bytes of an image that are present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// What other images of the store need as well.
    pub shared: u64,
    /// What deleting the image alone would free.
    pub unique: u64,
}

impl Store {
    /// Reads everything that is known of all images.
    ///
    /// # Errors
    /// If the metadata, the leases or the blobs' folder cannot be read.
    pub fn survey(&self) -> Result<Survey> {
        let leased = lease::living(&self.layout)?;
        // Of two moments, a little apart: nothing is removed by what this says without another look.
        let contents = || Meta::open(&self.layout)?.read(|db| Contents::read(db, &self.layout));
        let rest = |db: &Connection| {
            let usage = Usage::read(&self.layout, db, leased)?;
            Ok((images::all(db)?, cache::blobs(db)?, usage))
        };
        let (rest, contents) = thread::scope(|scope| {
            let contents = scope.spawn(contents);
            (self.meta.read(rest), contents.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        let ((images, cached, usage), mut contents) = (rest?, contents?);
        let numbers = images.iter().map(|image| contents.number_of_image(&image.id)).collect();
        let abandoned = ingest::abandoned_bytes(&self.layout)?;
        Ok(Survey { images, numbers, contents, usage, cached, abandoned })
    }
}

impl Survey {
    /// All images, by digest.
    pub fn images(&self) -> &[Image] {
        &self.images
    }

    /// Whether a running command or a container uses the image.
    pub fn is_in_use(&self, image: &Digest) -> bool {
        self.usage.of(image).is_some()
    }

    /// The sizes of all images, in their order.
    pub fn sizes(&self) -> Vec<Sizes> {
        let mut users = vec![0_u32; self.contents.len()];
        let mut walks = self.contents.walks();
        for image in &self.numbers {
            walks.walk(*image, |content, _| users[content] += 1);
        }
        let sizes = self.numbers.iter().map(|image| {
            let mut sizes = Sizes::default();
            walks.walk(*image, |content, bytes| {
                let part = if users[content] > 1 { &mut sizes.shared } else { &mut sizes.unique };
                *part = part.saturating_add(bytes);
            });
            sizes
        });
        sizes.collect()
    }

    /// What carrying out the decisions would do. Images that are pinned or in use stay, and the plan says so.
    pub fn plan(&self, decisions: &[Decision]) -> Plan {
        prune::plan(self, decisions, now())
    }
}
