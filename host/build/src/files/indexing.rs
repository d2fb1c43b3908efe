//! Making a layer's index, by the rules of the image specification (`layer.md`, "Applying Changesets").
//!
//! A layer may reach through symbolic links of the layers below, so its index is one for the chain that it ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
    ops::Range,
};

use nacre_layer::{Bytes, Entry, Kind, Reader, TarReader, path};
use nacre_oci::{Digest, Error, Hasher, Result};

use super::{
    Item,
    format::{Index, Record},
    layers::Chain,
    resolve::{folder_of, name_of, resolve_by},
    shown,
};

/// The most entries of one layer.
const MAX: usize = 2_000_000;

/// Reads a layer, which is the next above `below`, once and in order.
///
/// # Errors
/// If it cannot be read, has another digest, or cannot be applied.
pub(super) fn index(bytes: &Bytes, diff_id: &Digest, below: &Chain) -> Result<Index> {
    let name = &format!("layer {}", diff_id.short());
    let reading = || Error::io(format!("read {name}"));
    let reader = bytes.reader_from_start().map_err(reading())?;
    let mut hashed = Hashed { reader, hash: Hasher::new(diff_id.algorithm()) };
    let mut members = TarReader::new(&mut hashed).named(name).as_layer().allow_unterminated();
    let layer = u16::try_from(below.len()).map_err(|_| Error::TooLarge { what: "the image".into(), limit: "65,535 layers".into() })?;
    let mut indexing = Indexing { below, layer, own: BTreeMap::new(), gone: BTreeSet::new(), opaque: BTreeSet::new() };
    while let Some(member) = members.next_entry().map_err(reading())? {
        let path = member.entry.path.clone();
        indexing.add(member.entry, member.offset).map_err(|why| Error::malformed(format!("{} in {name}", shown(&path)), why))?;
        if indexing.own.len() > MAX {
            return Err(Error::TooLarge { what: name.into(), limit: format!("{MAX} entries") });
        }
    }
    // Whatever follows the archive's end.
    io::copy(&mut hashed, &mut io::sink()).map_err(reading())?;
    let actual = hashed.hash.digest();
    if actual != *diff_id {
        return Err(Error::Mismatch { what: name.clone(), expected: diff_id.to_string(), actual: actual.to_string() });
    }
    indexing.finish()
}

/// Hashes what is read: a config that lies about its layers must not get into any cache.
struct Hashed {
    reader: Reader,
    hash: Hasher,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

struct Indexing<'a> {
    below: &'a Chain,
    layer: u16,
    own: BTreeMap<Vec<u8>, Record>,
    /// What is gone of the layers below, and of which folders all is.
    gone: BTreeSet<Vec<u8>>,
    opaque: BTreeSet<Vec<u8>>,
}

impl Indexing<'_> {
    fn add(&mut self, mut entry: Entry, offset: u64) -> Result<()> {
        let path = match entry.kind {
            Kind::Opaque => resolve_by(&|path| self.get(path), &entry.path),
            _ => self.place(&entry.path),
        };
        let gone = matches!(entry.kind, Kind::Whiteout | Kind::Opaque);
        let path = match path {
            // Nothing can be there to be taken away.
            Err(_) if gone => return Ok(()),
            path => path?,
        };
        match entry.kind {
            Kind::Whiteout => _ = self.gone.insert(path),
            Kind::Opaque => _ = self.opaque.insert(path),
            // The root is there already.
            _ if path.is_empty() => {}
            Kind::Hardlink => {
                let record = self.target(entry.link.as_deref().unwrap_or_default())?;
                self.set(path, record)?;
            }
            _ => {
                if entry.kind == Kind::Symlink {
                    entry.mode = 0o777;
                }
                self.set(path, Record { entry, opaque: false, linked: false, layer: self.layer, offset })?;
            }
        }
        Ok(())
    }

    /// What a hard link is another name for, which from now on has several.
    fn target(&mut self, link: &[u8]) -> Result<Record> {
        let target = self.place(link)?;
        if let Some(record) = self.own.get_mut(&target) {
            record.linked = true;
        }
        match self.record(&target) {
            Some(record) if record.entry.kind != Kind::Directory => Ok(Record { linked: true, ..record }),
            _ => Err(super::fail(format!("it is a hard link to {}, which is no file", shown(&target)))),
        }
    }

    /// Where a path really lies, its own last part not followed.
    fn place(&self, path: &[u8]) -> Result<Vec<u8>> {
        if path.is_empty() {
            return Ok(Vec::new());
        }
        Ok(path::join(&resolve_by(&|path| self.get(path), folder_of(path))?, name_of(path)))
    }

    fn get(&self, path: &[u8]) -> Result<Option<Item>> {
        Ok(self.record(path).map(|record| record.item()))
    }

    fn record(&self, path: &[u8]) -> Option<Record> {
        if let Some(own) = self.own.get(path) {
            return Some(own.clone());
        }
        let mut at = path;
        let mut hidden = self.gone.contains(at);
        while !hidden && !at.is_empty() {
            at = folder_of(at);
            let shadow = self.own.get(at).is_some_and(|record| record.opaque || record.entry.kind != Kind::Directory);
            hidden = shadow || self.gone.contains(at) || self.opaque.contains(at);
        }
        if hidden { None } else { self.below.record(path) }
    }

    /// Gives something a name, and with it the folders that it needs. What replaces a folder takes away all that it held.
    fn set(&mut self, path: Vec<u8>, record: Record) -> Result<()> {
        self.make(folder_of(&path))?;
        let folder = record.entry.kind == Kind::Directory;
        if !folder {
            self.own.extract_if(below(&path), |_, _| true).for_each(drop);
        }
        // A folder in place of what took a folder's place: that one's content does not come back.
        let opaque = folder && self.own.get(&path).is_some_and(|own| own.opaque || own.entry.kind != Kind::Directory);
        let entry = Entry { path: path.clone(), ..record.entry };
        self.own.insert(path, Record { entry, opaque, ..record });
        Ok(())
    }

    /// Makes a folder that no layer describes, and those above it, if they are not there.
    fn make(&mut self, folder: &[u8]) -> Result<()> {
        let mut at = folder;
        while !at.is_empty() {
            match self.record(at) {
                Some(record) if record.entry.kind == Kind::Directory => break,
                Some(_) => return Err(super::fail(format!("{} on the way to it is no folder", shown(at)))),
                None => self.imply(at.to_vec()),
            }
            at = folder_of(at);
        }
        Ok(())
    }

    fn imply(&mut self, folder: Vec<u8>) {
        let entry = Entry::new(folder.clone(), Kind::Directory);
        self.own.insert(folder, Record { entry, opaque: false, linked: false, layer: self.layer, offset: 0 });
    }

    /// Whiteouts leave what their own layer has alone, in whatever order it came.
    fn finish(mut self) -> Result<Index> {
        if !self.gone.is_empty() || !self.opaque.is_empty() {
            // What is left needs its folders.
            let folders: BTreeSet<Vec<u8>> = self.own.keys().map(|path| folder_of(path).to_vec()).collect();
            folders.iter().try_for_each(|folder| self.make(folder))?;
        }
        for path in self.gone.clone() {
            match self.own.get_mut(&path) {
                Some(own) => own.opaque |= own.entry.kind == Kind::Directory,
                None if self.below.record(&path).is_some() => {
                    let entry = Entry::new(path.clone(), Kind::Whiteout);
                    self.own.insert(path, Record { entry, opaque: false, linked: false, layer: self.layer, offset: 0 });
                }
                None => {}
            }
        }
        for path in self.opaque.clone() {
            if path.is_empty() {
                self.imply(Vec::new());
            }
            match self.own.get_mut(&path) {
                Some(own) => own.opaque |= own.entry.kind == Kind::Directory,
                None => {
                    let folder = self.record(&path).filter(|record| record.entry.kind == Kind::Directory);
                    folder.into_iter().for_each(|record| drop(self.own.insert(path.clone(), Record { opaque: true, ..record })));
                }
            }
        }
        Ok(Index::new(self.own.into_values().collect()))
    }
}

/// The paths below a folder that is not the root.
fn below(folder: &[u8]) -> Range<Vec<u8>> {
    // '0' is what follows '/'.
    [folder, b"/"].concat()..[folder, b"0"].concat()
}
