//! The build's folder with its `.dockerignore`, and named contexts.

use nacre_sdk::frontend::{Context, ContextKind, FILE_CONTEXT, MAIN_CONTEXT};
use nacre_sdk::graph::{ImageName, Node};
use nacre_sdk::{Error, Platform};

use super::ignored::check;
use super::image::Image;
use super::reference::Reference;
use super::stop::{Lowered, Stop};
use super::{Lowering, paths, platform};
use crate::ignore;

const IGNORE: &str = ".dockerignore";

impl Lowering<'_> {
    /// The context that the user gave under this name, for this platform (`NAME::os/arch`) or for all.
    pub(super) fn named_context(&self, name: &str, platform: &Platform) -> Lowered<Option<&Context>> {
        if name.eq_ignore_ascii_case("scratch") || name.eq_ignore_ascii_case("context") {
            return Ok(None);
        }
        let name = Reference::parse(name)
            .map_err(|error| Stop::mistake("bad-stage-name", format!("invalid context name {name}: {error}")))?
            .familiar();
        let special = format!("{name}::{}", platform::format(&platform::normalize(platform)));
        let find = |wanted: &str| self.request.contexts.iter().find(|context| context.name.trim_end_matches(":latest") == wanted);
        Ok(find(&special).or_else(|| find(&name)))
    }

    /// What a named context holds, and its configuration if it is an image.
    pub(super) fn load_context(&mut self, name: &str, platform: &Platform) -> Lowered<(Node, Option<Image>)> {
        let is_folder = self.request.contexts.iter().any(|context| context.name == name && context.kind == ContextKind::Folder);
        if is_folder {
            let exclude = self.session.read_file(name, IGNORE)?.map(|content| ignore::patterns(&content)).unwrap_or_default();
            check_all(&exclude)?;
            let node = self.graph.folder(name, exclude, format!("[context {name}] load from client"));
            return Ok((node, None));
        }
        let context = ImageName::Context(name.into());
        let resolved = self.session.resolve(&context, platform).map_err(|error| match error {
            // The image is named by its digest.
            Error::NotFound(text) if text.starts_with("docker.io/") => {
                Stop::mistake("image-not-found", format!("failed to resolve source metadata for {text}"))
            }
            error => self.not_resolved(name, &format!("the context {name}"), error),
        })?;
        let image = Image::parse(&resolved.config).map_err(|error| Stop::mistake("bad-image", format!("{name}: {error}")))?;
        let node = self.graph.image(context, resolved.platform, format!("[context {name}] load from client"), None);
        Ok((node, Some(image)))
    }

    /// The patterns of `Dockerfile.dockerignore`, beside the file, or of `.dockerignore` in the context.
    pub(super) fn read_ignore(&mut self) -> Lowered<Vec<String>> {
        let own = format!("{}{IGNORE}", paths::base(&self.request.file));
        let content = match self.session.read_file(FILE_CONTEXT, &own)? {
            Some(content) => Some(content),
            None => self.session.read_file(MAIN_CONTEXT, IGNORE)?,
        };
        let patterns = content.map(|content| ignore::patterns(&content)).unwrap_or_default();
        check_all(&patterns)?;
        Ok(patterns)
    }

    /// The build's own folder.
    pub(super) fn main_context(&mut self) -> Node {
        self.graph.folder(MAIN_CONTEXT, self.ignore.clone(), "[internal] load build context")
    }
}

fn check_all(patterns: &[String]) -> Lowered<()> {
    let wrong = patterns.iter().find_map(|pattern| check(pattern).err());
    wrong.map_or(Ok(()), |wrong| Err(Stop::mistake("bad-ignore-pattern", wrong)))
}
