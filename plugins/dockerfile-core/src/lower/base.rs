//! What stages are built on: nothing, a named context, or an image.

use std::collections::BTreeSet;

use nacre_sdk::graph::ImageName;
use nacre_sdk::{Error, Platform};

use super::from::SCRATCH;
use super::image::Image;
use super::reference::Reference;
use super::stop::{Lowered, Stop};
use super::{Lowering, platform};
use crate::lint::Rule;
use crate::syntax::{Lines, did_you_mean, quoted};

impl Lowering<'_> {
    /// Looks up the bases of the stages that the target needs, and puts in front of these what `ONBUILD` says there,
    /// which may need further stages. Returns them all.
    pub(super) fn resolve_stages(&mut self, target: usize) -> Lowered<BTreeSet<usize>> {
        loop {
            let needed = self.needed(target);
            for index in 0..self.stages.len() {
                let stage = &self.stages[index];
                if stage.base.is_none() && !stage.resolved {
                    let lines = stage.lines.clone();
                    self.resolve_base(index, needed.contains(&index)).map_err(|stop| stop.at(&lines))?;
                }
            }
            let mut more = false;
            for index in &needed {
                more |= self.put_triggers_in_front(*index)?;
            }
            if !more {
                return Ok(needed);
            }
        }
    }

    fn resolve_base(&mut self, index: usize, needed: bool) -> Lowered<()> {
        let stage = &mut self.stages[index];
        stage.resolved = needed;
        if stage.base_name == SCRATCH && stage.replaced_by.is_none() {
            stage.image = Image::empty(&self.platforms.target);
            stage.platform = Some(self.platforms.target.clone());
            stage.done = !stage.declared;
            return Ok(());
        }
        let name = Reference::parse(&stage.base_name).map_err(|error| {
            Stop::mistake("bad-image-name", format!("failed to parse stage name {}: {error}", quoted(&stage.base_name)))
        })?;
        if needed {
            self.load_base(index, name.or_latest())?;
            self.stages[index].done |= !self.stages[index].declared;
        }
        Ok(())
    }

    fn load_base(&mut self, index: usize, name: Reference) -> Lowered<()> {
        let stage = &self.stages[index];
        let platform = stage.platform.clone().unwrap_or_else(|| self.platforms.target.clone());
        if let Some(context) = stage.replaced_by.clone() {
            return self.replace(index, &context, &platform);
        }
        if let Some(context) = self.named_context(&name.to_string(), &platform)?.map(|context| context.name.clone()) {
            let (node, image) = self.load_context(&context, &platform)?;
            let stage = &mut self.stages[index];
            stage.state.node = Some(node);
            stage.image = image.unwrap_or_else(|| Image::empty(&platform));
            stage.platform = Some(platform);
            return Ok(());
        }
        self.load_image(index, name, platform)
    }

    /// A named context in the place of a stage of its name.
    fn replace(&mut self, index: usize, context: &str, platform: &Platform) -> Lowered<()> {
        let (node, image) = self.load_context(context, platform)?;
        let stage = &mut self.stages[index];
        stage.done = true;
        stage.state.node = Some(node);
        if let Some(image) = image {
            stage.platform = image.platform().or(stage.platform.take());
            stage.image = image;
        }
        Ok(())
    }

    fn load_image(&mut self, index: usize, name: Reference, platform: Platform) -> Lowered<()> {
        let asked = self.stages[index].base_name.clone();
        let resolved = self.session.resolve(&ImageName::Reference(name.to_string()), &platform);
        let resolved = resolved.map_err(|error| self.not_resolved(&asked, &name.to_string(), error))?;
        let image = Image::parse(&resolved.config).map_err(|error| Stop::mistake("bad-image", format!("{asked}: {error}")))?;
        let lines = self.stages[index].lines.clone();
        self.complain_of_base_platform(&lines, &asked, &platform, &image);
        let name = name.with_digest(&resolved.digest).to_string();
        let node = (!image.is_scratch()).then(|| {
            let label = self.label(index, format!("FROM {name}"), &platform);
            let at = Some(self.place(&lines));
            self.graph.image(ImageName::Reference(name), resolved.platform, label, at)
        });
        let stage = &mut self.stages[index];
        stage.state.node = node;
        stage.image = image;
        stage.platform = Some(platform);
        Ok(())
    }

    /// Why there is no image of that name, in BuildKit's words: a mistake where the file names it, even if it is the
    /// network's fault.
    pub(super) fn not_resolved(&self, asked: &str, name: &str, error: Error) -> Stop {
        const COMMON: [&str; 7] = ["alpine", "busybox", "centos", "debian", "golang", "ubuntu", "fedora"];
        let (code, text) = match error {
            Error::NotFound(text) => ("image-not-found", text),
            Error::Denied(text) | Error::Unsupported(text) | Error::Limit(text) | Error::Io(text) | Error::Other(text) => {
                ("image-unavailable", text)
            }
            other => return Stop::Outside(other),
        };
        let names: Vec<&str> = self.stages.iter().map(|stage| stage.name.as_str()).filter(|name| !name.is_empty()).chain(COMMON).collect();
        let hint = did_you_mean(asked, &names, true);
        Stop::mistake(code, format!("{asked}: failed to resolve source metadata for {name}: {text}{hint}"))
    }

    fn complain_of_base_platform(&mut self, lines: &Lines, name: &str, wanted: &Platform, image: &Image) {
        let is = Platform {
            os: image.os.clone(),
            arch: image.architecture.clone(),
            variant: image.platform().and_then(|platform| platform.variant),
        };
        if is.os != wanted.os || is.arch != wanted.arch {
            let show = |platform: &Platform| platform::format(&platform::normalize(platform));
            self.lint.warn(lines, Rule::InvalidBaseImagePlatform, Rule::invalid_base_image_platform(name, &show(&is), &show(wanted)));
        }
    }
}
