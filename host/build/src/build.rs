//! A whole build, from the frontend to the image.

use std::sync::Arc;

use jiff::Timestamp;
use nacre_oci::ImageConfig;
use nacre_plugin::{BuildImage, graph::Definition};

use crate::{Built, Environment, Output, Overlay, Request, Result, Watcher, assemble, mend, session::FrontendSession, solve::Solver};

/// Builds an image: asks the frontend for its graphs, carries them out, and puts manifests together. The layers are in the
/// store afterwards, and the documents in memory.
///
/// # Errors
/// [`Error::Frontend`](crate::Error::Frontend) with the mistakes of the user's file, [`Error::Step`](crate::Error::Step)
/// for the first operation that failed.
pub fn build(environment: &Environment, mut request: Request, watcher: &Arc<dyn Watcher>) -> Result<Built> {
    let mut steps = 0;
    loop {
        let solver = Arc::new(Solver::new(environment, &request, watcher, steps)?);
        match attempt(&solver, &request) {
            // A cache only saves time: what of it is lost or damaged is made anew.
            Err(error) if mend::forget(&solver, &mut request, &error)? => steps = solver.next_id(),
            done => return done,
        }
    }
}

fn attempt(solver: &Arc<Solver>, request: &Request) -> Result<Built> {
    let images = (request.frontend)(Box::new(FrontendSession::new(solver)))?;
    let epoch = request.output.epoch.or_else(|| created(&images));
    epoch.into_iter().for_each(|epoch| solver.set_epoch(epoch));
    let output = Output { epoch, ..request.output.clone() };
    let definitions: Vec<&Definition> = images.iter().map(|image| &image.definition).collect();
    let snapshots = solver.solve(&definitions)?;
    let content = Overlay::new(&solver.environment.store);
    let built = assemble::images(solver, &content, &output, &images, &snapshots)?;
    let root = assemble::root(&content, &output, &built);
    solver.finish()?;
    Ok(Built { images: built, root, content, steps: solver.steps(), epoch, materials: solver.materials(), session: solver.session() })
}

/// When the image was made, if the frontend says so: where the file itself sets the epoch, nobody else knows it.
fn created(images: &[BuildImage]) -> Option<i64> {
    let config = ImageConfig::parse(images.first()?.config.as_bytes()).ok()?;
    Some(config.created?.parse::<Timestamp>().ok()?.as_second())
}

/// What the frontend makes of a request, without carrying it out: for `--print-graph` and `--check`. Only what the frontend
/// asks for while it works is built.
///
/// # Errors
/// As [`build`]; if a graph is malformed.
pub fn graph(environment: &Environment, request: Request, watcher: &Arc<dyn Watcher>) -> Result<Vec<BuildImage>> {
    let solver = Arc::new(Solver::new(environment, &request, watcher, 0)?);
    let images = (request.frontend)(Box::new(FrontendSession::new(&solver)))?;
    images.iter().try_for_each(|image| solver.check(&image.definition))?;
    Ok(images)
}
