//! Writing what a draft has changed as a layer.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Read},
};

use nacre_layer::{
    Bytes, Ended, Entry, Kind, LayerWriter,
    path::{join, split},
};
use nacre_oci::{Error, Result};

use super::{
    Names, Time,
    draft::{Change, Content, Covers, Draft, Drafted},
    fail,
    resolve::folder_of,
    shown,
};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Writes all changes. The folders above them are written as they are, because a layer has to say what its folders are.
///
/// # Errors
/// If a file cannot be read, has changed meanwhile, or the layer cannot be written.
pub(super) fn write(draft: &Draft, out: LayerWriter, touched: Option<Time>, cancelled: &(dyn Fn() -> bool + Sync)) -> Result<Ended> {
    let touched = touched.map(|time| (time, touched_folders(draft)));
    let mut writing = Writing { draft, out, folders: HashSet::new(), linked: HashMap::new(), touched };
    for (path, change) in draft.changes() {
        if cancelled() {
            return Err(Error::Cancelled);
        }
        writing.change(path, change)?;
    }
    writing.out.end()
}

struct Writing<'a, 'b> {
    draft: &'a Draft<'b>,
    out: LayerWriter,
    /// Folders that have been written.
    folders: HashSet<Vec<u8>>,
    /// The first name of each file that has several.
    linked: HashMap<usize, Vec<u8>>,
    /// Folders in which something was made or removed, and when.
    touched: Option<(Time, HashSet<Vec<u8>>)>,
}

/// Which folders have got or lost a name.
fn touched_folders(draft: &Draft) -> HashSet<Vec<u8>> {
    let renamed = |change| match change {
        Change::Gone => true,
        Change::File(index) => draft.file(index).covers != Covers::Own,
    };
    draft.changes().filter(|(_, change)| renamed(*change)).map(|(path, _)| folder_of(path).to_vec()).collect()
}

impl Writing<'_, '_> {
    fn change(&mut self, path: &[u8], change: Change) -> Result<()> {
        let index = match change {
            Change::Gone => {
                self.folders_above(path)?;
                return self.add(&Entry::new(path, Kind::Whiteout), Box::new(io::empty()));
            }
            Change::File(index) => index,
        };
        if path.split(|byte| *byte == b'/').any(|part| part.starts_with(WHITEOUT)) {
            return self.marker(path);
        }
        let file = self.draft.file(index);
        if self.is_unchanged(path, file)? {
            return Ok(());
        }
        self.folders_above(path)?;
        if let Some(first) = self.linked.get(&index) {
            let link = Some(first.clone());
            let entry = Entry { path: path.into(), kind: Kind::Hardlink, size: 0, link, device: None, ..file.entry.clone() };
            return self.add(&entry, Box::new(io::empty()));
        }
        if file.linked {
            self.linked.insert(index, path.to_vec());
        }
        let content = self.open(file).map_err(|error| explain(error, path))?;
        self.add(&Entry { path: path.into(), ..file.entry.clone() }, content)?;
        if file.entry.kind == Kind::Directory {
            self.folders.insert(path.to_vec());
            let covered = self.draft.base().filter(|_| file.covers == Covers::Gone).map_or(Ok(None), |base| base.get(path))?;
            if covered.is_some_and(|covered| covered.is_folder()) {
                self.add(&Entry::new(path, Kind::Opaque), Box::new(io::empty()))?;
            }
        }
        Ok(())
    }

    /// A name that marks a whiteout is one in the layer (BuildKit writes it as it is, with that effect).
    fn marker(&mut self, path: &[u8]) -> Result<()> {
        let (folder, name) = split(path).unwrap_or_default();
        let marked = name
            .strip_prefix(WHITEOUT)
            .filter(|gone| !matches!(*gone, b"" | b"." | b"..") && (name == OPAQUE || !gone.starts_with(WHITEOUT)));
        let Some(gone) = marked else { return Ok(()) };
        // What lies in a folder of such a name is nowhere.
        if folder.split(|byte| *byte == b'/').any(|part| part.starts_with(WHITEOUT)) {
            return Ok(());
        }
        self.folders_above(path)?;
        let entry = if name == OPAQUE { Entry::new(folder, Kind::Opaque) } else { Entry::new(join(folder, gone), Kind::Whiteout) };
        self.add(&entry, Box::new(io::empty()))
    }

    /// Whether it is a folder of the base, and as it was.
    fn is_unchanged(&self, path: &[u8], file: &Drafted) -> Result<bool> {
        if file.covers != Covers::Own || file.entry.kind != Kind::Directory {
            return Ok(false);
        }
        let was = self.draft.base().map_or(Ok(None), |base| base.get(path))?;
        Ok(was.is_some_and(|was| Entry { path: Vec::new(), ..was.entry } == file.entry))
    }

    fn folders_above(&mut self, path: &[u8]) -> Result<()> {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
        for folder in ends.map(|end| &path[..end]) {
            if self.folders.contains(folder) {
                continue;
            }
            if let Some(item) = self.draft.get(folder)? {
                let mut entry = Entry { path: folder.into(), ..item.entry };
                if let Some((time, _)) = self.touched.as_ref().filter(|(_, touched)| touched.contains(folder)) {
                    (entry.mtime, entry.nanos) = (time.seconds, time.nanos);
                }
                self.out.add(&entry, &mut io::empty())?;
            }
            self.folders.insert(folder.to_vec());
        }
        Ok(())
    }

    fn open(&self, file: &Drafted) -> Result<Box<dyn Read + Send>> {
        match &file.content {
            Content::Empty => Ok(Box::new(io::empty())),
            Content::Memory(bytes) => Ok(Box::new(io::Cursor::new(bytes.clone()))),
            Content::Tree(tree, path) => tree.open(path),
            Content::Base(path) => self.draft.base().map_or_else(|| Err(Error::not_found(shown(path))), |base| base.open(path)),
            Content::Part { archive, offset } => Ok(Box::new(Member { archive: archive.clone(), offset: *offset, left: file.entry.size })),
        }
    }

    fn add(&mut self, entry: &Entry, content: Box<dyn Read + Send>) -> Result<()> {
        self.out.add(entry, &mut Named { content, path: &entry.path })
    }
}

/// A part of an archive. What lies behind it, which may be damaged, is not looked at.
struct Member {
    archive: Bytes,
    offset: u64,
    left: u64,
}

impl Read for Member {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let bytes = self.archive.read_at(self.offset, want)?;
        if bytes.len() < want {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer[..want].copy_from_slice(&bytes);
        self.offset += want as u64;
        self.left -= want as u64;
        Ok(want)
    }
}

fn explain(error: Error, path: &[u8]) -> Error {
    match error {
        Error::Io { doing, source } => fail(format!("cannot {doing}, which is copied to {}: {source}", shown(path))),
        other => other,
    }
}

/// Content whose errors say whose it is; those of the layer that is written do not get here.
struct Named<'a> {
    content: Box<dyn Read + Send>,
    path: &'a [u8],
}

impl Read for Named<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.content.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ if error.get_ref().is_some() => error,
            _ => fail(format!("cannot read what is copied to {}: {error}", shown(self.path))).into(),
        })
    }
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
