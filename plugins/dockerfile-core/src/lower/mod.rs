//! From instructions to the build graph and the image's configuration (what BuildKit's `dockerfile2llb` does).
//!
//! Stages are read in the order of the file (`from`), each one's sources are found (`reach`), the base images of
//! those that the target needs are resolved (`base`), what `ONBUILD` left there is put in front (`onbuild`), and then
//! their instructions are carried out one by one (`step`).

mod access;
mod args;
mod base;
mod config;
mod contexts;
mod copy;
mod epoch;
mod expand;
mod from;
mod git;
mod go;
mod history;
mod ignored;
mod image;
mod label;
mod mounts;
mod onbuild;
mod paths;
mod platform;
mod ports;
mod reach;
mod reference;
mod run;
mod session;
mod signal;
mod sources;
mod stage;
mod step;
mod stop;
#[cfg(test)]
mod tests;
mod vars;

pub use session::{Host, Session};

use std::collections::BTreeMap;
use std::rc::Rc;

use nacre_sdk::frontend::{Image, Request};
use nacre_sdk::graph::Graph;
use nacre_sdk::{Error, Platform};

use crate::lint::Linter;
use crate::syntax::{self, Instruction};
use platform::Platforms;
use stage::Stage;
use stop::{Lowered, Stop};
use vars::Vars;

/// The images that a Dockerfile means, one for each platform that is asked for. With `check` there are none, and all
/// stages are looked at unless a target is named.
///
/// A mistake in the file is `invalid`, with its place and in BuildKit's words.
pub fn lower(request: &Request, session: &mut dyn Session) -> Result<Vec<Image>, Error> {
    let file = syntax::parse(&request.content).map_err(|mistake| Stop::from(mistake).error(&request.file))?;
    let file = Parsed { escape: file.escape, instructions: file.instructions.into_iter().map(Rc::new).collect(), lint: file.lint };
    let asked: Vec<Option<&Platform>> = match request.platforms.is_empty() {
        true => vec![None],
        false => request.platforms.iter().map(Some).collect(),
    };
    let mut images = Vec::new();
    for (index, target) in asked.into_iter().enumerate() {
        let mut lowering = Lowering::new(&file, request, target, session).map_err(|stop| stop.error(&request.file))?;
        let image = lowering.image();
        let lint = lowering.lint;
        let image = match index {
            0 => warned(lint, image, request, session),
            _ => image,
        };
        images.push(image.map_err(|stop| stop.error(&request.file))?);
    }
    Ok(if request.check { Vec::new() } else { images })
}

/// Tells of the warnings, even of a build that fails.
fn warned(lint: Linter, image: Lowered<Image>, request: &Request, session: &mut dyn Session) -> Lowered<Image> {
    lint.warnings().iter().for_each(|warning| session.warn(warning.diagnostic(&request.file)));
    let image = image?;
    lint.finish()?;
    Ok(image)
}

/// A file that was read, for one lowering after the other.
struct Parsed {
    escape: char,
    instructions: Vec<Rc<Instruction>>,
    lint: Linter,
}

/// The work for one platform.
struct Lowering<'a> {
    request: &'a Request,
    session: &'a mut dyn Session,
    escape: char,
    instructions: &'a [Rc<Instruction>],
    lint: Linter,
    graph: Graph,
    platforms: Platforms,
    /// `--build-arg`
    given: BTreeMap<String, String>,
    /// The variables of `FROM`: the platforms', and `ARG` before the first stage.
    global: Vars,
    stages: Vec<Stage>,
    /// `SOURCE_DATE_EPOCH`, in seconds.
    epoch: Option<i64>,
    /// The context's `.dockerignore`.
    ignore: Vec<String>,
}

impl<'a> Lowering<'a> {
    fn new(file: &'a Parsed, request: &'a Request, target: Option<&Platform>, session: &'a mut dyn Session) -> Lowered<Lowering<'a>> {
        let build = platform::normalize(&request.build_platform);
        let given: BTreeMap<String, String> = request.args.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect();
        let platforms = Platforms {
            target: target.map_or_else(|| build.clone(), platform::normalize),
            build,
            asked: target.cloned(),
            shown: args::several_platforms(&given, request.platforms.len())?,
        };
        Ok(Lowering {
            request,
            session,
            escape: file.escape,
            instructions: &file.instructions,
            lint: file.lint.clone(),
            graph: Graph::new(),
            platforms,
            given,
            global: Vars::default(),
            stages: Vec::new(),
            epoch: None,
            ignore: Vec::new(),
        })
    }

    fn image(&mut self) -> Lowered<Image> {
        self.read_global_args()?;
        self.read_epoch()?;
        self.read_stages()?;
        let target = self.target()?;
        self.find_sources()?;
        let needed = self.resolve_stages(target)?;
        self.ignore = self.read_ignore()?;
        self.carry_out(&needed)?;
        Ok(self.finish(target))
    }

    /// What is returned for the stage that was asked for.
    fn finish(&mut self, target: usize) -> Image {
        let stage = std::mem::take(&mut self.stages[target]);
        let mut image = stage.image;
        let labels = self.request.labels.iter().map(|label| (label.key.clone(), label.value.clone()));
        image.config.labels.extend(labels);
        self.set_platform(&mut image);
        image.created = self.created();
        let node = stage.state.node.unwrap_or_else(|| self.graph.scratch());
        let platform = self.platforms.asked.clone().or_else(|| image.platform()).unwrap_or_else(|| self.platforms.target.clone());
        Image { platform, definition: self.graph.definition(node), config: image.json() }
    }

    /// The platform that was asked for is the image's, whatever its base says.
    fn set_platform(&self, image: &mut image::Image) {
        let target = &self.platforms.target;
        let same = target.os == image.os && target.arch == image.architecture;
        if self.platforms.asked.is_some() && (target.variant.is_some() || !same) {
            image.set_platform(target);
        }
        let platform = image.platform().unwrap_or_else(|| target.clone());
        image.set_platform(&platform::normalize(&platform));
    }
}
