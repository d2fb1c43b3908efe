//! The interfaces `store`, `store-write` and `registry`.

use nacre_oci::Reference;
use wasmtime::component::{Linker, Resource};

use super::told;
use crate::capability::Ask;
use crate::data::{ImageBuilder, ImageView, Outcome, function};
use crate::state::State;
use crate::types::{GuestError, Platform, Summary};

pub(super) fn add(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut store = linker.instance("nacre:plugin/store@0.1.0")?;
    function(&mut store, "list", list)?;
    function(&mut store, "open", open)?;
    let mut write = linker.instance("nacre:plugin/store-write@0.1.0")?;
    function(&mut write, "create", create)?;
    function(&mut write, "commit", commit)?;
    function(&mut write, "tag", tag)?;
    function(&mut write, "remove", remove)?;
    let mut registry = linker.instance("nacre:plugin/registry@0.1.0")?;
    function(&mut registry, "tags", tags)?;
    function(&mut registry, "open", open_remote)
}

fn list(state: &mut State, (): ()) -> Outcome<Vec<Summary>> {
    state.ask(&Ask::StoreRead, |reach| reach.summaries())
}

fn open(state: &mut State, (name, platform): (String, Option<Platform>)) -> Outcome<Resource<ImageView>> {
    let image = state.ask(&Ask::StoreRead, |reach| reach.open(&name, platform.as_ref()))?;
    Ok(state.give_image(image)?)
}

fn create(state: &mut State, (): ()) -> Outcome<Resource<ImageBuilder>> {
    let image = state.ask(&Ask::StoreWrite, |reach| reach.create())?;
    Ok(state.handles.push(image)?)
}

fn commit(state: &mut State, (image, name): (Resource<ImageBuilder>, String)) -> Outcome<String> {
    let image = state.handles.delete(image)?;
    state.ask(&Ask::StoreWrite, |reach| reach.commit(image, &name)).map(|digest| digest.to_string())
}

fn tag(state: &mut State, (image, name): (String, String)) -> Outcome<()> {
    state.ask(&Ask::StoreWrite, |reach| reach.tag(&image, &name))
}

fn remove(state: &mut State, (name,): (String,)) -> Outcome<Vec<String>> {
    state.ask(&Ask::StoreWrite, |reach| reach.remove(&name))
}

fn tags(state: &mut State, (repository,): (String,)) -> Outcome<Vec<String>> {
    let repository = reference(&repository)?;
    state.ask(&Ask::Registry(repository.registry()), |reach| reach.tags(&repository))
}

fn open_remote(state: &mut State, (name, platform): (String, Option<Platform>)) -> Outcome<Resource<ImageView>> {
    let name = reference(&name)?;
    let image = state.ask(&Ask::Registry(name.registry()), |reach| reach.open_remote(&name, platform.as_ref()))?;
    Ok(state.give_image(image)?)
}

fn reference(text: &str) -> Outcome<Reference> {
    told(text.parse().map_err(GuestError::from))
}
