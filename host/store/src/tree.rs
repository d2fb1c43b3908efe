//! What an image is made of and what its config says, read from its documents once, when it is recorded.

use std::collections::{BTreeMap, BTreeSet};

use nacre_oci::{
    Descriptor, Digest, Document, Error, ImageConfig, MAX_CONFIG, Platform, RawManifest, Result, media_type, read_document, read_small,
};

use crate::{Store, meta::edges::Edge};

/// Indexes within indexes, and documents of one image, as in [`nacre_oci::plan`].
const MAX_DEPTH: usize = 8;
const MAX_DOCUMENTS: usize = 10_000;

/// What the metadata holds about an image.
#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) edges: Vec<Edge>,
    pub(crate) size: u64,
    pub(crate) platforms: Vec<(Platform, bool)>,
    pub(crate) created: Option<i64>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) subject: Option<Digest>,
    pub(crate) artifact_type: Option<String>,
    pub(crate) annotations: BTreeMap<String, String>,
    documents: BTreeSet<Digest>,
}

impl Facts {
    /// The manifests and indexes that are present.
    pub(crate) fn documents(&self) -> impl Iterator<Item = &Digest> {
        self.documents.iter()
    }
}

struct Walk<'a> {
    store: &'a Store,
    facts: Facts,
    counted: BTreeSet<Digest>,
    /// How well the config that `created` and `labels` are from fits this machine; less is better.
    rank: Option<usize>,
}

/// Reads the documents of an image. What is not present is left out, except that it is known to belong to it.
pub(crate) fn read(store: &Store, root: &RawManifest) -> Result<Facts> {
    let mut walk = Walk { store, facts: Facts::default(), counted: BTreeSet::new(), rank: None };
    let document = root.document()?;
    walk.count(&root.descriptor)?;
    walk.visit(&root.descriptor, &document, 0)?;
    walk.facts.subject = document.subject().map(|subject| subject.digest.clone());
    walk.facts.artifact_type = document.artifact_type().map(str::to_owned);
    walk.facts.annotations = document.annotations().clone();
    Ok(walk.facts)
}

impl Walk<'_> {
    /// Adds content to the size, once; says whether it is present.
    fn count(&mut self, content: &Descriptor) -> Result<bool> {
        let present = self.store.layout.has(content)?;
        if present && self.counted.insert(content.digest.clone()) {
            self.facts.size += content.size;
        }
        Ok(present)
    }

    fn visit(&mut self, at: &Descriptor, document: &Document, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH || self.facts.documents.len() > MAX_DOCUMENTS {
            let limit = format!("{MAX_DEPTH} levels or {MAX_DOCUMENTS} documents");
            return Err(Error::TooLarge { what: format!("the image index at {}", at.digest), limit });
        }
        if !self.facts.documents.insert(at.digest.clone()) {
            return Ok(());
        }
        let mut whole = true;
        for child in document.children() {
            self.facts.edges.push(Edge { parent: at.digest.clone(), child: child.clone() });
            let present = self.count(child)?;
            whole &= present;
            if child.is_document() {
                self.visit_child(child, present, depth)?;
            }
        }
        if let Document::Manifest(manifest) = document
            && !at.is_attestation()
        {
            self.describe(at, &manifest.config, whole)?;
        }
        Ok(())
    }

    fn visit_child(&mut self, child: &Descriptor, present: bool, depth: usize) -> Result<()> {
        if present {
            let (_, document) = read_document(self.store, child)?;
            return self.visit(child, &document, depth + 1);
        }
        if let Some(platform) = child.platform.clone().filter(|_| !child.is_attestation()) {
            self.facts.platforms.push((platform, false));
        }
        Ok(())
    }

    /// Notes a manifest's platform, and its config's facts if it fits this machine better than the one before.
    fn describe(&mut self, manifest: &Descriptor, config: &Descriptor, whole: bool) -> Result<()> {
        let config = self.config(config)?;
        let own = || config.as_ref().map(ImageConfig::platform).filter(|platform| !platform.os.is_empty());
        let Some(platform) = manifest.platform.clone().or_else(own) else { return Ok(()) };
        let rank = Platform::host().rank(&platform).unwrap_or(usize::MAX);
        self.facts.platforms.push((platform, whole));
        if let Some(config) = config.filter(|_| self.rank.is_none_or(|held| rank < held)) {
            self.rank = Some(rank);
            self.facts.created = config.created_seconds();
            self.facts.labels = config.config.labels;
        }
        Ok(())
    }

    /// An image's config, if it is one and present. One that cannot be read says nothing: a registry has to take it.
    fn config(&self, config: &Descriptor) -> Result<Option<ImageConfig>> {
        if !media_type::is_config(&config.media_type) || config.size > MAX_CONFIG || !self.store.layout.has(config)? {
            return Ok(None);
        }
        Ok(ImageConfig::parse(&read_small(self.store, config, MAX_CONFIG)?).ok())
    }
}
