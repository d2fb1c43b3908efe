//! Writing `newc`, as Linux unpacks it at boot (`Documentation/driver-api/early-userspace/buffer-format.rst`).

use std::collections::BTreeMap;

use nacre_sdk::Error;
use nacre_sdk::entries::from_text;
use nacre_sdk::files::{Entry, Kind};

use crate::archive::TRAILER;

/// What the archive is filled up to, as `cpio` does.
const BLOCK: u64 = 512;

/// An archive in the making: what stands before and behind the contents.
pub struct Writer {
    files: BTreeMap<String, File>,
    inodes: u32,
    written: u64,
    /// Bytes that are to be written before the next content.
    pub pending: Vec<u8>,
}

/// A file with several names.
#[derive(Default)]
struct File {
    names: u32,
    seen: u32,
    inode: u32,
    /// Its first name: all have its owner, permissions and time.
    first: Option<Entry>,
}

impl Writer {
    /// Begins an archive; `links` are the targets of all hardlinks that will be in it.
    pub fn new(links: impl IntoIterator<Item = Result<String, Error>>) -> Result<Writer, Error> {
        let mut files: BTreeMap<String, File> = BTreeMap::new();
        for target in links {
            files.entry(target?).or_insert_with(|| File { names: 1, ..File::default() }).names += 1;
        }
        Ok(Writer { files, inodes: 0, written: 0, pending: Vec::new() })
    }

    /// Adds the header of an entry to what is pending, and fills up what is before it. Returns how
    /// many bytes of content have to follow: those of a file with several names follow the last one.
    pub fn member(&mut self, entry: &Entry) -> Result<u64, Error> {
        let body = entry.link.as_ref().filter(|_| entry.kind == Kind::Symlink).map(|target| from_text(target)).unwrap_or_default();
        let path = match entry.kind {
            Kind::Hardlink => entry.link.as_deref().unwrap_or_default(),
            _ => &entry.path,
        };
        let Some(mut file) = self.files.remove(path).filter(|_| matches!(entry.kind, Kind::File | Kind::Hardlink)) else {
            let inode = self.inode();
            let size = if entry.kind == Kind::Symlink { body.len() as u64 } else { entry.size };
            self.header(entry, entry, inode, 1, size)?;
            self.push(&body);
            return Ok(entry.size);
        };
        if file.seen == 0 {
            file.inode = self.inode();
        }
        file.seen += 1;
        if file.first.is_none() || entry.kind == Kind::File {
            file.first = Some(entry.clone());
        }
        let like = file.first.as_ref().unwrap_or(entry);
        let size = if file.seen == file.names { like.size } else { 0 };
        self.header(entry, like, file.inode, file.names, size)?;
        self.files.insert(path.to_owned(), file);
        Ok(size)
    }

    /// Counts content that was written.
    pub fn content(&mut self, size: u64) {
        self.written += size;
    }

    /// The end of the archive.
    pub fn finish(&mut self) {
        self.fields(&[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, TRAILER.len() as u32 + 1, 0]);
        self.push(TRAILER);
        self.push(b"\0");
        self.fill(BLOCK);
    }

    fn inode(&mut self) -> u32 {
        self.inodes += 1;
        self.inodes
    }

    /// The header of the name `entry` of a file with the owner, permissions and time of `like`.
    fn header(&mut self, entry: &Entry, like: &Entry, inode: u32, links: u32, size: u64) -> Result<(), Error> {
        let too_large =
            |what: &str| Error::Unsupported(format!("'{}': {what}, which a cpio archive cannot hold", entry.path.escape_default()));
        let size = u32::try_from(size).map_err(|_| too_large("4 GiB or more"))?;
        let name = if entry.path.is_empty() { b".".to_vec() } else { from_text(&entry.path) };
        let mode = type_bits(like.kind).ok_or_else(|| too_large("no kind of file"))? | like.mode & 0o7777;
        let mtime = like.mtime.clamp(0, u32::MAX.into()) as u32;
        let (major, minor) = like.device.unwrap_or_default();
        let links = if like.kind == Kind::Directory { 2 } else { links };
        let name_len = u32::try_from(name.len() + 1).map_err(|_| too_large("too long a path"))?;
        self.fields(&[inode, mode, like.uid, like.gid, links, mtime, size, 0, 0, major, minor, name_len, 0]);
        self.push(&name);
        self.push(b"\0");
        self.fill(4);
        Ok(())
    }

    fn fields(&mut self, fields: &[u32; 13]) {
        self.fill(4);
        self.push(b"070701");
        for field in fields {
            self.push(format!("{field:08x}").as_bytes());
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        self.written += bytes.len() as u64;
    }

    fn fill(&mut self, to: u64) {
        let zeros = self.written.next_multiple_of(to) - self.written;
        self.push(vec![0; zeros as usize].as_slice());
    }
}

/// The type bits of Unix' `st_mode`. A hardlink stands for a file.
fn type_bits(kind: Kind) -> Option<u32> {
    Some(match kind {
        Kind::Fifo => 0o010_000,
        Kind::CharDevice => 0o020_000,
        Kind::Directory => 0o040_000,
        Kind::BlockDevice => 0o060_000,
        Kind::File | Kind::Hardlink => 0o100_000,
        Kind::Symlink => 0o120_000,
        Kind::Whiteout | Kind::Opaque => return None,
    })
}
