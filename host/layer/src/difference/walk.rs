//! The walk through what may have changed.

use std::{
    collections::HashMap,
    io::{self, Read},
};

use nacre_oci::{Error, Result};
use rustix::fs::FileType;

use crate::{
    Entry, Kind, LayerWriter,
    difference::{Change, ChangeKind, Changes, Difference, same},
    path::{self, join},
    steady::{Steady, unless_gone},
    tar::{OPAQUE, WHITEOUT},
    unpack::{Lowers, Node, OverlayAttributes, Root, Shown, is_opaque, stored},
};

/// Where changes go.
pub(super) enum Out<'a> {
    Layer(&'a mut LayerWriter),
    List(&'a mut dyn FnMut(Change) -> Result<()>),
}

/// A walk through what may have changed.
pub(super) struct Walk<'a> {
    top: Root,
    lowers: Lowers,
    /// Only of an overlay.
    attributes: Option<OverlayAttributes>,
    exclude: &'a [Vec<u8>],
    out: Out<'a>,
    /// The first name of files that have several.
    links: HashMap<(u64, u64), Vec<u8>>,
    done: Difference,
    /// A file that has only got another name is written, too.
    linked_anew: bool,
}

/// A folder on the way.
struct Level {
    path: Vec<u8>,
    /// The trees that it had been merged from.
    below: Vec<usize>,
    /// Whether all that it shows is in it: what it lacks is deleted.
    complete: bool,
    /// Names that are still to be looked at, last first.
    names: Vec<Vec<u8>>,
    /// Its own entry, as long as it has not been written.
    entry: Option<Written>,
}

/// An entry, and whether something was there before.
struct Written {
    entry: Entry,
    was: bool,
}

impl<'a> Walk<'a> {
    /// Writes a file, too, that has only got another name.
    pub(super) fn with_new_links(self) -> Self {
        Self { linked_anew: true, ..self }
    }

    pub(super) fn new(changes: &Changes<'_>, exclude: &'a [Vec<u8>], out: Out<'a>) -> Result<Self> {
        let (top, lowers, attributes) = match changes {
            Changes::Overlay { upper, lowers, attributes } => (upper, Lowers::open(lowers, *attributes)?, Some(*attributes)),
            Changes::Trees { before, after } => (after, Lowers::open(&[before], OverlayAttributes::Trusted)?, None),
        };
        Ok(Self {
            top: Root::open(top)?,
            lowers,
            attributes,
            exclude,
            out,
            links: HashMap::new(),
            done: Difference::default(),
            linked_anew: false,
        })
    }

    pub(super) fn run(mut self) -> Result<Difference> {
        let root = self.level(Vec::new(), self.lowers.all(), self.attributes.is_none(), None);
        let mut levels = vec![root.map_err(reading(b"the root folder"))?];
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.names.pop() else {
                levels.pop();
                continue;
            };
            let path = join(&level.path, &name);
            if self.exclude.contains(&path) {
                continue;
            }
            if let Some(deeper) = self.visit(path, &mut levels)? {
                levels.push(deeper);
            }
        }
        Ok(self.done)
    }

    /// A folder, with the names in it; of a complete one also those that were in it.
    fn level(&self, path: Vec<u8>, below: Vec<usize>, complete: bool, entry: Option<Written>) -> io::Result<Level> {
        let mut names = unless_gone(self.top.names(&path))?.unwrap_or_default();
        if complete && !below.is_empty() {
            for tree in &below {
                names.append(&mut self.lowers.root(*tree).names(&path)?);
            }
            names.sort_unstable();
            names.dedup();
        }
        names.reverse();
        Ok(Level { path, below, complete, names, entry })
    }

    /// Writes what changed at one path. A folder is returned to be gone through.
    fn visit(&mut self, path: Vec<u8>, levels: &mut [Level]) -> Result<Option<Level>> {
        let (below, complete) = levels.last().map_or((&[][..], false), |level| (&level.below, level.complete));
        let read = || reading(&path);
        let was = self.lowers.look(below, &path).map_err(read())?;
        let node = unless_gone(self.top.look(&path)).map_err(read())?.flatten();
        let Some(node) = node.filter(|node| self.attributes.is_none() || !node.is_whiteout()) else {
            // Overlayfs leaves whiteouts of what no lower folder has.
            let gone = was.map(|_| Written { entry: Entry::new(path, Kind::Whiteout), was: true });
            return gone.map_or(Ok(()), |gone| self.write(gone, levels)).map(|()| None);
        };
        if let (Out::Layer(_), Some(marks)) = (&self.out, marked(&path)) {
            return marks.map_or(Ok(()), |entry| self.write(Written { entry, was: false }, levels)).map(|()| None);
        }
        if node.is_folder() {
            return self.folder(path, &node, was, complete, levels).map(Some);
        }
        if let Some(was) = &was
            && !self.is_linked_anew(&was.node, &node)
            && same::file(&was.node, &node).map_err(read())?
        {
            return Ok(None);
        }
        self.refuse_redirects(&path, &node)?;
        match (stored(&node, &path).map_err(read())?, &self.out) {
            (Some(entry), _) => self.file(&node, Written { entry, was: was.is_some() }, levels)?,
            (None, Out::List(_)) => self.write(Written { entry: Entry::new(path, Kind::Fifo), was: was.is_some() }, levels)?,
            (None, Out::Layer(_)) => self.done.skipped_sockets += 1,
        }
        Ok(None)
    }

    fn folder(&mut self, path: Vec<u8>, node: &Node, was: Option<Shown>, complete: bool, levels: &mut [Level]) -> Result<Level> {
        self.refuse_redirects(&path, node)?;
        let read = || reading(&path);
        let entry = stored(node, &path).map_err(read())?.ok_or_else(|| Error::not_found(path::shown(&path)))?;
        let mut entry = Some(Written { entry, was: was.is_some() });
        let was = was.filter(|was| was.node.is_folder());
        let opaque = match (self.attributes, &was) {
            (Some(attributes), Some(_)) => is_opaque(node, attributes.opaque()).map_err(read())?,
            _ => false,
        };
        // A list has what is gone by its names.
        let marked = opaque && matches!(self.out, Out::Layer(_));
        let same = match &was {
            Some(was) => !marked && same::metadata(&was.node, node).map_err(read())?,
            None => self.leads_to_excluded(&path),
        };
        if !same && let Some(entry) = entry.take() {
            self.write(entry, levels)?;
        }
        if marked {
            self.write(Written { entry: Entry::new(path.clone(), Kind::Opaque), was: true }, levels)?;
        }
        let below = was.filter(|_| !marked).map_or_else(Vec::new, |was| was.trees);
        self.level(path.clone(), below, complete || opaque, entry).map_err(read())
    }

    /// Whether a file may have got another name, which a layer can only have as a link to one of its own entries (containerd's
    /// rule). What an overlay mount copies up has one name at first.
    fn is_linked_anew(&self, was: &Node, node: &Node) -> bool {
        let names = (was.stat.st_nlink, node.stat.st_nlink);
        self.linked_anew && names.1 > 1 && (self.attributes.is_some() || names.0 != names.1)
    }

    /// Whether a folder may have been made only to hold something that is left out.
    fn leads_to_excluded(&self, path: &[u8]) -> bool {
        self.exclude.iter().any(|excluded| excluded.strip_prefix(path).is_some_and(|rest| rest.starts_with(b"/")))
    }

    /// Writes a file, or another name of one.
    fn file(&mut self, node: &Node, written: Written, levels: &mut [Level]) -> Result<()> {
        let Written { mut entry, was } = written;
        if node.stat.st_nlink > 1 {
            let id = (node.stat.st_dev, node.stat.st_ino);
            if let Some(first) = self.links.get(&id) {
                let link = Entry { kind: Kind::Hardlink, link: Some(first.clone()), size: 0, xattrs: Vec::new(), device: None, ..entry };
                return self.write(Written { entry: link, was }, levels);
            }
            self.links.insert(id, entry.path.clone());
        }
        if node.kind() != FileType::RegularFile || matches!(self.out, Out::List(_)) {
            return self.write(Written { entry, was }, levels);
        }
        let path = entry.path.clone();
        let file = node.open().map_err(reading(&path))?;
        entry.size = file.metadata().map_err(reading(&path))?.len();
        let size = entry.size;
        self.write_with(Written { entry, was }, &mut Steady::new(file, size), levels)
    }

    fn write(&mut self, written: Written, levels: &mut [Level]) -> Result<()> {
        self.write_with(written, &mut io::empty(), levels)
    }

    /// Writes an entry after the folders that it lies in.
    fn write_with(&mut self, written: Written, content: &mut dyn Read, levels: &mut [Level]) -> Result<()> {
        for folder in levels.iter_mut().filter_map(|level| level.entry.take()) {
            self.put(folder, &mut io::empty())?;
        }
        self.put(written, content)
    }

    fn put(&mut self, written: Written, content: &mut dyn Read) -> Result<()> {
        self.done.entries += 1;
        match &mut self.out {
            Out::Layer(layer) => layer.add(&written.entry, content),
            Out::List(tell) => {
                let kind = match (written.entry.kind, written.was) {
                    (Kind::Whiteout, _) => ChangeKind::Deleted,
                    (_, true) => ChangeKind::Changed,
                    (_, false) => ChangeKind::Added,
                };
                tell(Change { kind, path: written.entry.path })
            }
        }
    }

    /// Overlay mounts can leave content where it was and only say where that is; then it would be missing here.
    fn refuse_redirects(&self, path: &[u8], node: &Node) -> Result<()> {
        let Some(attributes) = self.attributes else { return Ok(()) };
        let mark = if node.is_folder() { attributes.redirect() } else { attributes.metacopy() };
        if node.xattr(mark).map_err(reading(path))?.is_none() {
            return Ok(());
        }
        let what = format!("the overlay mount's {mark} of {}", path::shown(path));
        Err(Error::Unsupported { what, why: "mount it with redirect_dir=off,metacopy=off".into() })
    }
}

/// What a name that begins with `.wh.` takes away; of some names, nothing. `None` for any other name.
fn marked(path: &[u8]) -> Option<Option<Entry>> {
    let (folder, name) = path::split(path)?;
    let gone = name.strip_prefix(WHITEOUT)?;
    Some(match gone {
        _ if name == OPAQUE => Some(Entry::new(folder, Kind::Opaque)),
        b"" | b"." | b".." => None,
        _ if gone.starts_with(WHITEOUT) => None,
        _ => Some(Entry::new(join(folder, gone), Kind::Whiteout)),
    })
}

fn reading(path: &[u8]) -> impl FnOnce(io::Error) -> Error {
    Error::io(format!("read {}", path::shown(path)))
}
