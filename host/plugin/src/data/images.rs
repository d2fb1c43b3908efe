//! The interface `images` of `wit/images.wit`.

use std::sync::Arc;

use wasmtime::component::{ComponentType, LinkerInstance, Lower, Resource, ResourceTableError};

use super::builder::{ImageBuilder, LayerHandle};
use super::listing::Listing;
use super::view::ImageView;
use super::{Outcome, function, plain_function, resource};
use crate::state::State;
use crate::types::Platform;

#[derive(Clone, ComponentType, Lower)]
#[component(record)]
struct LayerInfo {
    digest: String,
    #[component(name = "diff-id")]
    diff_id: String,
    #[component(name = "media-type")]
    media_type: String,
    size: u64,
    #[component(name = "created-by")]
    created_by: String,
}

type Image = (Resource<ImageView>,);

/// Adds the interface `images`.
pub(super) fn add(images: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    resource::<ImageView>(images, "image")?;
    plain_function(images, "[method]image.name", |state, (image,): Image| Ok(state.handles.get(&image)?.view().name.clone()))?;
    plain_function(images, "[method]image.id", |state, (image,): Image| Ok(state.handles.get(&image)?.view().id.to_string()))?;
    plain_function(images, "[method]image.platform", |state, (image,): Image| {
        Ok(Platform::from(&state.handles.get(&image)?.view().parsed.platform()))
    })?;
    plain_function(images, "[method]image.config", |state, (image,): Image| Ok(state.handles.get(&image)?.view().config.clone()))?;
    plain_function(images, "[method]image.layers", layers)?;
    function(images, "[method]image.layer-files", layer_files)?;
    function(images, "[method]image.files", files)?;
    resource::<ImageBuilder>(images, "builder")?;
    function(images, "[method]builder.layer", begin_layer)?;
    function(images, "[method]builder.set-platform", |state, (image, platform): (Resource<ImageBuilder>, Platform)| {
        state.handles.get(&image)?.set_platform(&platform)
    })?;
    function(images, "[method]builder.set-config", |state, (image, config): (Resource<ImageBuilder>, String)| {
        state.handles.get(&image)?.set_config(&config)
    })
}

fn layers(state: &mut State, (image,): Image) -> Result<Vec<LayerInfo>, wasmtime::component::ResourceTableError> {
    let view = state.handles.get(&image)?.view();
    let described = view.manifest.layers.iter().zip(&view.parsed.rootfs.diff_ids).zip(view.created_by());
    let layers = described.map(|((layer, diff_id), created_by)| LayerInfo {
        digest: layer.digest.to_string(),
        diff_id: diff_id.to_string(),
        media_type: layer.media_type.clone(),
        size: layer.size,
        created_by: created_by.to_owned(),
    });
    Ok(layers.collect())
}

impl State {
    /// Gives the plugin a handle of an image.
    pub(crate) fn give_image(&mut self, image: ImageView) -> Result<Resource<ImageView>, ResourceTableError> {
        // As compressed as it is, it may be read and unpacked again and again.
        self.watch.given(Some(image.view().manifest.layers.iter().map(|layer| layer.size).sum::<u64>()));
        self.handles.push(image)
    }
}

fn layer_files(state: &mut State, (image, index): (Resource<ImageView>, u32)) -> Outcome<Resource<Listing>> {
    let layer = state.handles.get(&image)?.view().layer(index as usize)?;
    let listing = Listing::of_layer(layer, &state.watch)?;
    Ok(state.handles.push(listing)?)
}

fn files(state: &mut State, (image,): Image) -> Outcome<Resource<Listing>> {
    let view = Arc::clone(state.handles.get(&image)?.view());
    view.tree(&state.watch)?;
    Ok(state.handles.push(Listing::of_image(view))?)
}

fn begin_layer(state: &mut State, (image, created_by): (Resource<ImageBuilder>, String)) -> Outcome<Resource<LayerHandle>> {
    let layer = state.handles.get(&image)?.layer(created_by, &state.watch)?;
    Ok(state.handles.push(layer)?)
}
