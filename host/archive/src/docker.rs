//! docker-archive: what `docker save` wrote from 1.10 to 24, and what `skopeo`, `podman` and `kaniko` write.
//!
//! `manifest.json` names for each image its config, its names and its layers; the files themselves lie in folders
//! `<id>/layer.tar`, as `<digest>.tar`, or under `blobs/`. There is no manifest, so one is put together: the config as it is
//! and the layers as they are in the tar.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use nacre_layer::Codec;
use nacre_oci::{Descriptor, Digest, Error, ImageConfig, MAX_CONFIG, Manifest, Progress, Reference, Result, media_type, parse_strict};
use serde::Deserialize;

use crate::{
    Entry, hash,
    hash::LayerDigests,
    tar::{Member, Tar},
};

/// The most bytes of `manifest.json`.
const MAX_LIST: u64 = 1 << 20;

/// One image of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// Where content is.
#[derive(Clone)]
pub(crate) enum Place {
    Member(Member),
    Bytes(Arc<[u8]>),
}

/// The images of a docker-archive, and where their content is.
pub(crate) struct Images {
    pub(crate) entries: Vec<Entry>,
    pub(crate) places: HashMap<Digest, Place>,
}

/// Reads `manifest.json` and the configs. Compressed layers are read to check their diff ids; an uncompressed one's
/// digest *is* its diff id, so that it is checked when it is copied and is not read twice.
pub(crate) fn images(tar: &Tar, progress: &dyn Progress) -> Result<Images> {
    let what = format!("manifest.json in {}", tar.label());
    let bytes = tar.read("manifest.json", MAX_LIST)?.ok_or_else(|| not_an_archive(tar))?;
    let items: Vec<Item> = parse_strict(&bytes, &what)?;
    if items.is_empty() {
        return Err(Error::malformed(what, "it lists no image"));
    }
    let parsed: Vec<Parsed> = items.iter().map(|item| Parsed::new(tar, item)).collect::<Result<_>>()?;
    let digests = compressed_digests(tar, &parsed, progress)?;
    let mut images = Images { entries: Vec::new(), places: HashMap::new() };
    for image in parsed {
        images.add(tar, image, &digests)?;
    }
    Ok(images)
}

fn not_an_archive(tar: &Tar) -> Error {
    if matches!(tar.find("repositories"), Ok(Some(_))) {
        let what = format!("{} without manifest.json", tar.label());
        return Error::Unsupported { what, why: "Docker before 1.10 wrote it; load and save it with a later Docker".into() };
    }
    Error::malformed(tar.label(), "it has neither oci-layout nor manifest.json, so it is no archive of images")
}

/// An item whose files were found and whose config was read.
struct Parsed {
    names: Vec<Reference>,
    config: Vec<u8>,
    layers: Vec<Layer>,
}

struct Layer {
    path: String,
    member: Member,
    codec: Option<Codec>,
    diff_id: Digest,
}

impl Parsed {
    fn new(tar: &Tar, item: &Item) -> Result<Self> {
        let config = tar.read(&item.config, MAX_CONFIG)?.ok_or_else(|| missing(tar, &item.config))?;
        let what = format!("config {} in {}", item.config, tar.label());
        let diff_ids = ImageConfig::parse(&config).map_err(|e| Error::malformed(&what, e))?.rootfs.diff_ids;
        let paths = item.layers.as_deref().unwrap_or_default();
        if paths.len() != diff_ids.len() {
            let why = format!("layer count mismatch: manifest.json lists {} and the config has {} diff ids", paths.len(), diff_ids.len());
            return Err(Error::malformed(what, why));
        }
        let names = item.repo_tags.iter().flatten().map(|name| Ok(name.parse::<Reference>()?.or_latest()));
        let layers = paths.iter().zip(diff_ids).map(|(path, diff_id)| Layer::new(tar, path, diff_id));
        Ok(Self { names: names.collect::<Result<_>>()?, layers: layers.collect::<Result<_>>()?, config })
    }
}

impl Layer {
    fn new(tar: &Tar, path: &str, diff_id: Digest) -> Result<Self> {
        let member = tar.find(path)?.ok_or_else(|| missing(tar, path))?;
        let head = tar.head::<{ Codec::HEAD }>(member)?;
        let codec = Codec::detect(&head);
        if let Some(codec) = codec.filter(|codec| !matches!(codec, Codec::Gzip | Codec::Zstd)) {
            let what = format!("layer {path} in {}, compressed with {},", tar.label(), codec.name());
            return Err(Error::Unsupported { what, why: "OCI layers are plain, gzip or zstd; compress it anew".into() });
        }
        Ok(Self { path: path.to_owned(), member, codec, diff_id })
    }

    fn media_type(&self) -> &'static str {
        match self.codec {
            Some(Codec::Gzip) => media_type::OCI_LAYER_GZIP,
            Some(Codec::Zstd) => media_type::OCI_LAYER_ZSTD,
            _ => media_type::OCI_LAYER,
        }
    }
}

fn missing(tar: &Tar, name: &str) -> Error {
    Error::malformed(tar.label(), format!("manifest.json names {name}, which is not there"))
}

/// Both digests of every compressed layer, each read once.
fn compressed_digests(tar: &Tar, images: &[Parsed], progress: &dyn Progress) -> Result<HashMap<Member, LayerDigests>> {
    let all = images.iter().flat_map(|image| &image.layers);
    let once: HashMap<Member, (&Layer, Codec)> = all.filter_map(|layer| Some((layer.member, (layer, layer.codec?)))).collect();
    let layers: Vec<(&Layer, Codec)> = once.into_values().collect();
    let digests = hash::in_parallel(&layers, |(layer, codec)| {
        let doing = format!("read layer {} in {}", layer.path, tar.label());
        hash::digests(tar.open(layer.member, 0), *codec, progress).map_err(Error::io(doing))
    })?;
    Ok(layers.iter().map(|(layer, _)| layer.member).zip(digests).collect())
}

impl Images {
    fn add(&mut self, tar: &Tar, image: Parsed, digests: &HashMap<Member, LayerDigests>) -> Result<()> {
        let layers = image.layers.iter().map(|layer| self.layer(tar, layer, digests)).collect::<Result<_>>()?;
        let config = Descriptor::of(media_type::OCI_CONFIG, &image.config);
        self.keep(&config, image.config);
        let manifest = Manifest {
            schema_version: 2,
            media_type: media_type::OCI_MANIFEST.into(),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        };
        let bytes = serde_json::to_vec(&manifest).expect("a manifest has string keys only");
        let descriptor = Descriptor::of(media_type::OCI_MANIFEST, &bytes);
        self.keep(&descriptor, bytes);
        match self.entries.iter_mut().find(|entry| entry.descriptor == descriptor) {
            Some(entry) => entry.names.extend(image.names),
            None => self.entries.push(Entry { names: image.names, tags: Vec::new(), descriptor }),
        }
        Ok(())
    }

    fn keep(&mut self, descriptor: &Descriptor, bytes: Vec<u8>) {
        self.places.insert(descriptor.digest.clone(), Place::Bytes(bytes.into()));
    }

    fn layer(&mut self, tar: &Tar, layer: &Layer, digests: &HashMap<Member, LayerDigests>) -> Result<Descriptor> {
        let digest = match digests.get(&layer.member) {
            None => layer.diff_id.clone(),
            Some(own) if own.diff_id == layer.diff_id => own.blob.clone(),
            Some(own) => {
                let what = format!("layer {} in {}", layer.path, tar.label());
                return Err(Error::Mismatch { what, expected: format!("diff id {}", layer.diff_id), actual: own.diff_id.to_string() });
            }
        };
        self.places.insert(digest.clone(), Place::Member(layer.member));
        Ok(Descriptor::new(layer.media_type(), digest, layer.member.size))
    }
}

#[cfg(test)]
#[path = "docker_tests.rs"]
mod tests;
