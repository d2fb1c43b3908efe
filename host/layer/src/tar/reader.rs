//! Reading a tar once, in order.
//!
//! The rules are those of Go's and GNU's tar where they agree; where readers could disagree about what an archive
//! holds, it is refused.

use std::{
    io::{self, Read},
    mem,
};

use nacre_oci::Error;

use crate::{
    Entry, Kind,
    bytes::skip_by_reading,
    entry::MAX_ID,
    path,
    tar::{
        BLOCK, OPAQUE, WHITEOUT,
        header::{GID, Header, LINK, MAJOR, MINOR, MODE, MTIME, SIZE, UID},
        padding,
        pax::Pax,
    },
};

/// The most bytes of a long name or an extended header (Go's limit).
const MAX_EXTENSION: u64 = 1 << 20;
/// The most members, and the most bytes of all their names and attributes.
const MAX_MEMBERS: u64 = 4 << 20;
const MAX_NAMES: u64 = 512 << 20;

/// One member of a tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What its headers say.
    pub entry: Entry,
    /// Where its content begins in the tar.
    pub offset: u64,
}

/// Reads members in order; as a [`Read`] it yields the current member's content.
pub struct TarReader<R> {
    input: R,
    skip: fn(&mut R, u64) -> io::Result<()>,
    layer: bool,
    unterminated: bool,
    position: u64,
    /// Of the current member's content, and of the zeros after it.
    left: u64,
    padding: u64,
    members: u64,
    names: u64,
    state: State,
    name: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Failed,
}

/// What extension headers said about the member that follows.
#[derive(Default)]
struct Next {
    pax: Option<Pax>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl<R: Read> TarReader<R> {
    /// Reads a tar of files, which has to have its end-of-archive marker.
    pub fn new(input: R) -> Self {
        Self::with_skip(input, skip_by_reading)
    }

    /// As [`TarReader::new`], leaving out content that nobody reads by `skip`, which must fail if there are fewer bytes.
    pub fn with_skip(input: R, skip: fn(&mut R, u64) -> io::Result<()>) -> Self {
        Self {
            input,
            skip,
            layer: false,
            unterminated: false,
            position: 0,
            left: 0,
            padding: 0,
            members: 0,
            names: 0,
            state: State::Reading,
            name: "the tar archive".into(),
        }
    }

    /// What errors call it.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Takes it for a layer: whiteouts become [`Kind::Whiteout`] and [`Kind::Opaque`].
    #[must_use]
    pub fn as_layer(mut self) -> Self {
        self.layer = true;
        self
    }

    /// Takes an archive without an end-of-archive marker, as some builders write layers: for content whose digest is
    /// checked, so that it cannot have been cut off.
    #[must_use]
    pub fn allow_unterminated(mut self) -> Self {
        self.unterminated = true;
        self
    }

    /// The next member. What is left of the last one's content is skipped.
    ///
    /// # Errors
    /// If the tar is truncated or malformed, readers could disagree about it, or it has sparse files; after that, always.
    pub fn next_entry(&mut self) -> io::Result<Option<Member>> {
        match self.state {
            State::Ended => return Ok(None),
            State::Failed => return Err(self.bad("it could not be read further before").into()),
            State::Reading => {}
        }
        let next = self.advance();
        match &next {
            Ok(Some(_)) => {}
            Ok(None) => self.state = State::Ended,
            Err(_) => self.state = State::Failed,
        }
        next
    }

    /// Reads what follows the end-of-archive marker, which has to be zeros, and returns the input.
    ///
    /// # Errors
    /// If it is something else, or members are left.
    pub fn finish(mut self) -> io::Result<R> {
        if self.state != State::Ended {
            return Err(self.bad("its members were not all read").into());
        }
        let mut buffer = vec![0; 64 << 10];
        loop {
            match self.input.read(&mut buffer) {
                Ok(0) => return Ok(self.input),
                Ok(count) if buffer[..count].iter().any(|byte| *byte != 0) => return Err(self.bad("something follows its end").into()),
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
    }

    fn advance(&mut self) -> io::Result<Option<Member>> {
        self.pass(self.left + self.padding)?;
        (self.left, self.padding) = (0, 0);
        let mut next = Next::default();
        while let Some(header) = self.header()? {
            let size = header.number(SIZE).and_then(|size| u64::try_from(size).ok()).ok_or_else(|| self.bad("a size is no number"))?;
            if !self.extension(&header, size, &mut next)? {
                return self.member(&header, size, next).map(Some);
            }
        }
        let dangling = next.pax.is_some() || next.name.is_some() || next.link.is_some();
        if dangling { Err(self.bad("an extended header has no member").into()) } else { Ok(None) }
    }

    fn pass(&mut self, count: u64) -> io::Result<()> {
        (self.skip)(&mut self.input, count).map_err(|error| self.cut(error))?;
        self.position += count;
        Ok(())
    }

    /// The next header, or `None` at the end.
    fn header(&mut self) -> io::Result<Option<Header>> {
        let Some(header) = self.block()? else {
            let why = if self.position == 0 { "it is no tar archive" } else { "it ends without an end-of-archive marker: it is truncated" };
            return if self.unterminated && self.position > 0 { Ok(None) } else { Err(self.bad(why).into()) };
        };
        if header.is_empty() {
            return match self.block()? {
                Some(second) if !second.is_empty() => Err(self.bad("a single empty block stands between members").into()),
                _ => Ok(None),
            };
        }
        if !header.is_sound() {
            let why = if self.position == BLOCK { "it is no tar archive" } else { "a header's checksum is wrong" };
            return Err(self.bad(why).into());
        }
        Ok(Some(header))
    }

    /// The next block; `None` at the end of the input.
    fn block(&mut self) -> io::Result<Option<Header>> {
        let mut header = Header::zeroed();
        let mut held = 0;
        while held < header.0.len() {
            match self.input.read(&mut header.0[held..]) {
                Ok(0) if held == 0 => return Ok(None),
                Ok(0) => return Err(self.cut(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => held += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.position += BLOCK;
        Ok(Some(header))
    }

    /// Takes in a header that says something about what follows; false for any other.
    fn extension(&mut self, header: &Header, size: u64, next: &mut Next) -> io::Result<bool> {
        let kind = header.kind();
        if !matches!(kind, b'L' | b'K' | b'x' | b'X' | b'g') {
            return Ok(false);
        }
        if size > MAX_EXTENSION {
            return Err(self.bad("a name or extended header is larger than 1 MiB").into());
        }
        let mut bytes = vec![0; usize::try_from(size).expect("at most 1 MiB")];
        self.input.read_exact(&mut bytes).map_err(|error| self.cut(error))?;
        self.position += size;
        self.pass(padding(size))?;
        self.count(0, size)?;
        let sized = next.pax.as_ref().is_some_and(|pax| pax.size.is_some());
        if sized && matches!(kind, b'L' | b'K') {
            return Err(self.bad("a size and a long name say something about different headers").into());
        }
        let known = match kind {
            b'L' => next.name.replace(until_nul(bytes)).map(drop),
            b'K' => next.link.replace(until_nul(bytes)).map(drop),
            b'g' => return self.global(&bytes).map(|()| true),
            _ => {
                let mut pax = Pax::default();
                pax.add(&bytes).map_err(|why| self.bad(why))?;
                next.pax.replace(pax).map(drop)
            }
        };
        if known.is_some() {
            return Err(self.bad("two headers of one kind say something about one member").into());
        }
        Ok(true)
    }

    /// A header about all members that follow, such as git's comment. GNU tar heeds them and Go's does not, so one that
    /// changes members is refused.
    fn global(&self, bytes: &[u8]) -> io::Result<()> {
        let mut pax = Pax::default();
        pax.add(bytes).map_err(|why| self.bad(why))?;
        if pax == Pax::default() { Ok(()) } else { Err(self.bad("a global header changes all members, which readers disagree on").into()) }
    }

    /// The member whose own header this is.
    fn member(&mut self, header: &Header, own: u64, next: Next) -> io::Result<Member> {
        let Next { pax, name, link } = next;
        let pax = pax.unwrap_or_default();
        if (name.is_some() && pax.path.is_some()) || (link.is_some() && pax.link.is_some()) {
            return Err(self.bad("a GNU and a PAX header name one member").into());
        }
        let name = name.or_else(|| pax.path.clone()).unwrap_or_else(|| header.name());
        let folder = name.ends_with(b"/");
        let path = path::tidy(&name).map_err(|why| self.bad(&format!("{why}: {}", path::to_text(&name))))?;
        let kind = self.kind(header.kind(), folder, &path, pax.sparse)?;
        let size = pax.size.unwrap_or(own);
        if kind != Kind::File && size != 0 {
            return Err(self.bad_at(&path, "a link, folder or device claims to have content").into());
        }
        let link = link.or_else(|| pax.link.clone()).unwrap_or_else(|| header.text(LINK).to_vec());
        let mut entry = Entry { size: if kind == Kind::File { size } else { 0 }, ..Entry::new(path, kind) };
        self.fill(&mut entry, header, pax, link)?;
        if self.layer {
            whiteout(&mut entry).map_err(|why| self.bad_at(&entry.path, why))?;
        }
        self.count(1, (entry.path.len() + entry.link.as_ref().map_or(0, Vec::len)) as u64)?;
        self.left = size;
        self.padding = padding(size);
        self.position.checked_add(size).and_then(|end| end.checked_add(BLOCK)).ok_or_else(|| self.bad("a member is absurdly large"))?;
        Ok(Member { entry, offset: self.position })
    }

    /// What the type flag says.
    fn kind(&self, flag: u8, folder: bool, path: &[u8], sparse: bool) -> io::Result<Kind> {
        let kind = match flag {
            // Before POSIX, a folder was a file whose name ends in a slash.
            0 if folder => Kind::Directory,
            b'0' | b'7' if folder => return Err(self.bad_at(path, "it is a file for some readers and a folder for others").into()),
            b'0' | 0 | b'7' => Kind::File,
            b'1' => Kind::Hardlink,
            b'2' => Kind::Symlink,
            b'3' => Kind::CharDevice,
            b'4' => Kind::BlockDevice,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            b'S' => return Err(self.sparse(path).into()),
            _ => return Err(self.bad_at(path, "it is of a kind that nacre does not know").into()),
        };
        if sparse { Err(self.sparse(path).into()) } else { Ok(kind) }
    }

    fn fill(&self, entry: &mut Entry, header: &Header, pax: Pax, link: Vec<u8>) -> io::Result<()> {
        let number = |field, what: &str| header.number(field).ok_or_else(|| self.bad_at(&entry.path, &format!("its {what} is no number")));
        let id = |given: Option<i64>, field, what: &str| -> io::Result<u32> {
            let id = given.map_or_else(|| number(field, what), Ok)?;
            let fits = u32::try_from(id).ok().filter(|id| *id <= MAX_ID);
            Ok(fits.ok_or_else(|| self.bad_at(&entry.path, &format!("its {what} {id} is outside 0 to {MAX_ID}")))?)
        };
        let (uid, gid) = (id(pax.uid, UID, "owner")?, id(pax.gid, GID, "group")?);
        let mode = u32::try_from(number(MODE, "mode")? & 0o7777).expect("twelve bits");
        let (mtime, nanos) = match pax.mtime {
            Some(time) => time,
            None => (number(MTIME, "time")?, 0),
        };
        let link = match entry.kind {
            Kind::Symlink if link.is_empty() || link.len() > path::MAX => {
                return Err(self.bad_at(&entry.path, "its link has no text, or too much").into());
            }
            Kind::Symlink => Some(link),
            Kind::Hardlink => Some(path::tidy(&link).map_err(|why| self.bad_at(&entry.path, &format!("of its link, {why}")))?),
            _ => None,
        };
        let device = match entry.kind {
            Kind::CharDevice | Kind::BlockDevice => {
                let small = |number: i64| u32::try_from(number).map_err(|_| self.bad_at(&entry.path, "its device number is none"));
                Some((small(number(MAJOR, "device number")?)?, small(number(MINOR, "device number")?)?))
            }
            _ => None,
        };
        *entry =
            Entry { mode, uid, gid, mtime, nanos, link, device, xattrs: pax.xattrs, ..mem::replace(entry, Entry::new([], Kind::File)) };
        Ok(())
    }

    /// Counts members and what is kept of them.
    fn count(&mut self, members: u64, bytes: u64) -> Result<(), Error> {
        self.members += members;
        self.names += bytes;
        if self.members > MAX_MEMBERS || self.names > MAX_NAMES {
            let limit = format!("{MAX_MEMBERS} members and {} MiB of names and attributes", MAX_NAMES >> 20);
            return Err(Error::TooLarge { what: self.name.clone(), limit });
        }
        Ok(())
    }

    fn sparse(&self, path: &[u8]) -> Error {
        let what = format!("the sparse file {} in {}", path::to_text(path), self.name);
        Error::Unsupported { what, why: "make the archive again without --sparse".into() }
    }

    fn cut(&self, error: io::Error) -> io::Error {
        let plain = error.kind() == io::ErrorKind::UnexpectedEof && error.get_ref().is_none();
        if plain { self.bad("it is truncated").into() } else { error }
    }

    fn bad(&self, why: &str) -> Error {
        Error::malformed(&self.name, format!("{why} (at byte {})", self.position))
    }

    fn bad_at(&self, path: &[u8], why: &str) -> Error {
        Error::malformed(format!("{} in {}", path::to_text(path), self.name), why)
    }
}

impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        let count = self.input.read(&mut buffer[..want])?;
        if count == 0 {
            self.state = State::Failed;
            return Err(self.cut(io::ErrorKind::UnexpectedEof.into()));
        }
        self.left -= count as u64;
        self.position += count as u64;
        Ok(count)
    }
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
    bytes
}

/// Makes an entry that a layer's rules call a whiteout one (image specification, `layer.md`, "Whiteouts").
fn whiteout(entry: &mut Entry) -> Result<(), &'static str> {
    let Some((folder, name)) = path::split(&entry.path) else { return Ok(()) };
    let Some(gone) = name.strip_prefix(WHITEOUT) else { return Ok(()) };
    let (path, kind) = if name == OPAQUE { (folder.to_vec(), Kind::Opaque) } else { (path::join(folder, gone), Kind::Whiteout) };
    if kind == Kind::Whiteout && matches!(gone, b"" | b"." | b"..") {
        return Err("it is a whiteout of nothing that can be");
    }
    entry.path = path;
    entry.kind = kind;
    entry.size = 0;
    entry.link = None;
    entry.device = None;
    Ok(())
}
