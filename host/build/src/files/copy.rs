//! Copying files of one tree to another (BuildKit's file backend and the copy of its fsutil).

use std::{collections::HashMap, sync::Arc};

use nacre_layer::{
    Entry, Kind,
    path::{clamp, join},
};
use nacre_oci::{Error, Result};
use nacre_plugin::graph::CopyFiles;

use super::{
    FileTree, Item, Names, Patterns, Time,
    actions::{Ids, make_all},
    draft::{Content, Draft},
    fail,
    glob::{is_pattern, no_such, not_found, select},
    mode::Mode,
    patterns::Matched,
    resolve::{folder_of, name_of, resolve},
    shown,
    unpack::{self, Unpacking},
};

/// One copy in progress.
pub(super) struct Copying<'a, 'b> {
    pub(super) draft: &'a mut Draft<'b>,
    pub(super) source: Arc<dyn FileTree>,
    pub(super) ids: Ids,
    pub(super) mode: Mode,
    pub(super) made: Time,
    pub(super) cancelled: &'a (dyn Fn() -> bool + Sync),
    what: What,
    /// Which drafted file has become of one that has several names.
    inodes: HashMap<(u64, u64), usize>,
    /// The folders above what is being copied, outermost first.
    above: Vec<Frame>,
}

/// What of a source is copied.
pub(super) struct What {
    pub(super) sources: Vec<Vec<u8>>,
    pub(super) include: Option<Patterns>,
    pub(super) exclude: Patterns,
    /// Something must be there.
    pub(super) required: Option<Vec<u8>>,
}

/// A folder that is being copied, or only what lies in it.
struct Frame {
    source: Entry,
    target: Vec<u8>,
    /// Relative to the source that was named; empty for that itself.
    inner: Vec<u8>,
    /// If not, it is made as soon as something in it is copied.
    made: bool,
    /// What is left of what it holds.
    held: std::vec::IntoIter<Item>,
    /// What patterns match it.
    included: Matched,
    excluded: Matched,
}

impl What {
    /// Reads an action's paths and patterns.
    pub(super) fn new(tree: &dyn FileTree, action: &CopyFiles) -> Result<Self> {
        let exclude = Patterns::new(&action.exclude)?;
        let (source, include) = if action.parents { pivot(&action.source)? } else { (action.source.as_str(), None) };
        let plain = |pattern: &String| !is_pattern(source) && !is_pattern(pattern);
        let required = include
            .as_ref()
            .filter(|pattern| !action.allow_empty || plain(pattern))
            .map(|pattern| tidied(&format!("{source}/{pattern}")))
            .transpose()?;
        let include = include.map(|pattern| Patterns::new(&[pattern])).transpose()?;
        let sources = if action.wildcard { select(tree, source)? } else { vec![tidied(source)?] };
        Ok(Self { sources, include, exclude, required })
    }
}

/// The folder that `--parents` copies from, and the pattern of what it copies: what stands behind `/./`, or all.
pub(super) fn pivot(source: &str) -> Result<(&str, Option<String>)> {
    let (folder, pattern) = source.split_once("/./").unwrap_or(("/", source));
    let pattern = String::from_utf8(tidied(pattern)?).map_err(|error| Error::malformed(source, error))?;
    Ok((folder, Some(pattern)))
}

pub(super) fn tidied(path: &str) -> Result<Vec<u8>> {
    clamp(path.as_bytes()).map_err(|why| Error::malformed(format!("'{path}'"), why))
}

impl<'a, 'b> Copying<'a, 'b> {
    pub(super) fn new(
        draft: &'a mut Draft<'b>,
        source: Arc<dyn FileTree>,
        (what, ids, mode): (What, Ids, Mode),
        made: Time,
        cancelled: &'a (dyn Fn() -> bool + Sync),
    ) -> Self {
        Self { draft, source, ids, mode, made, cancelled, what, inodes: HashMap::new(), above: Vec::new() }
    }

    /// Does what the action says.
    pub(super) fn run(&mut self, action: &CopyFiles) -> Result<()> {
        let sources = std::mem::take(&mut self.what.sources);
        if sources.is_empty() && !action.allow_empty {
            return Err(not_found(action.source.as_bytes()));
        }
        for named in sources {
            let source = resolve(&*self.source, &named)?;
            let mut item = self.source.get(&source)?.ok_or_else(|| no_such(&source))?;
            if source.is_empty() {
                // Nothing tells when a root was made.
                (item.entry.mtime, item.entry.nanos) = (self.made.seconds, self.made.nanos);
            }
            if action.unpack && unpack::is_archive(&*self.source, &item)? {
                let archive = self.source.bytes(&source)?;
                let ids = self.ids;
                Unpacking::new(self.draft, ids, self.made, self.cancelled).run(&archive, &action.dest, &source)?;
                continue;
            }
            let target = self.target(&item, &named, action)?;
            self.tree(item, &target)?;
        }
        Ok(())
    }

    /// Where a source goes; the folders above that are made.
    fn target(&mut self, item: &Item, named: &[u8], action: &CopyFiles) -> Result<Vec<u8>> {
        let dest = action.dest.as_bytes();
        let folder = dest.is_empty() || dest == b"." || dest.ends_with(b"/") || dest.ends_with(b"/.");
        let clean = tidied(&action.dest)?;
        let needed = resolve(self.draft, if folder { &clean } else { folder_of(&clean) })?;
        make_all(self.draft, &needed, self.mode.of_made(), self.ids, self.made)?;
        let mut target = resolve(self.draft, &clean)?;
        let there = self.draft.get(&target)?;
        let contents = (action.contents || action.parents) && item.is_folder();
        let into = match &there {
            Some(_) if item.is_folder() => !contents,
            Some(there) => there.is_folder(),
            None => false,
        };
        if into && !named.is_empty() {
            target = join(&target, name_of(named));
        }
        let needed = if contents && there.is_none() { &target[..] } else { folder_of(&target) };
        make_all(self.draft, needed, self.mode.of_made(), self.ids, self.made)?;
        Ok(target)
    }

    /// Copies one source to `target`. Names of one file stay so within it.
    pub(super) fn tree(&mut self, item: Item, target: &[u8]) -> Result<()> {
        self.inodes.clear();
        let named = self.item(item, Vec::new(), target.to_vec())?;
        self.above.extend(named);
        // No recursion: a hostile tree may have two thousand levels.
        while let Some(frame) = self.above.last_mut() {
            let Some(item) = frame.held.next() else {
                self.above.pop();
                continue;
            };
            let name = name_of(&item.entry.path);
            let (inner, target) = (join(&frame.inner, name), join(&frame.target, name));
            let deeper = self.item(item, inner, target)?;
            self.above.extend(deeper);
        }
        Ok(())
    }

    /// Copies something unless patterns say otherwise; returns a folder to go into.
    fn item(&mut self, item: Item, inner: Vec<u8>, target: Vec<u8>) -> Result<Option<Frame>> {
        let (mut wanted, mut unwanted) = ((true, Matched::new()), (false, Matched::new()));
        if let Some(above) = self.above.last() {
            if let Some(include) = &self.what.include {
                wanted = include.matches(&inner, &above.included);
            }
            if !self.what.exclude.is_empty() {
                unwanted = self.what.exclude.matches(&inner, &above.excluded);
            }
        }
        let made = wanted.0 && !unwanted.0;
        if made {
            self.make_above()?;
            if item.is_folder() {
                self.folder(&item.entry, &inner, &target)?;
            } else {
                self.file(&item, &target)?;
            }
        }
        let deeper = item.is_folder() && (!unwanted.0 || self.what.exclude.has_exceptions());
        if !deeper {
            return Ok(None);
        }
        if (self.cancelled)() {
            return Err(Error::Cancelled);
        }
        let held = self.source.list(&item.entry.path)?.into_iter();
        Ok(Some(Frame { source: item.entry, target, inner, made, held, included: wanted.1, excluded: unwanted.1 }))
    }

    /// Makes the folders above what is copied that were left out until something in them is.
    fn make_above(&mut self) -> Result<()> {
        for index in 0..self.above.len() {
            if std::mem::replace(&mut self.above[index].made, true) {
                continue;
            }
            let (source, target) = (self.above[index].source.clone(), self.above[index].target.clone());
            if !self.is_folder(&target)? {
                // It is not copied itself, so neither is its time.
                self.make(&Entry { mtime: self.made.seconds, nanos: self.made.nanos, ..source }, &target);
            } else if let Some(folder) = self.draft.edit(&target)? {
                folder.entry.mode = source.mode;
            }
        }
        Ok(())
    }

    /// A folder that is copied; one that is there below the named source becomes as its source, and the named one itself only
    /// gets its time.
    fn folder(&mut self, source: &Entry, inner: &[u8], target: &[u8]) -> Result<()> {
        if !self.is_folder(target)? {
            self.make(source, target);
            return Ok(());
        }
        let described = self.described(source);
        let Some(folder) = self.draft.edit(target)? else { return Ok(()) };
        if inner.is_empty() {
            (folder.entry.mtime, folder.entry.nanos) = (source.mtime, source.nanos);
        } else {
            let mut xattrs = std::mem::take(&mut folder.entry.xattrs);
            xattrs.retain(|old| described.xattrs.iter().all(|new| new.name != old.name));
            xattrs.extend(described.xattrs.iter().cloned());
            folder.entry = Entry { xattrs, ..described };
        }
        Ok(())
    }

    /// Whether a folder is there; anything else there is an error.
    fn is_folder(&self, target: &[u8]) -> Result<bool> {
        match self.draft.get(target)? {
            None => Ok(false),
            Some(there) if there.is_folder() => Ok(true),
            Some(_) => Err(fail(format!("cannot copy to non-directory: {}", shown(target)))),
        }
    }

    fn make(&mut self, source: &Entry, target: &[u8]) {
        let entry = self.described(source);
        self.draft.put(target.to_vec(), entry, Content::Empty);
    }

    fn file(&mut self, item: &Item, target: &[u8]) -> Result<()> {
        match self.draft.get(target)? {
            Some(there) if there.is_folder() => return Err(fail(format!("cannot replace to directory {} with file", shown(target)))),
            Some(_) => self.draft.remove(target)?,
            None => {}
        }
        let entry = self.described(&item.entry);
        let known = item.inode.filter(|_| entry.kind == Kind::File);
        if let Some(index) = known.and_then(|inode| self.inodes.get(&inode)) {
            self.draft.link(target.to_vec(), *index);
            return Ok(());
        }
        let content = match entry.kind {
            Kind::File => Content::Tree(Arc::clone(&self.source), item.entry.path.clone()),
            _ => Content::Empty,
        };
        let index = self.draft.put(target.to_vec(), entry, content);
        self.inodes.extend(known.map(|inode| (inode, index)));
        Ok(())
    }

    /// What a source becomes, but for its path.
    fn described(&self, source: &Entry) -> Entry {
        let (uid, gid) = self.ids.unwrap_or((source.uid, source.gid));
        let mode = match source.kind {
            Kind::Symlink => 0o777,
            kind => self.mode.apply(source.mode, kind == Kind::Directory),
        };
        Entry { path: Vec::new(), mode, uid, gid, ..source.clone() }
    }
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
