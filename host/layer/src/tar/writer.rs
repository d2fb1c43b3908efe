//! Writing a tar: ustar, and PAX for what that cannot hold. The same entries give the same bytes.

use std::io::{self, Read, Write};

use crate::{
    Entry, Kind,
    codec::CHUNK,
    path,
    tar::{
        BLOCK, OPAQUE, WHITEOUT,
        header::{GID, Header, LINK, MAJOR, MINOR, MODE, MTIME, NAME, PREFIX, SIZE, UID},
        padding,
        pax::{self, XATTR},
    },
};

/// Seven octal digits.
const MAX_DEVICE: u32 = 0o7_777_777;
/// Below the 1 MiB that readers take.
const MAX_XATTRS: usize = 1000 << 10;

/// Appends members to a tar.
pub struct TarWriter<W> {
    out: W,
    buffer: Vec<u8>,
}

impl<W: Write> TarWriter<W> {
    /// Nothing is written yet.
    pub fn new(out: W) -> Self {
        Self { out, buffer: Vec::new() }
    }

    /// Appends an entry; of a file, also the content, which must have as many bytes as the entry says. Whiteouts get the
    /// names that mark them.
    ///
    /// # Errors
    /// If the content has another size or cannot be read, or the tar cannot be written. Then the tar is spoilt.
    pub fn add(&mut self, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
        check(entry).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {why}", entry.name())))?;
        let (name, flag) = name_and_flag(entry);
        let size = if entry.kind == Kind::File { entry.size } else { 0 };
        let mut header = Header::zeroed();
        let records = fill(&mut header, entry, &name, size);
        if !records.is_empty() {
            self.extended(&records)?;
        }
        header.seal(flag);
        self.out.write_all(&header.0)?;
        if size > 0 {
            self.content(entry, content)?;
        }
        self.pad(size)
    }

    /// Writes the end-of-archive marker and returns the output.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.end()?;
        Ok(self.out)
    }

    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.out.write_all(&[0; 2 * BLOCK as usize])
    }

    pub(crate) fn into_inner(self) -> W {
        self.out
    }

    /// A PAX header for the member that follows.
    fn extended(&mut self, records: &[u8]) -> io::Result<()> {
        let mut header = Header::zeroed();
        header.set(NAME, b"PaxHeader");
        header.set_number(MODE, 0o644);
        header.set_number(UID, 0);
        header.set_number(GID, 0);
        header.set_number(SIZE, records.len() as u64);
        header.set_number(MTIME, 0);
        header.seal(b'x');
        self.out.write_all(&header.0)?;
        self.out.write_all(records)?;
        self.pad(records.len() as u64)
    }

    fn content(&mut self, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
        let want = usize::try_from(entry.size).unwrap_or(CHUNK).min(CHUNK);
        self.buffer.resize(self.buffer.len().max(want), 0);
        let mut left = entry.size;
        while left > 0 {
            let want = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            match content.read(&mut self.buffer[..want]) {
                Ok(0) => return Err(size_error(entry, &format!("it ends {left} bytes early"))),
                Ok(count) => {
                    self.out.write_all(&self.buffer[..count])?;
                    left -= count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if content.read(&mut [0])? > 0 { Err(size_error(entry, "it goes on")) } else { Ok(()) }
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let padding = usize::try_from(padding(size)).expect("less than a block");
        self.out.write_all(&[0; BLOCK as usize][..padding])
    }
}

/// Whether a tar can say all of it.
fn check(entry: &Entry) -> Result<(), &'static str> {
    let device = |(major, minor)| major > MAX_DEVICE || minor > MAX_DEVICE;
    match entry.kind {
        Kind::Symlink | Kind::Hardlink if entry.link.as_ref().is_none_or(Vec::is_empty) => return Err("it is a link to nothing"),
        Kind::CharDevice | Kind::BlockDevice if entry.device.is_none_or(device) => {
            return Err("it has no device number, or one above 2097151");
        }
        _ => {}
    }
    if entry.path.contains(&0) || entry.link.as_ref().is_some_and(|link| link.contains(&0)) {
        return Err("its path or link has a NUL byte");
    }
    if entry.nanos >= 1_000_000_000 {
        return Err("its time has more than 999999999 nanoseconds");
    }
    let records: usize = entry.xattrs.iter().map(|xattr| xattr.name.len() + xattr.value.len() + 32).sum();
    if records > MAX_XATTRS {
        return Err("its extended attributes have more than 1000 KiB");
    }
    let bad = |name: &str| name.is_empty() || name.contains(['=', '\0']);
    if entry.xattrs.iter().any(|xattr| bad(&xattr.name)) {
        Err("an extended attribute has no name, or one with '=' or NUL")
    } else {
        Ok(())
    }
}

fn size_error(entry: &Entry, why: &str) -> io::Error {
    let text = format!("{} does not have the {} bytes that its entry says: {why}", entry.name(), entry.size);
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// The name in the archive, and the type flag. Folders end in a slash, as everywhere.
fn name_and_flag(entry: &Entry) -> (Vec<u8>, u8) {
    let (folder, last) = path::split(&entry.path).unwrap_or_default();
    let flag = match entry.kind {
        Kind::File | Kind::Whiteout | Kind::Opaque => b'0',
        Kind::Hardlink => b'1',
        Kind::Symlink => b'2',
        Kind::CharDevice => b'3',
        Kind::BlockDevice => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    };
    let name = match entry.kind {
        Kind::Directory if entry.path.is_empty() => b"./".to_vec(),
        Kind::Directory => [&entry.path, &b"/"[..]].concat(),
        Kind::Whiteout => path::join(folder, &[WHITEOUT, last].concat()),
        Kind::Opaque => path::join(&entry.path, OPAQUE),
        _ => entry.path.clone(),
    };
    (name, flag)
}

/// Fills the header; returns the PAX records for what does not fit.
fn fill(header: &mut Header, entry: &Entry, name: &[u8], size: u64) -> Vec<u8> {
    let mut records = Vec::new();
    if !set_name(header, name) {
        header.set(NAME, &name[..name.len().min(NAME.len())]);
        pax::write(&mut records, "path", name);
    }
    let link = entry.link.as_deref().unwrap_or_default();
    header.set(LINK, &link[..link.len().min(LINK.len())]);
    if link.len() > LINK.len() || !link.is_ascii() {
        pax::write(&mut records, "linkpath", link);
    }
    header.set_number(MODE, u64::from(entry.mode & 0o7777));
    for (field, key, number) in [(UID, "uid", u64::from(entry.uid)), (GID, "gid", u64::from(entry.gid)), (SIZE, "size", size)] {
        if !header.set_number(field.clone(), number) {
            header.set_number(field, 0);
            pax::write(&mut records, key, number.to_string().as_bytes());
        }
    }
    let whole = u64::try_from(entry.mtime).is_ok_and(|seconds| header.set_number(MTIME, seconds));
    if !whole {
        header.set_number(MTIME, 0);
    }
    if !whole || entry.nanos > 0 {
        pax::write(&mut records, "mtime", pax::spell_time(entry.mtime, entry.nanos).as_bytes());
    }
    if let Some((major, minor)) = entry.device {
        header.set_number(MAJOR, u64::from(major));
        header.set_number(MINOR, u64::from(minor));
    }
    for xattr in &entry.xattrs {
        pax::write(&mut records, &format!("{XATTR}{}", xattr.name), &xattr.value);
    }
    records
}

/// Sets name and prefix if the name fits in them. Bytes beyond ASCII go to PAX, as POSIX wants.
fn set_name(header: &mut Header, name: &[u8]) -> bool {
    if !name.is_ascii() {
        return false;
    }
    if name.len() <= NAME.len() {
        header.set(NAME, name);
        return true;
    }
    // The slash between the two is left out; a folder's own last slash is no place to cut.
    let cuts = name.iter().enumerate().take(PREFIX.len() + 1).filter(|(_, byte)| **byte == b'/').map(|(index, _)| index);
    let mut fitting = cuts.filter(|cut| *cut > 0 && name.len() - cut - 1 <= NAME.len() && cut + 1 < name.len());
    let Some(cut) = fitting.next_back() else { return false };
    header.set(PREFIX, &name[..cut]);
    header.set(NAME, &name[cut + 1..]);
    true
}
