//! Root filesystems become images: configs, manifests, an index.

mod config;
mod history;
mod layers;

use std::collections::BTreeMap;

use nacre_oci::{Descriptor, Digest, Index, Manifest, Platform, RawManifest, media_type};
use nacre_plugin::BuildImage;

use crate::{BuiltImage, Output, Overlay, Result, Snapshot, StepId, graph, solve::Solver};

/// Puts each image's config and manifest together. Layers that are not in the store are fetched.
pub(crate) fn images(
    solver: &Solver,
    content: &Overlay,
    output: &Output,
    images: &[BuildImage],
    snapshots: &[Snapshot],
) -> Result<Vec<BuiltImage>> {
    solver.told("exporting to image", |id| {
        let both = images.iter().zip(snapshots);
        both.map(|(image, snapshot)| one(solver, id, content, output, image, snapshot)).collect()
    })
}

fn one(solver: &Solver, id: StepId, content: &Overlay, output: &Output, image: &BuildImage, snapshot: &Snapshot) -> Result<BuiltImage> {
    let layers = layers::finished(solver, id, output, snapshot.layers())?;
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    let config = config::bytes(&image.config, snapshot.layers(), diff_ids, output.epoch).map_err(|why| solver.malformed(why))?;
    let config = content.put(media_type::OCI_CONFIG, config).descriptor;
    let manifest = Manifest {
        schema_version: 2,
        media_type: media_type::OCI_MANIFEST.into(),
        artifact_type: None,
        config: config.clone(),
        layers: layers.iter().map(|layer| layer.descriptor.clone()).collect(),
        subject: None,
        annotations: output.annotations.clone(),
    };
    let manifest = content.put(media_type::OCI_MANIFEST, to_json(&manifest));
    Ok(BuiltImage { platform: graph::platform(&image.platform), manifest, config, layers })
}

/// The document that stands for all images: an index if there are several, or if one is asked for.
pub(crate) fn root(content: &Overlay, output: &Output, images: &[BuiltImage]) -> RawManifest {
    match images {
        [image] if !output.index => image.manifest.clone(),
        _ => index(content, output, images),
    }
}

/// Puts an index over images.
fn index(content: &Overlay, output: &Output, images: &[BuiltImage]) -> RawManifest {
    let described = |image: &BuiltImage| listed(&image.manifest.descriptor, &image.platform, &output.descriptor_annotations);
    let index = Index {
        schema_version: 2,
        media_type: media_type::OCI_INDEX.into(),
        artifact_type: None,
        manifests: images.iter().map(described).collect(),
        subject: None,
        annotations: output.index_annotations.clone(),
    };
    content.put(media_type::OCI_INDEX, to_json(&index))
}

fn listed(manifest: &Descriptor, platform: &Platform, annotations: &BTreeMap<String, String>) -> Descriptor {
    Descriptor { platform: Some(platform.clone()), annotations: annotations.clone(), ..manifest.clone() }
}

fn to_json(document: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("documents of lists, strings and maps with string keys are always JSON")
}
