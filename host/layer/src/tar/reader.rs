//! Reading a tar once, in order.
//!
//! The rules are those of Go's and GNU's tar where they agree; where readers could disagree about what an archive
//! holds, it is refused.

use std::io::{self, Read};

use nacre_oci::Error;

use crate::{
    bytes::skip_by_reading,
    path,
    tar::{
        BLOCK,
        header::{Header, SIZE},
        member::{Fault, Member, Next, Rules, describe},
        padding,
        pax::Pax,
    },
};

/// The most bytes of a long name or an extended header (Go's limit).
const MAX_EXTENSION: u64 = 1 << 20;
/// The most members, and the most bytes of all their names and attributes.
const MAX_MEMBERS: u64 = 4 << 20;
const MAX_NAMES: u64 = 512 << 20;

/// Reads members in order; as a [`Read`] it yields the current member's content.
pub struct TarReader<R> {
    input: R,
    skip: fn(&mut R, u64) -> io::Result<()>,
    rules: Rules,
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
            rules: Rules::default(),
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
        self.rules.layer = true;
        self
    }

    /// Takes names with `..` too: they go up a folder and stay at the root, as after `chroot`. For archives that are put into a
    /// folder, as BuildKit and Docker read them.
    #[must_use]
    pub fn clamped(mut self) -> Self {
        self.rules.clamp = true;
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
        if next.is_empty() { Ok(None) } else { Err(self.bad("an extended header has no member").into()) }
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
        let (entry, size) = describe(header, own, next, self.rules).map_err(|(name, fault)| self.refuse(&name, fault))?;
        self.count(1, (entry.path.len() + entry.link.as_ref().map_or(0, Vec::len)) as u64)?;
        (self.left, self.padding) = (size, padding(size));
        let end = self.position.checked_add(size).and_then(|end| end.checked_add(BLOCK));
        end.ok_or_else(|| self.bad("a member is absurdly large"))?;
        Ok(Member { entry, offset: self.position })
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

    fn cut(&self, error: io::Error) -> io::Error {
        let plain = error.kind() == io::ErrorKind::UnexpectedEof && error.get_ref().is_none();
        if plain { self.bad("it is truncated: unexpected EOF").into() } else { error }
    }

    fn bad(&self, why: &str) -> Error {
        Error::malformed(&self.name, format!("{why} (at byte {})", self.position))
    }

    fn refuse(&self, name: &[u8], fault: Fault) -> Error {
        let what = format!("{} in {}", path::shown(name), self.name);
        match fault {
            Fault::Malformed(why) => Error::malformed(what, why),
            Fault::Sparse => {
                let what = format!("the sparse file {what}");
                Error::Unsupported { what, why: "make the archive again without --sparse".into() }
            }
        }
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
