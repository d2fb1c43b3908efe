//! What the user sees of the vertices: `[build 2/5] RUN make`.

use nacre_sdk::Platform;

use super::stage::{Stage, Step};
use super::vars::Vars;
use super::{Lowering, expand, platform};
use crate::expand::Expander;
use crate::syntax::Lines;
use nacre_sdk::graph::Span;

impl Lowering<'_> {
    /// Where lines begin.
    pub(super) fn place(&self, lines: &Lines) -> Span {
        Span { file: self.request.file.clone(), line: *lines.start(), col: 1 }
    }

    /// The label of an instruction's vertex, which counts: its keyword in upper case, its variables expanded.
    pub(super) fn step_label(&self, stage: &mut Stage, step: &Step, expander: Expander, more: &str, vars: &Vars) -> String {
        stage.count += 1;
        let text = format!("{}{more}", step.instruction.text);
        let expanded = expand::with(expander, &text, vars).map_or(text, |expanded| expanded.text);
        let (keyword, rest) = expanded.split_at(expanded.find(' ').unwrap_or(expanded.len()));
        let trigger = if step.trigger { "ONBUILD " } else { "" };
        let platform = stage.platform.as_ref().map(|platform| self.platforms_label(platform, &stage.state.vars)).unwrap_or_default();
        prefixed(stage, &platform, &format!("{trigger}{}{rest}", keyword.to_uppercase()))
    }

    /// The label of a stage's base, which counts.
    pub(super) fn label(&mut self, index: usize, text: String, platform: &Platform) -> String {
        let platform = self.platforms_label(platform, &Vars::default());
        let stage = &mut self.stages[index];
        stage.count += 1;
        prefixed(stage, &platform, &text)
    }

    /// In a build for several platforms, which one it is, and what it compiles for if its arguments say something else.
    fn platforms_label(&self, platform: &Platform, vars: &Vars) -> String {
        if !self.platforms.shown {
            return String::new();
        }
        let target = self.said_target(platform, vars).map(|target| platform::normalize(&target));
        let other = match target {
            Some(target) if target.os != platform.os => format!("->{}", platform::format(&target)),
            Some(Platform { arch, variant, .. }) if arch != platform.arch => {
                format!("->{arch}{}", variant.map(|variant| format!("/{variant}")).unwrap_or_default())
            }
            _ => String::new(),
        };
        format!("{}{other} ", platform::format(platform))
    }

    fn said_target(&self, platform: &Platform, vars: &Vars) -> Option<Platform> {
        let whole = vars.get("TARGETPLATFORM").and_then(|text| platform::parse(text, &self.platforms.build).ok());
        let part = |name| vars.get(name).filter(|part| !part.is_empty());
        let parts = ["TARGETOS", "TARGETARCH", "TARGETVARIANT"].map(part);
        whole.or_else(|| {
            let [os, arch, variant] = parts;
            parts.iter().any(Option::is_some).then(|| Platform {
                os: os.unwrap_or(&platform.os).into(),
                arch: arch.unwrap_or(&platform.arch).into(),
                variant: variant.map(Into::into),
            })
        })
    }
}

fn prefixed(stage: &Stage, platform: &str, text: &str) -> String {
    if stage.total == 0 {
        return text.into();
    }
    let name = if stage.shown.is_empty() { String::new() } else { format!("{} ", stage.shown) };
    let width = stage.total.ilog10() as usize + 1;
    format!("[{platform}{name}{:width$}/{}] {text}", stage.count, stage.total)
}
