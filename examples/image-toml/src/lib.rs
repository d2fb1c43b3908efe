//! `# syntax=acme/image-toml`: an image as a list of what is in it.
//!
//! Each table of the file is an operation of the graph, in the order of the file.

mod config;
mod file;
mod place;

use std::ops::Range;

use file::{Command, File, Folder, Link, OneFile, Package, Run};
use nacre_sdk::frontend::{Fresh, Image, MAIN_CONTEXT, Request};
use nacre_sdk::graph::{
    Action, CopyFiles, Exec, Graph, HttpSource, ImageName, MakeFile, MakeFolder, MakeSymlink, Node, Operation, Permissions, Source,
};
use nacre_sdk::{Error, Kv, Platform, build, invalid};
use place::Text;

pub fn build(_frontend: &str, request: Request) -> Result<Vec<Image>, Error> {
    build_with(&request, |name, platform| Ok(build::resolve(name, platform)?.config))
}

/// `resolve` tells an image's configuration.
fn build_with(request: &Request, resolve: impl Fn(&ImageName, &Platform) -> Result<String, Error>) -> Result<Vec<Image>, Error> {
    if let Some(target) = &request.target {
        return Err(invalid("no-target", format!("there is no target {target}: an image file has only one image")));
    }
    let text = Text::new(request)?;
    let file: File = text.parse()?;
    let platforms = if request.platforms.is_empty() { std::slice::from_ref(&request.build_platform) } else { &request.platforms };
    let images = platforms.iter().map(|platform| image(&text, request, &file, platform, &resolve)).collect::<Result<_, _>>()?;
    Ok(if request.check { Vec::new() } else { images })
}

fn image(
    text: &Text,
    request: &Request,
    file: &File,
    platform: &Platform,
    resolve: impl Fn(&ImageName, &Platform) -> Result<String, Error>,
) -> Result<Image, Error> {
    let mut graph = Graph::new();
    graph.no_cache(request.fresh == Fresh::All);
    let (mut node, mut base) = (graph.scratch(), "{}".to_owned());
    if let Some(name) = file.base.as_ref().filter(|name| name.get_ref() != "scratch") {
        let named = request.contexts.iter().any(|context| context.name == *name.get_ref());
        let image = if named { ImageName::Context(name.get_ref().clone()) } else { ImageName::Reference(name.get_ref().clone()) };
        base = resolve(&image, platform)?;
        node = graph.image(image, platform.clone(), format!("base {}", name.get_ref()), Some(text.span(&name.span())));
    }
    let env = config::env(&base, &file.config);
    let mut steps = Steps { text, request, graph, ignore: &file.ignore, env, rows: Vec::new() };
    for (range, table) in tables(file) {
        node = steps.add(node, range, table)?;
    }
    let config = config::config(text, request, platform, &base, &file.config, &steps.rows)?;
    Ok(Image { platform: platform.clone(), definition: steps.graph.definition(node), config })
}

enum Table<'a> {
    Package(&'a Package),
    File(&'a OneFile),
    Folder(&'a Folder),
    Link(&'a Link),
    Run(&'a Run),
}

/// The file's tables in their order, each with its place.
fn tables(file: &File) -> Vec<(Range<usize>, Table<'_>)> {
    let mut tables: Vec<(Range<usize>, Table<'_>)> = Vec::new();
    tables.extend(file.package.iter().map(|table| (table.span(), Table::Package(table.get_ref()))));
    tables.extend(file.file.iter().map(|table| (table.span(), Table::File(table.get_ref()))));
    tables.extend(file.folder.iter().map(|table| (table.span(), Table::Folder(table.get_ref()))));
    tables.extend(file.link.iter().map(|table| (table.span(), Table::Link(table.get_ref()))));
    tables.extend(file.run.iter().map(|table| (table.span(), Table::Run(table.get_ref()))));
    tables.sort_by_key(|(range, _)| range.start);
    tables
}

/// A graph in the making.
struct Steps<'a> {
    text: &'a Text<'a>,
    request: &'a Request,
    graph: Graph,
    ignore: &'a [String],
    env: Vec<(String, String)>,
    /// Of the history, one for each layer.
    rows: Vec<String>,
}

impl Steps<'_> {
    fn add(&mut self, base: Node, range: Range<usize>, table: Table<'_>) -> Result<Node, Error> {
        let (label, operation) = match table {
            Table::Package(package) => self.package(base, package, &range)?,
            Table::File(file) => self.file(base, file, &range)?,
            Table::Folder(folder) => self.folder(base, folder)?,
            Table::Link(Link { path, target }) => {
                let path = self.text.absolute(path)?;
                let link = Action::MakeSymlink(MakeSymlink { path: path.into(), target: target.clone(), owner: None });
                (format!("link {path} to {target}"), changes(base, parent(path).into_iter().chain([link]).collect()))
            }
            Table::Run(run) => self.run(base, run),
        };
        self.rows.push(label.clone());
        Ok(self.graph.push(operation, label, Some(self.text.span(&range))))
    }

    fn package(&mut self, base: Node, package: &Package, range: &Range<usize>) -> Result<(String, Operation), Error> {
        let to = self.text.absolute(&package.to)?.trim_end_matches('/');
        let (from, source, shown) = match (&package.source, &package.url, &package.sha256) {
            (Some(source), None, None) => (self.context(), self.text.relative(source)?, source.get_ref()),
            (None, Some(url), Some(sum)) => {
                let name = url.get_ref().rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("package").to_owned();
                let checksum = Some(self.text.sha256(sum)?);
                let http = HttpSource { url: url.get_ref().clone(), checksum, name: name.clone() };
                let at = Some(self.text.span(&url.span()));
                (self.graph.push(Operation::Source(Source::Http(http)), url.get_ref().as_str(), at), format!("/{name}"), url.get_ref())
            }
            _ => {
                let help = "give source, or url and sha256";
                return Err(self.text.wrong("bad-package", "it is not clear where the package comes from", Some(help), range.clone()));
            }
        };
        let label = format!("package {shown} to {to}/");
        let Some(folder) = &package.folder else {
            return Ok((label, changes(base, vec![copy(CopyFiles { unpack: true, ..CopyFiles::new(from, source, format!("{to}/")) })])));
        };
        let all = vec![copy(CopyFiles { unpack: true, ..CopyFiles::new(from, source, "/") })];
        let scratch = self.graph.scratch();
        let tree = self.graph.file(scratch, all, format!("unpack {shown}"), Some(self.text.span(range)));
        let folder = CopyFiles::new(tree, self.text.relative(folder)?, format!("{to}/"));
        Ok((label, changes(base, vec![copy(CopyFiles { contents: true, ..folder })])))
    }

    fn file(&mut self, base: Node, file: &OneFile, range: &Range<usize>) -> Result<(String, Operation), Error> {
        let (owner, mode) = (self.text.owner(file.owner.as_ref())?, self.text.mode(file.mode.as_ref())?);
        let path = self.text.absolute(&file.path)?;
        let actions = match (&file.source, &file.content) {
            (Some(source), None) => {
                let plain = CopyFiles::new(self.context(), self.text.relative(source)?, path);
                vec![copy(CopyFiles { owner, permissions: mode.map(Permissions::Octal), ..plain })]
            }
            (None, Some(content)) => {
                let content = content.clone().into_bytes();
                let make = MakeFile { path: path.into(), content, mode: mode.unwrap_or(0o644), owner };
                parent(path).into_iter().chain([Action::MakeFile(make)]).collect()
            }
            _ => {
                let help = "give either source, a file of the context, or content";
                return Err(self.text.wrong("bad-file", "it is not clear what the file holds", Some(help), range.clone()));
            }
        };
        Ok((format!("file {path}"), changes(base, actions)))
    }

    fn folder(&mut self, base: Node, folder: &Folder) -> Result<(String, Operation), Error> {
        let (owner, mode) = (self.text.owner(folder.owner.as_ref())?, self.text.mode(folder.mode.as_ref())?);
        let path = self.text.absolute(&folder.path)?;
        let make = MakeFolder { path: path.into(), mode: mode.unwrap_or(0o755), parents: true, owner: owner.clone() };
        let mut actions = vec![Action::MakeFolder(make)];
        if let Some(source) = &folder.source {
            let all = CopyFiles::new(self.context(), self.text.relative(source)?, path);
            actions.push(copy(CopyFiles { contents: true, owner, ..all }));
        }
        Ok((format!("folder {path}"), changes(base, actions)))
    }

    fn run(&self, base: Node, run: &Run) -> (String, Operation) {
        let words = |line: &String| ["/bin/sh", "-c", line].map(str::to_owned).to_vec();
        let args = match &run.command {
            Command::Shell(line) => words(line),
            Command::Words(words) => words.clone(),
        };
        let env = self.env.iter().map(|(key, value)| Kv { key: key.clone(), value: value.clone() }).collect();
        let label = format!("run {}", args.join(" "));
        let exec = Exec { env, user: run.user.clone(), network: self.request.network, ..Exec::new(base, args) };
        (label, Operation::Exec(exec))
    }

    fn context(&mut self) -> Node {
        self.graph.folder(MAIN_CONTEXT, self.ignore.to_vec(), "files of the context")
    }
}

fn changes(base: Node, actions: Vec<Action>) -> Operation {
    Operation::File(nacre_sdk::graph::File { base, actions })
}

fn copy(files: CopyFiles) -> Action {
    Action::Copy(files)
}

/// Makes the folder that a path lies in.
fn parent(path: &str) -> Option<Action> {
    let (folder, _) = path.rsplit_once('/').filter(|(folder, _)| !folder.is_empty())?;
    Some(Action::MakeFolder(MakeFolder { path: folder.into(), mode: 0o755, parents: true, owner: None }))
}

nacre_sdk::build_frontend!(build);

#[cfg(test)]
mod tests;
