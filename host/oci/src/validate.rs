//! Proof that an image is whole: every piece is read and checked.

use std::io;

use crate::{Content, Descriptor, Document, Error, ImageConfig, MAX_CONFIG, Result, Select, Silent, Source, media_type, plan, read_small};

/// What [`validate`] read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validated {
    /// Manifests and indexes.
    pub documents: usize,
    /// Configs and layers.
    pub blobs: usize,
    /// Bytes of the blobs.
    pub bytes: u64,
}

/// Reads the whole image at `root` and checks every digest and size, that documents are what they claim, and that each
/// image config has as many diff ids as its manifest has layers.
///
/// # Errors
/// The first thing that is wrong.
pub fn validate(source: &dyn Source, root: &Descriptor, select: &Select) -> Result<Validated> {
    let plan = plan(source, root, select)?;
    for raw in &plan.documents {
        if let Document::Manifest(manifest) = raw.document()?
            && media_type::is_config(&manifest.config.media_type)
        {
            let config = ImageConfig::parse(&read_small(source, &manifest.config, MAX_CONFIG)?)?;
            check_layers(&raw.descriptor, manifest.layers.len(), config.rootfs.diff_ids.len())?;
        }
    }
    let mut bytes = 0;
    for blob in &plan.blobs {
        let mut reader = Content::new(source, blob, &Silent).open()?;
        bytes += io::copy(&mut reader, &mut io::sink()).map_err(Error::io(format!("read {}", blob.digest)))?;
    }
    Ok(Validated { documents: plan.documents.len(), blobs: plan.blobs.len(), bytes })
}

fn check_layers(manifest: &Descriptor, layers: usize, diff_ids: usize) -> Result<()> {
    if layers == diff_ids {
        return Ok(());
    }
    Err(Error::malformed(format!("image {}", manifest.digest), format!("{layers} layers but {diff_ids} diff ids")))
}
