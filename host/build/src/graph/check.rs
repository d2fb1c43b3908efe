//! What a graph must be before anything of it is carried out (`wit/graph.wit`): it comes from a plugin.

use std::collections::BTreeMap;

use nacre_plugin::{
    Kv,
    graph::{Action, CopyFiles, Definition, Exec, File, ImageName, MountKind, Operation, Owner, Permissions, Source, Vertex},
};

use crate::Context;

/// Operations of one graph, and all that one of them may list.
const MAX_VERTICES: usize = 20_000;
const MAX_LIST: usize = 10_000;
/// Bytes of a path (Linux's `PATH_MAX`), of another text, and of all arguments and variables of one program together.
const MAX_PATH: usize = 4096;
const MAX_TEXT: usize = 128 << 10;
const MAX_PROGRAM: usize = 2 << 20;
/// Bytes of all files that a graph makes.
const MAX_CONTENT: usize = 256 << 20;

type Checked = Result<(), String>;

/// Whether the graph keeps to the rules, where `contexts` are what the user gave; otherwise the first that it breaks.
pub(crate) fn check(definition: &Definition, contexts: &BTreeMap<String, Context>) -> Checked {
    let count = definition.vertices.len();
    ensure(count <= MAX_VERTICES, || format!("{count} operations, more than {MAX_VERTICES}"))?;
    let output = definition.output;
    ensure((output as usize) < count, || format!("its output is operation {output} of {count}"))?;
    for (index, vertex) in definition.vertices.iter().enumerate() {
        one(index, vertex, contexts).map_err(|why| format!("operation {index}: {why}"))?;
    }
    let content: usize = definition.vertices.iter().map(content).sum();
    ensure(content <= MAX_CONTENT, || format!("files of {content} bytes, more than {MAX_CONTENT}"))
}

fn one(index: usize, vertex: &Vertex, contexts: &BTreeMap<String, Context>) -> Checked {
    let mut operation = vertex.operation.clone();
    for input in super::inputs(&mut operation) {
        ensure((*input as usize) < index, || format!("its input {input} does not stand before it"))?;
    }
    text("label", &vertex.label)?;
    match &vertex.operation {
        Operation::Source(source) => check_source(source, contexts),
        Operation::File(file) => check_file(file),
        Operation::Exec(exec) => check_exec(exec),
        Operation::Merge(nodes) => list("inputs", nodes.len()),
        Operation::Diff(_) => Ok(()),
    }
}

fn content(vertex: &Vertex) -> usize {
    let Operation::File(file) = &vertex.operation else { return 0 };
    let made = file.actions.iter().map(|action| if let Action::MakeFile(file) = action { file.content.len() } else { 0 });
    made.sum()
}

fn check_source(source: &Source, contexts: &BTreeMap<String, Context>) -> Checked {
    match source {
        Source::Scratch => Ok(()),
        Source::Image(image) => match &image.name {
            ImageName::Reference(name) => text("image name", name),
            ImageName::Context(name) => match contexts.get(name) {
                Some(Context::Image(_) | Context::Layout { .. }) => Ok(()),
                _ => Err(format!("the user gave no image '{name}'")),
            },
        },
        Source::Folder(folder) => {
            list("patterns", folder.exclude.len())?;
            folder.exclude.iter().try_for_each(|pattern| text("pattern", pattern))?;
            let known = matches!(contexts.get(&folder.context), Some(Context::Folder(_))) && folder.context != crate::FILE_CONTEXT;
            ensure(known, || format!("the user gave no folder '{}'", folder.context))
        }
        Source::Http(http) => {
            text("URL", &http.url)?;
            let plain = !matches!(http.name.as_str(), "" | "." | "..") && !http.name.contains('/');
            path(&http.name)?;
            ensure(plain, || format!("'{}' is no file name", http.name))
        }
        Source::Git(git) => {
            [&git.remote, &git.reference].into_iter().chain(&git.checksum).try_for_each(|one| text("git source", one))?;
            path(&git.folder)
        }
    }
}

fn check_file(file: &File) -> Checked {
    list("actions", file.actions.len())?;
    file.actions.iter().try_for_each(|action| match action {
        Action::Copy(copy) => check_copy(copy),
        Action::MakeFolder(folder) => paths([&folder.path]).and(mode(folder.mode)).and(owner(folder.owner.as_ref())),
        Action::MakeFile(file) => paths([&file.path]).and(mode(file.mode)).and(owner(file.owner.as_ref())),
        Action::MakeSymlink(link) => paths([&link.path, &link.target]).and(owner(link.owner.as_ref())),
        Action::Remove(remove) => path(&remove.path),
    })
}

fn check_copy(copy: &CopyFiles) -> Checked {
    paths([&copy.source, &copy.dest])?;
    list("patterns", copy.exclude.len())?;
    copy.exclude.iter().try_for_each(|pattern| text("pattern", pattern))?;
    owner(copy.owner.as_ref())?;
    match &copy.permissions {
        Some(Permissions::Octal(bits)) => mode(*bits),
        Some(Permissions::Symbolic(symbols)) => text("permissions", symbols),
        None => Ok(()),
    }
}

fn check_exec(exec: &Exec) -> Checked {
    ensure(!exec.args.is_empty(), || "it has no program to run".into())?;
    [exec.args.len(), exec.env.len(), exec.uncached_env.len(), exec.secret_env.len(), exec.mounts.len()]
        .into_iter()
        .try_for_each(|count| list("arguments, variables or mounts", count))?;
    exec.args.iter().try_for_each(|arg| text("argument", arg))?;
    exec.env.iter().chain(&exec.uncached_env).try_for_each(variable)?;
    for secret in &exec.secret_env {
        name(&secret.name)?;
        text("secret", &secret.id)?;
    }
    let variables = exec.env.iter().chain(&exec.uncached_env).map(|kv| kv.key.len() + kv.value.len() + 2);
    let bytes = exec.args.iter().map(|arg| arg.len() + 1).chain(variables).sum::<usize>();
    ensure(bytes <= MAX_PROGRAM, || format!("arguments and variables of {bytes} bytes, more than {MAX_PROGRAM}"))?;
    paths([&exec.cwd, &exec.user, &exec.hostname])?;
    exec.mounts.iter().try_for_each(|mount| path(&mount.target).and(check_mount(&mount.kind)))
}

fn check_mount(kind: &MountKind) -> Checked {
    match kind {
        MountKind::Bind(bind) => path(&bind.source),
        MountKind::Cache(cache) => text("cache", &cache.id).and(path(&cache.source)).and(mode(cache.mode)),
        MountKind::Tmpfs(_) => Ok(()),
        MountKind::Secret(secret) => text("secret", &secret.id).and(mode(secret.mode)),
        MountKind::Ssh(ssh) => text("agent", &ssh.id).and(mode(ssh.mode)),
    }
}

fn variable(kv: &Kv) -> Checked {
    name(&kv.key)?;
    text("variable", &kv.value)
}

fn name(name: &str) -> Checked {
    text("variable", name)?;
    ensure(!name.is_empty() && !name.contains('='), || format!("'{name}' is no variable's name"))
}

fn owner(owner: Option<&Owner>) -> Checked {
    let Some(owner) = owner else { return Ok(()) };
    [&owner.user, &owner.group].into_iter().flatten().try_for_each(|id| match id {
        nacre_plugin::graph::Id::Name(name) => path(name),
        nacre_plugin::graph::Id::Number(number) if *number > nacre_layer::MAX_ID => Err(format!("the id {number} is too large")),
        nacre_plugin::graph::Id::Number(_) => Ok(()),
    })
}

fn mode(mode: u32) -> Checked {
    ensure(mode <= 0o7777, || format!("the mode {mode:o} has more than twelve bits"))
}

fn paths<const N: usize>(all: [&String; N]) -> Checked {
    all.into_iter().try_for_each(|one| path(one))
}

fn path(path: &str) -> Checked {
    ensure(path.len() <= MAX_PATH, || format!("a path of {} bytes, more than {MAX_PATH}", path.len()))?;
    ensure(!path.contains('\0'), || "a path with a NUL".into())
}

fn text(what: &str, text: &str) -> Checked {
    ensure(text.len() <= MAX_TEXT, || format!("a {what} of {} bytes, more than {MAX_TEXT}", text.len()))?;
    ensure(!text.contains('\0'), || format!("a {what} with a NUL"))
}

fn list(what: &str, count: usize) -> Checked {
    ensure(count <= MAX_LIST, || format!("{count} {what}, more than {MAX_LIST}"))
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(why()) }
}
