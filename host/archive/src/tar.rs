//! A tar's table of contents: read once, header by header, never unpacked. Blobs are then read in place.
//!
//! The rules are those of Go's and GNU's tar where they agree; where readers could disagree about what an archive
//! holds, it is refused.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    sync::Arc,
};

use nacre_oci::{Error, Progress, Result};
use tar::{EntryType, Header};

use crate::pax::Pax;

const BLOCK: u64 = 512;
/// The most bytes of a long name or an extended header (Go's limit).
const MAX_EXTENSION: u64 = 1 << 20;
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
        let length = file.metadata().map_err(Error::io(format!("read {label}")))?.len();
        let mut indexer = Indexer { file: &file, label, length, nodes: HashMap::new(), names: 0, next: Next::default() };
        let mut position = 0;
        while let Some(header) = indexer.header(position)? {
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            position = indexer.member(&header, position + BLOCK)?;
        }
        let nodes = indexer.nodes;
        Ok(Self { nodes, label: label.to_owned(), file: Arc::new(file) })
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

/// What extension headers said about the member that follows.
#[derive(Default)]
struct Next {
    pax: Pax,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

struct Indexer<'a> {
    file: &'a File,
    label: &'a str,
    length: u64,
    nodes: HashMap<String, Node>,
    names: usize,
    next: Next,
}

impl Indexer<'_> {
    /// The header at `position`, or `None` at the end-of-archive marker.
    fn header(&self, position: u64) -> Result<Option<Header>> {
        if position >= self.length {
            return Err(self.bad(position, "it ends without an end-of-archive marker: it is truncated"));
        }
        let block = self.block(position)?;
        if block.iter().all(|b| *b == 0) {
            let follows = position + 2 * BLOCK <= self.length && self.block(position + BLOCK)?.iter().any(|b| *b != 0);
            return if follows { Err(self.bad(position, "a single empty block stands between members")) } else { Ok(None) };
        }
        let header = Header::from_byte_slice(&block).clone();
        let sum: u32 = block.iter().enumerate().map(|(i, b)| if (148..156).contains(&i) { 32 } else { u32::from(*b) }).sum();
        if header.cksum().ok() != Some(sum) {
            let why = if position == 0 { "it is no tar archive" } else { "a header's checksum is wrong" };
            return Err(self.bad(position, why));
        }
        Ok(Some(header))
    }

    fn block(&self, position: u64) -> Result<[u8; BLOCK as usize]> {
        let mut block = [0; BLOCK as usize];
        match self.file.read_exact_at(&mut block, position) {
            Ok(()) => Ok(block),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && position == 0 => Err(self.bad(0, "it is no tar archive")),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.bad(position, "it is truncated")),
            Err(error) => Err(Error::io(format!("read {}", self.label))(error)),
        }
    }

    /// Takes in the member whose content starts at `offset`; returns where the next header is.
    fn member(&mut self, header: &Header, offset: u64) -> Result<u64> {
        let own = header.entry_size().map_err(|_| self.bad(offset, "a size is no number"))?;
        let kind = header.entry_type();
        if let Some(end) = self.extension(kind, offset, own)? {
            return Ok(end);
        }
        let next = std::mem::take(&mut self.next);
        let size = next.pax.size.unwrap_or(own);
        let name = next.name.or(next.pax.path).unwrap_or_else(|| header.path_bytes().into_owned());
        let link = next.link.or(next.pax.link).or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        let without_content = matches!(
            kind,
            EntryType::Link | EntryType::Symlink | EntryType::Directory | EntryType::Char | EntryType::Block | EntryType::Fifo
        );
        if without_content && size != 0 {
            return Err(self.bad(offset, "a link, folder or device claims to have content"));
        }
        if kind == EntryType::GNUSparse || next.pax.sparse {
            let what = format!("the sparse file {} in {}", String::from_utf8_lossy(&name), self.label);
            return Err(Error::Unsupported { what, why: "make the archive again without --sparse".into() });
        }
        let end = self.end(offset, size)?;
        // Documents name members in JSON, so one whose name is not UTF-8 can be of no use.
        if let Ok(name) = String::from_utf8(name) {
            self.take(kind, &name, link, Member { offset, size })?;
        }
        Ok(end)
    }

    /// Long names and extended headers say something about what follows; others about nothing of interest.
    fn extension(&mut self, kind: EntryType, offset: u64, size: u64) -> Result<Option<u64>> {
        let interesting = matches!(kind, EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader);
        if !interesting {
            return if kind == EntryType::XGlobalHeader { self.end(offset, size).map(Some) } else { Ok(None) };
        }
        if size > MAX_EXTENSION {
            return Err(self.bad(offset, "a name or extended header is larger than 1 MiB"));
        }
        let end = self.end(offset, size)?;
        let mut bytes = vec![0; usize::try_from(size).expect("at most 1 MiB")];
        self.file.read_exact_at(&mut bytes, offset).map_err(Error::io(format!("read {}", self.label)))?;
        match kind {
            EntryType::XHeader if self.next.pax != Pax::default() => return Err(self.bad(offset, "two extended headers follow each other")),
            EntryType::XHeader => self.next.pax.add(&bytes).map_err(|why| self.bad(offset, why))?,
            EntryType::GNULongName => self.next.name = Some(until_nul(bytes)),
            _ => self.next.link = Some(until_nul(bytes)),
        }
        Ok(Some(end))
    }

    /// Where content of `size` bytes ends, its padding included.
    fn end(&self, offset: u64, size: u64) -> Result<u64> {
        let end = offset.checked_add(size).filter(|end| *end <= self.length);
        let end = end.ok_or_else(|| self.bad(offset, "a member is longer than the rest of it: it is truncated"))?;
        Ok(end.next_multiple_of(BLOCK))
    }

    fn take(&mut self, kind: EntryType, name: &str, link: Option<Vec<u8>>, member: Member) -> Result<()> {
        if name.ends_with('/') || matches!(kind, EntryType::Directory) {
            return clean(name).map(|_| ()).map_err(|why| Error::malformed(format!("{name} in {}", self.label), why));
        }
        let bad = |why: &str| Error::malformed(format!("{name} in {}", self.label), why);
        let name = clean(name).map_err(bad)?;
        let target = || String::from_utf8(link.unwrap_or_default()).map_err(|_| bad("its link's target is not UTF-8"));
        let node = match kind {
            EntryType::Regular | EntryType::Continuous => Node::File(member),
            EntryType::Symlink => Node::Link(target()?),
            // A hard link is what its target was when the link was made, as in unpacking.
            EntryType::Link => match self.nodes.get(&clean(&target()?).map_err(bad)?) {
                Some(node) => node.clone(),
                None => return Err(bad("it is a hard link to nothing")),
            },
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

    fn bad(&self, position: u64, why: &str) -> Error {
        Error::malformed(self.label, format!("{why} (at byte {position})"))
    }
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
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
