//! The interface `files` of `wit/files.wit`: what archives and layers hold, as it crosses.

use std::io;

use nacre_layer::{Entry, Kind, Xattr, path};
use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, Resource};

use super::builder::LayerHandle;
use super::bytes::Source;
use super::listing::Listing;
use super::{MAX_READ, Outcome, Output, Trouble, function, resource};
use crate::state::State;

/// The most entries that are passed at a time.
const MAX_ENTRIES: usize = 4_096;

#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
enum WitKind {
    #[component(name = "file")]
    File,
    #[component(name = "directory")]
    Directory,
    #[component(name = "symlink")]
    Symlink,
    #[component(name = "hardlink")]
    Hardlink,
    #[component(name = "char-device")]
    CharDevice,
    #[component(name = "block-device")]
    BlockDevice,
    #[component(name = "fifo")]
    Fifo,
    #[component(name = "whiteout")]
    Whiteout,
    #[component(name = "opaque")]
    Opaque,
}

/// Both kinds, side by side.
const KINDS: [(Kind, WitKind); 9] = [
    (Kind::File, WitKind::File),
    (Kind::Directory, WitKind::Directory),
    (Kind::Symlink, WitKind::Symlink),
    (Kind::Hardlink, WitKind::Hardlink),
    (Kind::CharDevice, WitKind::CharDevice),
    (Kind::BlockDevice, WitKind::BlockDevice),
    (Kind::Fifo, WitKind::Fifo),
    (Kind::Whiteout, WitKind::Whiteout),
    (Kind::Opaque, WitKind::Opaque),
];

#[derive(Clone, ComponentType, Lift, Lower)]
#[component(record)]
struct WitXattr {
    name: String,
    value: Vec<u8>,
}

#[derive(Clone, ComponentType, Lift, Lower)]
#[component(record)]
struct WitEntry {
    path: String,
    kind: WitKind,
    mode: u32,
    uid: u32,
    gid: u32,
    size: u64,
    mtime: i64,
    nanos: u32,
    link: Option<String>,
    device: Option<(u32, u32)>,
    xattrs: Vec<WitXattr>,
}

impl From<Entry> for WitEntry {
    fn from(entry: Entry) -> WitEntry {
        let (_, kind) = KINDS[entry.kind as usize];
        WitEntry {
            path: entry.name(),
            kind,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            size: entry.size,
            mtime: entry.mtime,
            nanos: entry.nanos,
            link: entry.link.as_deref().map(path::to_text),
            device: entry.device,
            xattrs: entry.xattrs.into_iter().map(|Xattr { name, value }| WitXattr { name, value }).collect(),
        }
    }
}

impl WitEntry {
    /// The entry, with its paths tidied up.
    fn tidy(self) -> Outcome<Entry> {
        let bad = |why: path::BadPath| Trouble::invalid(format!("{}: {why}", self.path));
        let (kind, _) = KINDS[self.kind as usize];
        let link = match (kind, self.link.as_deref().map(path::from_text)) {
            (Kind::Hardlink, Some(link)) => Some(path::tidy(&link).map_err(bad)?),
            (_, link) => link,
        };
        Ok(Entry {
            path: path::tidy(&path::from_text(&self.path)).map_err(bad)?,
            kind,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            size: self.size,
            mtime: self.mtime,
            nanos: self.nanos,
            link,
            device: self.device,
            xattrs: self.xattrs.into_iter().map(|WitXattr { name, value }| Xattr { name, value }).collect(),
        })
    }
}

#[derive(ComponentType, Lift)]
#[component(variant)]
enum Content {
    #[component(name = "none")]
    None,
    #[component(name = "bytes")]
    Bytes(Vec<u8>),
    #[component(name = "source")]
    Source(Resource<Source>),
}

/// Adds the interface `files`.
pub(super) fn add(files: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    resource::<Listing>(files, "listing")?;
    resource::<LayerHandle>(files, "layer")?;
    function(files, "[method]listing.next", next)?;
    function(files, "[method]listing.open", open)?;
    function(files, "read-tar", read_tar)?;
    function(files, "write-tar", write_tar)?;
    function(files, "[method]layer.add", add_entry)?;
    function(files, "[method]layer.add-tar", add_tar)
}

fn next(state: &mut State, (listing, max): (Resource<Listing>, u32)) -> Outcome<Vec<WitEntry>> {
    let watch = state.watch.clone();
    let listing = state.handles.get_mut(&listing)?;
    let (mut entries, mut bytes) = (Vec::new(), 0);
    while entries.len() < (max as usize).min(MAX_ENTRIES) && bytes < MAX_READ {
        let Some(entry) = listing.next(&watch)? else { break };
        bytes += weight(&entry);
        entries.push(WitEntry::from(entry));
    }
    state.counts.bytes_in += bytes as u64;
    Ok(entries)
}

/// The bytes of an entry's texts and attributes.
fn weight(entry: &Entry) -> usize {
    let attributes = entry.xattrs.iter().map(|xattr| xattr.name.len() + xattr.value.len());
    entry.path.len() + entry.link.as_ref().map_or(0, Vec::len) + attributes.sum::<usize>()
}

fn open(state: &mut State, (listing, index): (Resource<Listing>, u32)) -> Outcome<Resource<Source>> {
    let content = state.handles.get(&listing)?.open(index as usize, &state.watch)?;
    state.push_source(content)
}

fn read_tar(state: &mut State, (source,): (Resource<Source>,)) -> Outcome<Resource<Listing>> {
    let listing = Listing::of_tar(state.bytes(&source)?, &state.watch)?;
    Ok(state.handles.push(listing)?)
}

fn write_tar(state: &mut State, (listing, sink): (Resource<Listing>, Resource<Output>)) -> Outcome<()> {
    let watch = state.watch.clone();
    let output = state.handles.get(&sink)?.share();
    let listing = state.handles.get_mut(&listing)?;
    output.write_tar(|tar| {
        while let Some((entry, content)) = listing.next_with_content(&watch)? {
            match content {
                Some(content) => tar.add(&entry, &mut watch.over(content))?,
                None => tar.add(&entry, &mut io::empty())?,
            }
        }
        Ok(())
    })
}

fn add_entry(state: &mut State, (layer, entry, content): (Resource<LayerHandle>, WitEntry, Content)) -> Outcome<()> {
    let entry = entry.tidy()?;
    state.crossed_out(weight(&entry))?;
    let (mut bytes, size): (Box<dyn io::Read + Send>, u64) = match content {
        Content::None => (Box::new(io::empty()), 0),
        Content::Bytes(bytes) => {
            state.crossed_out(bytes.len())?;
            let size = bytes.len() as u64;
            (Box::new(io::Cursor::new(bytes)), size)
        }
        Content::Source(source) => (Box::new(state.watch.over(state.bytes(&source)?)), entry.size),
    };
    if size != entry.size {
        return Err(Trouble::invalid(format!("{}: {size} bytes of content, not {}", entry.name(), entry.size)));
    }
    state.handles.get(&layer)?.add(&entry, &mut *bytes)
}

fn add_tar(state: &mut State, (layer, source): (Resource<LayerHandle>, Resource<Source>)) -> Outcome<()> {
    let bytes = state.bytes(&source)?;
    state.handles.get(&layer)?.add_tar(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_stand_side_by_side() {
        for (index, (kind, wit)) in KINDS.into_iter().enumerate() {
            assert_eq!((kind as usize, wit as usize), (index, index));
        }
    }
}
