//! Trees, actions and layers as text.
//!
//! A line is a file `path`, a folder `path/`, a link `path -> text`, another name `path = target`, a whiteout `path -`, an
//! opaque folder `path *` or a pipe `path |`; behind the first two may stand a mode, an owner and content (`\n` is a line's
//! end): `etc/passwd 0644 0:0 root:x:0:0\n`.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{io::Read, path::Path, sync::Arc};

use nacre_layer::{Bytes, Compression, Entry, Kind, LayerWriter, Spool, TarReader, TarWriter, path};
use nacre_oci::{Digest, Memory, Result, Staging, read_small};
use nacre_plugin::graph::{Action, CopyFiles, Id, MakeFile, MakeFolder, MakeSymlink, Owner, Permissions, Remove};

use super::{FileTree, Item, Job, LayerTree, Time, TreeLayer, key, missing, run};

/// A cache that keeps nothing.
pub(super) fn nowhere() -> &'static Path {
    Path::new("/dev/null/cache")
}

pub(super) fn spool() -> Spool {
    Spool::new(Path::new("/tmp"))
}

/// A tree of one layer.
pub(super) fn tree(lines: &str) -> LayerTree {
    layers(&[lines]).unwrap()
}

/// A tree of several layers, lowest first.
pub(super) fn layers(layers: &[&str]) -> Result<LayerTree> {
    LayerTree::new(layers.iter().map(|lines| layer(tar(lines))).collect(), nowhere())
}

pub(super) fn layer(tar: Vec<u8>) -> TreeLayer {
    TreeLayer { diff_id: Digest::of(&tar), open: Arc::new(move || Ok(Bytes::from_vec(tar.clone(), &spool()))) }
}

/// A tar archive of these lines, in their order.
pub(super) fn tar(lines: &str) -> Vec<u8> {
    let mut writer = TarWriter::new(Vec::new());
    for (entry, content) in lines.lines().map(entry) {
        writer.add(&entry, &mut content.as_slice()).unwrap();
    }
    writer.finish().unwrap()
}

fn entry(line: &str) -> (Entry, Vec<u8>) {
    let mut words = line.splitn(4, ' ');
    let name = words.next().unwrap();
    let rest: Vec<&str> = words.collect();
    let linked = |kind| Entry { link: Some(rest[1].into()), ..Entry::new(name, kind) };
    let special = match rest.first().copied() {
        Some("->") => Some(linked(Kind::Symlink)),
        Some("=") => Some(linked(Kind::Hardlink)),
        Some("-") => Some(Entry::new(name, Kind::Whiteout)),
        Some("*") => Some(Entry::new(name, Kind::Opaque)),
        Some("|") => Some(Entry::new(name, Kind::Fifo)),
        _ => None,
    };
    if let Some(entry) = special {
        return (entry, Vec::new());
    }
    let kind = if name.ends_with('/') { Kind::Directory } else { Kind::File };
    let mut entry = Entry::new(name.trim_end_matches('/'), kind);
    if let [mode, owner, ..] = rest[..] {
        let (uid, gid) = owner.split_once(':').unwrap();
        entry.mode = u32::from_str_radix(mode, 8).unwrap();
        (entry.uid, entry.gid) = (uid.parse().unwrap(), gid.parse().unwrap());
    }
    let content = rest.get(2).copied().unwrap_or_default().replace("\\n", "\n").into_bytes();
    entry.size = content.len() as u64;
    (entry, content)
}

/// An entry and its content as a line; the usual mode and owner are left out.
pub(super) fn line(entry: &Entry, content: &str) -> String {
    let name = entry.name();
    let link = path::to_text(entry.link.as_deref().unwrap_or_default());
    let owner = if (entry.uid, entry.gid) == (0, 0) { String::new() } else { format!(" {}:{}", entry.uid, entry.gid) };
    let usual = if entry.kind == Kind::Directory { 0o755 } else { 0o644 };
    let about = if entry.mode == usual { owner.clone() } else { format!(" {:04o}{owner}", entry.mode) };
    let content = if content.is_empty() { String::new() } else { format!(" '{content}'") };
    match entry.kind {
        Kind::File => format!("{name}{about}{content}"),
        Kind::Directory => format!("{name}/{about}"),
        Kind::Symlink => format!("{name} -> {link}{owner}"),
        Kind::Hardlink => format!("{name} = {link}"),
        Kind::Whiteout => format!("{name} -"),
        Kind::Opaque => format!("{name} *"),
        Kind::Fifo => format!("{name}{about} |"),
        Kind::CharDevice | Kind::BlockDevice => format!("{name}{about} {:?}", entry.device.unwrap()),
    }
}

/// All of a tree, line by line.
pub(super) fn shown(tree: &dyn FileTree) -> Vec<String> {
    let mut lines = Vec::new();
    let mut todo = tree.list(b"").unwrap();
    todo.reverse();
    while let Some(Item { entry, .. }) = todo.pop() {
        lines.push(line(&entry, &content(tree, &entry)));
        todo.extend(tree.list(&entry.path).unwrap().into_iter().rev());
    }
    lines
}

fn content(tree: &dyn FileTree, entry: &Entry) -> String {
    let mut content = Vec::new();
    if entry.kind == Kind::File {
        tree.open(&entry.path).unwrap().read_to_end(&mut content).unwrap();
    }
    String::from_utf8_lossy(&content).into_owned()
}

/// What actions made: the layer's entries, and all that is there then.
pub(super) struct Made {
    pub(super) layer: Vec<String>,
    pub(super) entries: Vec<Entry>,
    pub(super) tree: Vec<String>,
}

/// Carries out actions on layers (none for scratch); copies take from `source`.
pub(super) fn make(base: &[&str], source: &Arc<dyn FileTree>, text: &str) -> Result<Made> {
    let below: Vec<TreeLayer> = base.iter().map(|lines| layer(tar(lines))).collect();
    let tree = LayerTree::new(below.clone(), nowhere())?;
    let memory = Memory::new();
    let writer = LayerWriter::new(memory.stage()?, Compression::None);
    let base = (!below.is_empty()).then_some(&tree as &dyn FileTree);
    let made = with_job(base, source, text, |job| missing::check(job).and_then(|()| run(job, writer)))?.commit()?;
    let bytes = read_small(&memory, &made.descriptor, 1 << 30)?;
    let (layer_lines, entries) = read(&bytes);
    let above = below.into_iter().chain([layer(bytes)]).collect();
    Ok(Made { layer: layer_lines, entries, tree: shown(&LayerTree::new(above, nowhere())?) })
}

pub(super) fn keyed(source: &Arc<dyn FileTree>, text: &str) -> Result<Digest> {
    with_job(None, source, text, key)
}

fn with_job<T>(base: Option<&dyn FileTree>, source: &Arc<dyn FileTree>, text: &str, work: impl FnOnce(&Job) -> T) -> T {
    let actions: Vec<Action> = text.lines().map(action).collect();
    let made = Time { seconds: 77, nanos: 7 };
    work(&Job { base, own: &[], actions: &actions, inputs: &|_| Ok(Arc::clone(source)), made, touched: None, cancelled: &|| false })
}

/// The entries of a layer.
fn read(tar: &[u8]) -> (Vec<String>, Vec<Entry>) {
    let mut reader = TarReader::new(tar).as_layer();
    let (mut lines, mut entries) = (Vec::new(), Vec::new());
    while let Some(member) = reader.next_entry().unwrap() {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        lines.push(line(&member.entry, &String::from_utf8_lossy(&content)));
        entries.push(member.entry);
    }
    (lines, entries)
}

/// `user:group`, each a name or a number.
pub(super) fn owner(text: &str) -> Owner {
    let id = |text: &str| (!text.is_empty()).then(|| text.parse().map_or_else(|_| Id::Name(text.into()), Id::Number));
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    Owner { user: id(user), group: id(group) }
}

/// `copy SOURCE DEST`, `mkdir PATH`, `mkfile PATH CONTENT`, `symlink PATH TARGET` or `rm PATH`, and flags. A copy is
/// as the Dockerfile's COPY has it, unless it is `plain`.
fn action(line: &str) -> Action {
    let words: Vec<&str> = line.split_whitespace().collect();
    let has = |flag: &str| words.contains(&flag);
    let value = |flag: &str| words.iter().find_map(|word| word.strip_prefix(flag).and_then(|rest| rest.strip_prefix('=')));
    let octal = |flag| value(flag).map(|mode| u32::from_str_radix(mode, 8));
    let owner = value("chown").map(owner);
    let path = words[1].to_owned();
    match words[0] {
        "copy" => Action::Copy(CopyFiles {
            from: 0,
            source: path,
            wildcard: !has("plain"),
            allow_empty: !has("plain"),
            dest: words[2].into(),
            contents: !has("plain"),
            unpack: has("unpack"),
            parents: has("parents"),
            replace: has("replace"),
            exclude: words.iter().filter_map(|word| word.strip_prefix("exclude=")).map(String::from).collect(),
            owner,
            permissions: value("chmod").map(|mode| match octal("chmod") {
                Some(Ok(mode)) => Permissions::Octal(mode),
                _ => Permissions::Symbolic(mode.into()),
            }),
        }),
        "mkdir" => {
            let mode = octal("mode").map_or(0o755, std::result::Result::unwrap);
            Action::MakeFolder(MakeFolder { path, mode, parents: has("parents"), owner })
        }
        "mkfile" => Action::MakeFile(MakeFile { path, content: words[2].into(), mode: 0o600, owner }),
        "symlink" => Action::MakeSymlink(MakeSymlink { path, target: words[2].into(), owner }),
        "rm" => Action::Remove(Remove { path, wildcard: has("wildcard"), allow_missing: has("missing") }),
        other => unreachable!("{other}"),
    }
}
