//! Instructions as data: what a Dockerfile says before any variable is expanded.
//!
//! Words stand here as they were written, with their quotes and `$`: whoever carries an instruction
//! out expands them ([`crate::expand`]) with the variables that hold at its place.

use super::{Device, Healthcheck, Heredoc, Mistake, MountFlag};
use std::ops::RangeInclusive;

/// Lines of a file, both ends included, counted from 1.
pub type Lines = RangeInclusive<u32>;

/// One instruction of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Its keyword as it is written: `RUN`, `run`.
    pub keyword: String,
    /// What it says.
    pub command: Command,
    /// The instruction as one line: without what continues a line, the comments between, and the documents (`<<EOF`)
    /// behind it. The image's history shows it.
    pub text: String,
    /// Where it stands, the documents behind it included.
    pub lines: Lines,
    /// The comment lines directly above it, without `#`. One of them can be `check=skip=...`.
    pub comments: Vec<String>,
}

/// What an instruction says (Dockerfile reference; BuildKit's `instructions`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `FROM`
    From(From),
    /// `ARG`: at least one.
    Arg(Vec<Argument>),
    /// `ENV`: at least one.
    Env(Vec<Pair>),
    /// `LABEL`: at least one.
    Label(Vec<Pair>),
    /// `MAINTAINER`
    Maintainer(String),
    /// `RUN`
    Run(Run),
    /// `COPY`
    Copy(Copy),
    /// `ADD`
    Add(Add),
    /// `CMD`
    Cmd(CommandLine),
    /// `ENTRYPOINT`
    Entrypoint(CommandLine),
    /// `SHELL`: at least one word.
    Shell(Vec<String>),
    /// `WORKDIR`
    Workdir(String),
    /// `USER`
    User(String),
    /// `EXPOSE`: sorted by their bytes, as BuildKit does before it expands them.
    Expose(Vec<String>),
    /// `VOLUME`: none of them blank.
    Volume(Vec<String>),
    /// `STOPSIGNAL`
    StopSignal(String),
    /// `HEALTHCHECK`
    Healthcheck(Healthcheck),
    /// `ONBUILD`: an instruction for [`super::parse_trigger`], with the documents behind it. It is recorded as it
    /// is, and may be one that does not exist until it is used.
    Onbuild(String),
}

/// `FROM base AS name`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// A stage, a named context or an image.
    pub base: String,
    /// `--platform`; none if it is empty.
    pub platform: Option<String>,
    /// The stage's name in lower case; stages are found whatever the case.
    pub name: Option<String>,
}

/// One `name` or `name=default` of `ARG`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Its name; variables in it are expanded too.
    pub name: String,
    /// What it is if the user gives nothing.
    pub default: Option<String>,
}

/// One `key=value` of `ENV` or `LABEL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Never empty as written.
    pub key: String,
    /// What stands behind `=`, with its quotes.
    pub value: String,
    /// In the old form `ENV key value`.
    pub legacy: bool,
}

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// As a JSON array: the words themselves.
    Exec(Vec<String>),
    /// One line for the shell; may be empty.
    Shell(String),
}

/// `RUN`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What is run. With documents it is a line that ends in `<<EOF` or has them as its arguments.
    pub line: CommandLine,
    /// The documents behind the instruction, in their order.
    pub heredocs: Vec<Heredoc>,
    /// `--mount`, each with its variables.
    pub mounts: Vec<MountFlag>,
    /// `--network`
    pub network: Network,
    /// `--security`
    pub security: Security,
    /// `--device`
    pub devices: Vec<Device>,
    /// The names of the flags that are used, sorted: the history shows a `RUN` differently with them.
    pub flags: Vec<String>,
}

/// `RUN --network`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    /// What the build as a whole uses.
    #[default]
    Default,
    /// No network.
    None,
    /// The machine's own network.
    Host,
}

/// `RUN --security`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    /// Without privileges.
    #[default]
    Sandbox,
    /// With all privileges.
    Insecure,
}

/// `COPY`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// What it copies and how.
    pub files: Files,
    /// `--from`: a stage, its number, a named context or an image; none for the build's context.
    pub from: Option<String>,
    /// `--parents`
    pub parents: bool,
}

/// `ADD`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// What it copies and how.
    pub files: Files,
    /// `--checksum`
    pub checksum: Option<String>,
    /// `--keep-git-dir`, if it is given.
    pub keep_git_dir: Option<bool>,
    /// `--unpack`, if it is given.
    pub unpack: Option<bool>,
}

/// What `COPY` and `ADD` have in common.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files {
    /// Paths, patterns or addresses.
    pub sources: Vec<String>,
    /// The documents among the sources.
    pub documents: Vec<Document>,
    /// Where to.
    pub dest: String,
    /// `--chown`
    pub chown: Option<String>,
    /// `--chmod`
    pub chmod: Option<String>,
    /// `--link`
    pub link: bool,
    /// `--exclude`, which no variable is expanded in.
    pub exclude: Vec<String>,
}

/// A file that the Dockerfile itself holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What it is called.
    pub name: String,
    /// What it holds, tabs already gone if it was written with `<<-`.
    pub content: String,
    /// Variables in `content` are to be expanded ([`crate::expand::Expander::document`]).
    pub expand: bool,
}

impl Instruction {
    /// A mistake that shows where this instruction stands, unless it says where already.
    pub fn blame(&self, mistake: Mistake) -> Mistake {
        mistake.at(&self.lines)
    }
}
