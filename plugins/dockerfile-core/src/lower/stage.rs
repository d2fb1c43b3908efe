//! A stage: what the file says of it, and what it is so far.

use std::rc::Rc;

use nacre_sdk::Platform;
use nacre_sdk::graph::Node;

use super::image::Image;
use super::vars::Vars;
use crate::syntax::{Command, Instruction, Lines};

/// A stage of the file; or an image or a named context that something is copied from, as a stage without instructions.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    /// Its name in the file; empty without one.
    pub name: String,
    /// What vertices call it: its name, or `stage-2`; empty if it is the only one.
    pub shown: String,
    /// What `FROM` says, expanded.
    pub base_name: String,
    /// Where its `FROM` stands.
    pub lines: Lines,
    /// It stands in the file.
    pub declared: bool,
    /// The stage that it is built on.
    pub base: Option<usize>,
    /// The named context that takes its place.
    pub replaced_by: Option<String>,
    pub platform: Option<Platform>,
    pub steps: Vec<Step>,
    /// The stages that its instructions use, and where.
    pub uses: Vec<(usize, Lines)>,
    /// Its base was looked up.
    pub resolved: bool,
    /// It was asked once what `ONBUILD` its base stage has.
    pub triggered: bool,
    /// It can be copied from.
    pub done: bool,
    /// It is built anew although the cache has it.
    pub fresh: bool,
    /// How many of its vertices are counted, and how many there were so far.
    pub total: usize,
    pub count: usize,
    pub state: State,
    pub image: Image,
    /// The arguments that were declared, with their values.
    pub args: Vec<(String, Option<String>)>,
    pub workdir_set: bool,
    /// Where the last of each stands.
    pub cmd: Option<Lines>,
    pub entrypoint: Option<Lines>,
    pub healthcheck: Option<Lines>,
}

/// What the next instruction starts from.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    /// The root filesystem; none for an empty one.
    pub node: Option<Node>,
    pub vars: Vars,
    pub folder: String,
    pub user: String,
}

/// An instruction of a stage.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub instruction: Rc<Instruction>,
    /// Where its `--from`s lead: one for `COPY`, one for each mount of `RUN`.
    pub sources: Vec<Option<usize>>,
    /// It comes from an `ONBUILD`.
    pub trigger: bool,
}

impl Stage {
    /// A stage that begins at `lines`.
    pub fn new(name: &str, base_name: &str, lines: &Lines) -> Stage {
        Stage {
            name: name.into(),
            shown: name.into(),
            base_name: base_name.into(),
            lines: lines.clone(),
            declared: true,
            base: None,
            replaced_by: None,
            platform: None,
            steps: Vec::new(),
            uses: Vec::new(),
            resolved: false,
            triggered: false,
            done: false,
            fresh: false,
            total: 0,
            count: 0,
            state: State::default(),
            image: Image::default(),
            args: Vec::new(),
            workdir_set: false,
            cmd: None,
            entrypoint: None,
            healthcheck: None,
        }
    }

    /// Takes over what the stage that it is built on has come to.
    pub fn inherit(&mut self, base: &Stage) {
        self.state = base.state.clone();
        self.platform = base.platform.clone();
        self.image = base.image.clone();
        self.image.config.on_build.clear();
        self.workdir_set = base.workdir_set;
        self.args = base.args.clone();
    }
}

impl Default for Stage {
    fn default() -> Stage {
        Stage::new("", "", &(0..=0))
    }
}

impl Step {
    pub fn new(instruction: Rc<Instruction>) -> Step {
        Step { instruction, sources: Vec::new(), trigger: false }
    }

    pub fn command(&self) -> &Command {
        &self.instruction.command
    }

    pub fn lines(&self) -> &Lines {
        &self.instruction.lines
    }

    /// Whether its vertex is counted in `[stage 2/5]`.
    pub fn is_counted(&self) -> bool {
        matches!(self.command(), Command::Add(_) | Command::Copy(_) | Command::Run(_) | Command::Workdir(_))
    }
}
