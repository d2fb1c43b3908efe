//! Writing archives.
//!
//! Both kinds are a tar of an OCI layout: content as it is, nested indexes, names in the annotations. A docker-archive also
//! has `manifest.json`, as Docker's since 25. Layers stay as they were pulled: the tests show that skopeo (from 1.9) and
//! podman (from 4.3) decompress the layers of `manifest.json` on their own, gzip and zstd.

use std::io::Write;

use nacre_oci::{
    Descriptor, Document, Error, Manifest, Options, Platform, Progress, RawManifest, Reference, Result, Select, Sink, Source, copy,
    media_type, pick_platform, read_document,
};
use serde::Serialize;

use crate::{TarWriter, blob_path};

/// Streams `images` (each a manifest or index, and its names) as a docker-archive that is an OCI layout too, and returns
/// `out`.
///
/// `manifest.json`, which holds plain images only, has of each index what fits this machine, or else the first image
/// that was written. Artifacts are not in it. The same images give the same bytes.
///
/// # Errors
/// What the source says; if `out` cannot be written. The output is then to be thrown away.
pub fn write_docker_archive<W: Write + Send>(
    from: &dyn Source,
    images: &[(Descriptor, Vec<Reference>)],
    select: &Select,
    progress: &dyn Progress,
    out: W,
) -> Result<W> {
    let writer = TarWriter::new(out);
    let mut items: Vec<Item> = Vec::new();
    for (root, names) in images {
        let texts: Vec<String> = names.iter().map(ToString::to_string).collect();
        write_image(from, &writer, root, &texts, select, progress)?;
        items.extend(plain_image(from, &writer, root)?.map(|manifest| Item::new(&manifest, names)));
    }
    let list = serde_json::to_vec(&items).expect("structs are always JSON");
    writer.finish(&[("manifest.json", list)])
}

/// Streams `images` (each a manifest or index, and its names: tags or whole references) as an OCI archive, and returns
/// `out`. The same images give the same bytes.
///
/// # Errors
/// As [`write_docker_archive`].
pub fn write_oci_archive<W: Write + Send>(
    from: &dyn Source,
    images: &[(Descriptor, Vec<String>)],
    select: &Select,
    progress: &dyn Progress,
    out: W,
) -> Result<W> {
    let writer = TarWriter::new(out);
    for (root, names) in images {
        write_image(from, &writer, root, names, select, progress)?;
    }
    writer.finish(&[])
}

fn write_image<W: Write + Send>(
    from: &dyn Source,
    writer: &TarWriter<W>,
    root: &Descriptor,
    names: &[String],
    select: &Select,
    progress: &dyn Progress,
) -> Result<RawManifest> {
    let options = Options { select: select.clone(), parallel: 1, progress };
    let copied = copy(from, writer, root, names, &options)?;
    if names.is_empty() {
        writer.add(&copied.root)?;
    }
    Ok(copied.root)
}

/// One image of `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

impl Item {
    fn new(manifest: &Manifest, names: &[Reference]) -> Self {
        Self {
            config: blob_path(&manifest.config.digest),
            repo_tags: names.iter().filter(|name| name.tag().is_some() && name.digest().is_none()).map(Reference::familiar).collect(),
            layers: manifest.layers.iter().map(|layer| blob_path(&layer.digest)).collect(),
        }
    }
}

/// The image at `root`, or the one of an index that stands for it, of those that were written.
fn plain_image(from: &dyn Source, written: &dyn Sink, root: &Descriptor) -> Result<Option<Manifest>> {
    let index = match read_document(from, root)?.1 {
        Document::Manifest(manifest) => return Ok(media_type::is_config(&manifest.config.media_type).then_some(manifest)),
        Document::Index(index) => index,
    };
    let mut children = Vec::new();
    for child in index.manifests.into_iter().filter(|child| child.is_document() && !child.is_attestation()) {
        if written.contains(&child)? {
            children.push(child);
        }
    }
    let fitting = match pick_platform(from, root, &children, &Platform::host()) {
        Err(Error::NoPlatform { .. }) => None,
        other => Some(other?.clone()),
    };
    for child in fitting.iter().chain(&children) {
        if let Some(manifest) = plain_image(from, written, child)? {
            return Ok(Some(manifest));
        }
    }
    Ok(None)
}

#[cfg(test)]
#[path = "save_tests.rs"]
mod tests;
