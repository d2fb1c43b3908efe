//! `COPY` and `ADD`.

use nacre_sdk::graph::{Action, CopyFiles, Node, Operation, Owner, Permissions};

use super::stage::{Stage, Step};
use super::stop::{Lowered, Stop};
use super::{Lowering, access, git, history, ignored, paths, sources, step};
use crate::lint::Rule;
use crate::syntax::{Add, Copy, Files, quoted};

/// What is copied and how, its variables expanded.
pub(super) struct Plan {
    pub files: Files,
    /// Where it comes from: a stage, or none for the build's folder.
    from: Option<Option<Node>>,
    /// The further flags of `ADD`; none for `COPY`.
    pub add: Option<Flags>,
    parents: bool,
    owner: Option<Owner>,
    permissions: Option<Permissions>,
    /// Where to, in full.
    dest: String,
    /// What the vertices are called.
    pub label: String,
}

/// The flags that only `ADD` has.
pub(super) struct Flags {
    pub checksum: Option<String>,
    pub keep_git_dir: Option<bool>,
    pub unpack: Option<bool>,
}

impl Lowering<'_> {
    pub(super) fn copy(&mut self, stage: &mut Stage, step: &Step, copy: &Copy) -> Lowered<()> {
        let source = step.sources.first().copied().flatten();
        let name = copy.from.as_deref().unwrap_or_default();
        let refuse = || {
            let (from, current) = (quoted(name), quoted(&stage.shown));
            format!("cannot copy from stage {from}, it needs to be defined before current stage {current}")
        };
        let from = source.map(|index| self.source_state(index, refuse)).transpose()?;
        let plan = self.plan(stage, step, &copy.files, None)?;
        self.carry_over(stage, step, Plan { from, parents: copy.parents, ..plan })
    }

    pub(super) fn add(&mut self, stage: &mut Stage, step: &Step, add: &Add) -> Lowered<()> {
        let checksum = add.checksum.as_ref().map(|text| self.word(stage, step, text)).transpose()?.filter(|text| !text.is_empty());
        let flags = Flags { checksum, keep_git_dir: add.keep_git_dir, unpack: add.unpack };
        let plan = self.plan(stage, step, &add.files, Some(flags))?;
        self.carry_over(stage, step, plan)
    }

    /// Expands the variables.
    fn plan(&mut self, stage: &mut Stage, step: &Step, files: &Files, add: Option<Flags>) -> Lowered<Plan> {
        let mut files = files.clone();
        for text in [&mut files.chown, &mut files.chmod].into_iter().flatten().chain(&mut files.sources).chain([&mut files.dest]) {
            *text = self.word(stage, step, text)?;
        }
        for document in files.documents.iter_mut().filter(|document| document.expand) {
            document.content = self.document(stage, step, &document.content)?;
        }
        files.chown = files.chown.filter(|text| !text.is_empty());
        files.chmod = files.chmod.filter(|text| !text.is_empty());
        let permissions = files.chmod.as_deref().map(access::permissions).transpose();
        let permissions = permissions.map_err(|error| Stop::mistake("bad-chmod", error))?;
        sources::check_checksum(&files, add.as_ref())?;
        let vars = stage.state.vars.clone();
        let label = self.step_label(stage, step, self.expander(), "", &vars);
        let owner = files.chown.as_deref().map(access::owner);
        let dest = paths::destination(&stage.state.folder, &files.dest);
        Ok(Plan { files, from: None, add, parents: false, owner, permissions, dest, label })
    }

    /// Makes the vertices: one that copies; with `--link` one that copies to an empty root, and one that lays it over.
    fn carry_over(&mut self, stage: &mut Stage, step: &Step, plan: Plan) -> Lowered<()> {
        let mut actions = Vec::new();
        for source in &plan.files.sources {
            actions.push(Action::Copy(self.source(step, &plan, source)?));
        }
        for document in &plan.files.documents {
            let path = paths::join("/", &document.name);
            let from = step::document(&mut self.graph, path.clone(), 0o644, document.content.clone());
            actions.push(Action::Copy(plan.copied(from, path)));
        }
        let root = self.root(stage);
        let row = history::built(plan.row(), self.created());
        let node = if plan.files.link && plan.files.chmod.is_none() {
            let scratch = self.graph.scratch();
            let linked = plan.label.replacen("] ", "] LINK ", 1);
            let copy = self.push(stage, step, step::file(scratch, actions), plan.label);
            self.push(stage, step, Operation::Merge(vec![root, copy]), linked)
        } else {
            self.push(stage, step, step::file(root, actions), plan.label)
        };
        stage.state.node = Some(node);
        self.note_layer(stage, row)
    }

    fn source(&mut self, step: &Step, plan: &Plan, source: &str) -> Lowered<CopyFiles> {
        let repository = git::parse(source).map_err(|error| Stop::mistake("bad-git-source", error))?;
        if let Some(repository) = repository {
            return self.repository(step, plan, repository);
        }
        match sources::is_http(source) {
            true => self.address(step, plan, source),
            false => {
                self.complain_of_ignored(step, plan, source);
                Ok(self.local(plan, source))
            }
        }
    }

    /// Files of the build's folder, of a stage or of an image.
    fn local(&mut self, plan: &Plan, source: &str) -> CopyFiles {
        let from = match plan.from {
            Some(node) => node.unwrap_or_else(|| self.graph.scratch()),
            None => self.main_context(),
        };
        let unpack = plan.add.as_ref().is_some_and(|add| add.unpack.unwrap_or(true));
        let path = paths::join("/", source);
        let copied = CopyFiles { wildcard: true, allow_empty: true, contents: true, unpack, ..plan.copied(from, path) };
        if !plan.parents {
            return copied;
        }
        let (folder, pattern) = source.split_once("/./").unwrap_or(("/", source));
        let (folder, pattern) = (paths::join("/", folder), paths::join("/", pattern));
        let wildcard = paths::has_wildcards(&folder) || paths::has_wildcards(&pattern);
        let source = format!("{}/.{pattern}", folder.trim_end_matches('/'));
        CopyFiles { parents: true, wildcard, source, ..copied }
    }

    /// Complains of a source that `.dockerignore` takes away. With exceptions there nothing can be said.
    fn complain_of_ignored(&mut self, step: &Step, plan: &Plan, source: &str) {
        let path = paths::clean(source);
        let path = path.strip_prefix('/').unwrap_or(&path);
        let is_root = matches!(path, "" | ".");
        let exceptions = self.ignore.iter().any(|pattern| pattern.starts_with('!'));
        let everything = |pattern: &String| matches!(pattern.as_str(), "*" | "**" | "**/*");
        if plan.from.is_some() || exceptions || is_root && !self.ignore.iter().any(everything) {
            return;
        }
        if is_root || self.ignore.iter().any(|pattern| ignored::takes(pattern, path)) {
            let verb = if plan.add.is_some() { "Add" } else { "Copy" };
            self.lint.warn_at(&step.instruction, Rule::CopyIgnoredFile, Rule::copy_ignored_file(verb, &paths::clean(source)));
        }
    }
}

impl Plan {
    /// One file or folder of `from`, with the flags that hold for all.
    pub fn copied(&self, from: Node, source: String) -> CopyFiles {
        CopyFiles {
            exclude: self.files.exclude.clone(),
            owner: self.owner.clone(),
            permissions: self.permissions.clone(),
            ..CopyFiles::new(from, source, self.dest.clone())
        }
    }

    /// The row of the history, which leaves out the other flags.
    fn row(&self) -> String {
        let files = &self.files;
        let mut words = vec![if self.add.is_some() { "ADD".to_string() } else { "COPY".into() }];
        words.extend(self.parents.then(|| "--parents".into()));
        words.extend(files.chown.iter().map(|owner| format!("--chown={owner}")));
        words.extend(files.chmod.iter().map(|mode| format!("--chmod={mode}")));
        words.extend(files.sources.iter().cloned());
        words.extend(files.documents.iter().map(|document| format!("<<{}", document.name)));
        words.push(files.dest.clone());
        words.join(" ")
    }
}
