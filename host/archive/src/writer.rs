//! A tar of an OCI layout that is written as a stream.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Cursor, Read, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use nacre_oci::{Content, Descriptor, Digest, Error, Put, RawManifest, Result, Sink};
use tar::{EntryType, Header};

use crate::{LAYOUT_FILE, blob_path, listing::Listing, pump_ahead};

/// Content up to this size is read and checked before anything of it is written.
const SMALL: u64 = 1 << 20;

/// Appends to a tar: the same content in the same order gives the same bytes (no times, no owners).
///
/// A tar can only grow at its end, so content is appended one at a time, and a larger piece that turns out to be damaged
/// while it is written spoils the archive: from then on every call fails.
pub struct TarWriter<W> {
    state: Mutex<State<W>>,
}

struct State<W> {
    out: W,
    blobs: HashMap<Digest, u64>,
    folders: HashSet<String>,
    listing: Listing,
    spoilt: bool,
}

impl<W: Write + Send> TarWriter<W> {
    /// Nothing is written yet.
    pub fn new(out: W) -> Self {
        let listing = Listing::new();
        Self { state: Mutex::new(State { out, blobs: HashMap::new(), folders: HashSet::new(), listing, spoilt: false }) }
    }

    /// Lists a manifest or index that was put before, without a name.
    ///
    /// # Errors
    /// None; the signature is that of [`Sink::tag`].
    pub fn add(&self, target: &RawManifest) -> Result<()> {
        self.lock().listing.set(None, &target.descriptor)
    }

    /// Writes `index.json`, the `further` files in the given order, `oci-layout` and the end of the archive.
    ///
    /// # Errors
    /// If the output cannot be written, or the archive is spoilt.
    pub fn finish(self, further: &[(&str, Vec<u8>)]) -> Result<W> {
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.check()?;
        let listing = state.listing.to_bytes();
        let mut end = || -> io::Result<()> {
            state.file("index.json", listing.len() as u64, |out| out.write_all(&listing))?;
            for (name, bytes) in further {
                state.file(name, bytes.len() as u64, |out| out.write_all(bytes))?;
            }
            state.file("oci-layout", LAYOUT_FILE.len() as u64, |out| out.write_all(LAYOUT_FILE))?;
            state.out.write_all(&[0; 1024])?;
            state.out.flush()
        };
        end().map_err(Error::io("write the archive"))?;
        Ok(state.out)
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write> State<W> {
    fn check(&self) -> Result<()> {
        if self.spoilt {
            return Err(Error::Conflict("the archive is spoilt by an earlier failure; write it again from the start".into()));
        }
        Ok(())
    }

    fn blob(&mut self, descriptor: &Descriptor, write: impl FnOnce(&mut W) -> io::Result<()>) -> io::Result<()> {
        for folder in ["blobs/".to_owned(), format!("blobs/{}/", descriptor.digest.algorithm().name())] {
            if self.folders.insert(folder.clone()) {
                self.header(&folder, EntryType::Directory, 0)?;
            }
        }
        self.file(&blob_path(&descriptor.digest), descriptor.size, write)?;
        self.blobs.insert(descriptor.digest.clone(), descriptor.size);
        Ok(())
    }

    fn file(&mut self, name: &str, size: u64, write: impl FnOnce(&mut W) -> io::Result<()>) -> io::Result<()> {
        self.header(name, EntryType::Regular, size)?;
        write(&mut self.out)?;
        self.pad(size)
    }

    fn header(&mut self, name: &str, kind: EntryType, size: u64) -> io::Result<()> {
        if name.len() > 100 {
            // SHA-512 paths only: GNU's long name, which every reader knows.
            let length = name.len() as u64 + 1;
            self.header("././@LongLink", EntryType::GNULongName, length)?;
            self.out.write_all(name.as_bytes())?;
            self.out.write_all(&[0])?;
            self.pad(length)?;
        }
        let mut header = Header::new_gnu();
        let short = &name.as_bytes()[..name.len().min(100)];
        header.as_old_mut().name[..short.len()].copy_from_slice(short);
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let padding = usize::try_from(size.next_multiple_of(512) - size).expect("less than a block");
        self.out.write_all(&[0; 512][..padding])
    }
}

impl<W: Write + Send> Sink for TarWriter<W> {
    fn contains(&self, descriptor: &Descriptor) -> Result<bool> {
        Ok(self.lock().blobs.get(&descriptor.digest) == Some(&descriptor.size))
    }

    fn put(&self, descriptor: &Descriptor, content: &Content<'_>) -> Result<Put> {
        let mut reader: Box<dyn Read + Send + '_> = match content.open()? {
            reader if descriptor.size <= SMALL => Box::new(Cursor::new(reader.into_vec(SMALL)?)),
            reader => Box::new(reader),
        };
        let mut state = self.lock();
        state.check()?;
        if state.blobs.contains_key(&descriptor.digest) {
            return Ok(Put::Stored);
        }
        // The reader asks on its own whether to stop.
        let written = state.blob(descriptor, |out| pump_ahead(&mut reader, out));
        state.spoilt = written.is_err();
        written.map_err(Error::io(format!("write {} to the archive", descriptor.digest)))?;
        Ok(Put::Stored)
    }

    fn tag(&self, name: &str, target: &RawManifest) -> Result<()> {
        self.lock().listing.set(Some(name), &target.descriptor)
    }
}
