//! `# syntax=acme/dockerfile-plus`: Dockerfiles with `INCLUDE` and `IF`.
//!
//! The file is made flat, one text without these two, which is then a Dockerfile like any other. Only the places in what
//! comes of it, of mistakes, warnings and steps, are brought back to the files that they are really in.

mod flat;
mod origin;
mod scope;

use dockerfile_core::lower::{Host, Session, lower};
use nacre_sdk::frontend::{Image, Request, Resolved};
use nacre_sdk::graph::ImageName;
use nacre_sdk::{Diagnostic, Error, Kv, Platform};
use origin::Origins;

pub fn build(_frontend: &str, request: Request) -> Result<Vec<Image>, Error> {
    build_with(&request, &mut Host)
}

/// Platform by platform: an `IF` can ask for it.
fn build_with(request: &Request, session: &mut dyn Session) -> Result<Vec<Image>, Error> {
    if request.platforms.is_empty() {
        return build_one(request, request.clone(), &request.build_platform, session, true);
    }
    let mut images = Vec::new();
    for (index, platform) in request.platforms.iter().enumerate() {
        let mut one = Request { platforms: vec![platform.clone()], ..request.clone() };
        if request.platforms.len() > 1 {
            // Each step's name has its platform, as if all were built at once.
            one.args.push(Kv { key: "BUILDKIT_MULTI_PLATFORM".into(), value: "1".into() });
        }
        images.extend(build_one(request, one, platform, session, index == 0)?);
    }
    Ok(images)
}

fn build_one(
    request: &Request,
    mut one: Request,
    platform: &Platform,
    session: &mut dyn Session,
    warns: bool,
) -> Result<Vec<Image>, Error> {
    let (content, origins) = flat::flatten(request, platform, session)?;
    one.content = content.into_bytes();
    let mut placed = Placed { session, origins: &origins, warns };
    let mut images = lower(&one, &mut placed).map_err(|error| origins.error(error))?;
    let vertices = images.iter_mut().flat_map(|image| &mut image.definition.vertices);
    vertices.for_each(|vertex| origins.span(&mut vertex.at));
    Ok(images)
}

/// A session that tells where warnings really are, and of each only once.
struct Placed<'a> {
    session: &'a mut dyn Session,
    origins: &'a Origins,
    warns: bool,
}

impl Session for Placed<'_> {
    fn read_file(&mut self, context: &str, path: &str) -> Result<Option<Vec<u8>>, Error> {
        self.session.read_file(context, path)
    }

    fn resolve(&mut self, name: &ImageName, platform: &Platform) -> Result<Resolved, Error> {
        self.session.resolve(name, platform)
    }

    fn warn(&mut self, mut diagnostic: Diagnostic) {
        if self.warns {
            self.origins.span(&mut diagnostic.at);
            self.session.warn(diagnostic);
        }
    }
}

nacre_sdk::build_frontend!(build);

#[cfg(test)]
mod tests;
