//! A tar's table of contents: read once, header by header, never unpacked. Blobs are then read in place.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    sync::Arc,
};

use nacre_layer::{Kind, TarReader};
use nacre_oci::{Error, Progress, Result};

/// The most members, and the most bytes of all their names.
const MAX_MEMBERS: usize = 500_000;
const MAX_NAMES: usize = 64 << 20;
/// The most symbolic links in a row.
const MAX_LINKS: usize = 32;

/// Where a file's bytes lie in the tar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Member {
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

#[derive(Clone, Debug)]
enum Node {
    File(Member),
    /// A symbolic link's text.
    Link(String),
}

/// An uncompressed tar whose members are known.
pub(crate) struct Tar {
    file: Arc<File>,
    label: String,
    nodes: HashMap<String, Node>,
}

impl Tar {
    /// Reads the table of contents; `label` names the archive in errors.
    pub(crate) fn index(file: File, label: &str, progress: &dyn Progress) -> Result<Self> {
        let reading = || Error::io(format!("read {label}"));
        let left = file.metadata().map_err(reading())?.len();
        let file = Arc::new(file);
        let section = Section { file: Arc::clone(&file), position: 0, left };
        let mut members = TarReader::with_skip(section, Section::skip).named(label);
        let mut contents = Contents { label, nodes: HashMap::new(), names: 0 };
        while let Some(member) = members.next_entry().map_err(reading())? {
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            contents.take(member)?;
        }
        Ok(Self { nodes: contents.nodes, label: label.to_owned(), file })
    }

    /// What errors call the archive.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// The file of this name; symbolic links are followed within the archive.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Member>> {
        let mut name = clean(name).map_err(|why| self.malformed(name, why))?;
        for _ in 0..MAX_LINKS {
            match self.nodes.get(&name) {
                None => return Ok(None),
                Some(Node::File(member)) => return Ok(Some(*member)),
                Some(Node::Link(target)) => name = follow(&name, target).map_err(|why| self.malformed(&name, why))?,
            }
        }
        Err(self.malformed(&name, "its symbolic links go round in circles"))
    }

    /// A member's bytes from `skip` on.
    pub(crate) fn open(&self, member: Member, skip: u64) -> Box<dyn Read + Send> {
        let skip = skip.min(member.size);
        Box::new(Section { file: Arc::clone(&self.file), position: member.offset + skip, left: member.size - skip })
    }

    /// A member's first bytes, or all if there are fewer.
    pub(crate) fn head<const N: usize>(&self, member: Member) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(N);
        self.open(member, 0).take(N as u64).read_to_end(&mut bytes).map_err(Error::io(format!("read {}", self.label)))?;
        Ok(bytes)
    }

    /// A small member, such as a document.
    pub(crate) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(member) = self.find(name)? else { return Ok(None) };
        if member.size > limit {
            let limit = format!("{} MiB", limit >> 20);
            return Err(Error::TooLarge { what: format!("{name} in {}", self.label), limit });
        }
        let mut bytes = Vec::new();
        self.open(member, 0).read_to_end(&mut bytes).map_err(Error::io(format!("read {name} in {}", self.label)))?;
        Ok(Some(bytes))
    }

    fn malformed(&self, name: &str, why: &str) -> Error {
        Error::malformed(format!("{name} in {}", self.label), why)
    }
}

/// A part of a file, read without moving a shared position.
struct Section {
    file: Arc<File>,
    position: u64,
    left: u64,
}

impl Section {
    fn skip(&mut self, count: u64) -> io::Result<()> {
        self.left = self.left.checked_sub(count).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.position += count;
        Ok(())
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut buffer[..want], self.position)?;
        if count == 0 && want > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive became shorter while it was read"));
        }
        self.position += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// A table of contents in the making.
struct Contents<'a> {
    label: &'a str,
    nodes: HashMap<String, Node>,
    names: usize,
}

impl Contents<'_> {
    fn take(&mut self, member: nacre_layer::Member) -> Result<()> {
        let nacre_layer::Member { entry, offset } = member;
        // Documents name members in JSON, so one whose name is not UTF-8 can be of no use.
        let Ok(name) = String::from_utf8(entry.path) else { return Ok(()) };
        let bad = |why: &str| Error::malformed(format!("{name} in {}", self.label), why);
        let target = || String::from_utf8(entry.link.unwrap_or_default()).map_err(|_| bad("its link's target is not UTF-8"));
        let node = match entry.kind {
            Kind::File => Node::File(Member { offset, size: entry.size }),
            Kind::Symlink => Node::Link(target()?),
            // A hard link is what its target was when the link was made, as in unpacking.
            Kind::Hardlink => self.nodes.get(&target()?).cloned().ok_or_else(|| bad("it is a hard link to nothing"))?,
            _ => return Ok(()),
        };
        self.names += name.len();
        if self.names > MAX_NAMES || self.nodes.len() >= MAX_MEMBERS {
            return Err(Error::TooLarge { what: self.label.to_owned(), limit: format!("{MAX_MEMBERS} members") });
        }
        // The last member of a name wins, as in unpacking.
        self.nodes.insert(name, node);
        Ok(())
    }
}

/// A member's name without `.` and doubled slashes.
fn clean(name: &str) -> Result<String, &'static str> {
    if name.starts_with('/') {
        return Err("its name is absolute");
    }
    if name.contains('\0') {
        return Err("its name has a NUL");
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err("its name leaves the archive by '..'");
    }
    Ok(parts.join("/"))
}

/// What the symbolic link `name` with the text `target` points to; it may go up, but not out.
fn follow(name: &str, target: &str) -> Result<String, &'static str> {
    if target.starts_with('/') {
        return Err("its symbolic link is absolute");
    }
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop().ok_or("its symbolic link leaves the archive")?,
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
#[path = "tar_tests.rs"]
mod tests;
