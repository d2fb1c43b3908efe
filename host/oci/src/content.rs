//! `Source` and `Sink`: the two sides of everything that moves images.

use std::io::{self, Read};

use crate::{Descriptor, Document, Error, Hasher, MAX_MANIFEST, Progress, Reference, Result, Silent};

/// Where images come from: a registry's repository, the store, an archive, memory.
pub trait Source: Send + Sync {
    /// The descriptor of the manifest or index that the source knows by `name` (a tag or digest in a registry and in
    /// an OCI layout, a reference in the store and in a docker-archive).
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, [`Error::Ambiguous`] if there are several.
    fn resolve(&self, name: &str) -> Result<Descriptor>;

    /// The content's bytes from `offset` on, **not yet checked**: only [`Content`] calls this.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the source does not have it.
    fn open_unverified(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>>;

    /// Repositories that are known to hold the content too, so that a registry can mount it from there.
    fn origins(&self, _descriptor: &Descriptor) -> Vec<Reference> {
        Vec::new()
    }
}

/// Where images go.
pub trait Sink: Send + Sync {
    /// Whether the content is there, whole.
    ///
    /// # Errors
    /// If that cannot be found out.
    fn contains(&self, descriptor: &Descriptor) -> Result<bool>;

    /// Stores content that [`Content::open`] or [`Content::resume`] yields. Idempotent. `Ok` means stored and checked;
    /// on an error nothing is visible under the digest, though a part may be kept to resume from.
    ///
    /// # Errors
    /// What the content's reader said, or the sink's own failure.
    fn put(&self, descriptor: &Descriptor, content: &Content<'_>) -> Result<Put>;

    /// Gives a manifest or index that was put before a name (as in [`Source::resolve`]). Replaces an older target in one step.
    ///
    /// # Errors
    /// If the name cannot be written.
    fn tag(&self, name: &str, target: &RawManifest) -> Result<()>;
}

/// How [`Sink::put`] got the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// Its bytes were read and stored.
    Stored,
    /// The sink had it elsewhere and needed no bytes (cross-repository mount).
    Mounted,
}

/// A manifest or index as it travels: the exact bytes and their descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawManifest {
    /// Media type, digest and size of `bytes`.
    pub descriptor: Descriptor,
    /// The document, never reformatted.
    pub bytes: Vec<u8>,
}

impl RawManifest {
    /// Bytes that are at hand, checked to be a document of `media_type`.
    ///
    /// # Errors
    /// As [`Document::parse`].
    pub fn new(media_type: Option<&str>, bytes: Vec<u8>) -> Result<Self> {
        let document = Document::parse(&bytes, media_type)?;
        Ok(Self { descriptor: Descriptor::of(document.media_type(), &bytes), bytes })
    }

    /// The parsed document.
    ///
    /// # Errors
    /// As [`Document::parse`].
    pub fn document(&self) -> Result<Document> {
        Document::parse(&self.bytes, Some(&self.descriptor.media_type))
    }
}

/// One piece of content on its way from a source: what a sink is handed.
pub struct Content<'a> {
    source: &'a dyn Source,
    descriptor: &'a Descriptor,
    progress: &'a dyn Progress,
}

impl<'a> Content<'a> {
    /// Content that `source` has; `progress` hears of every byte read.
    pub fn new(source: &'a dyn Source, descriptor: &'a Descriptor, progress: &'a dyn Progress) -> Self {
        Self { source, descriptor, progress }
    }

    /// The checked bytes from the start.
    ///
    /// # Errors
    /// What the source says.
    pub fn open(&self) -> Result<Verifying<'a>> {
        self.resume(Hasher::new(self.descriptor.digest.algorithm()))
    }

    /// The checked bytes after those that went into `hasher` already.
    ///
    /// # Errors
    /// What the source says; a longer prefix than the content is [`Error::Mismatch`].
    pub fn resume(&self, hasher: Hasher) -> Result<Verifying<'a>> {
        if hasher.count() > self.descriptor.size {
            return Err(mismatch(self.descriptor, self.descriptor.size, format!("{} bytes", hasher.count())));
        }
        let inner = self.source.open_unverified(self.descriptor, hasher.count())?;
        self.progress.advance(self.descriptor, hasher.count());
        Ok(Verifying { inner, hasher, descriptor: self.descriptor.clone(), progress: self.progress })
    }

    /// Repositories to mount from.
    pub fn origins(&self) -> Vec<Reference> {
        self.source.origins(self.descriptor)
    }
}

/// A reader that ends well only if the bytes had the announced digest and size.
pub struct Verifying<'a> {
    inner: Box<dyn Read + Send>,
    hasher: Hasher,
    descriptor: Descriptor,
    progress: &'a dyn Progress,
}

impl Verifying<'_> {
    /// Reads everything into memory: for documents, which are small.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if the descriptor announces more than `limit` bytes; what the reader says.
    pub fn into_vec(mut self, limit: u64) -> Result<Vec<u8>> {
        if self.descriptor.size > limit {
            return Err(Error::TooLarge { what: self.descriptor.digest.to_string(), limit: format!("{limit} bytes") });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(self.descriptor.size).unwrap_or_default());
        let doing = format!("read {}", self.descriptor.digest);
        self.read_to_end(&mut bytes).map_err(Error::io(doing))?;
        Ok(bytes)
    }
}

impl Hasher {
    /// Whether what went in is what the descriptor announces.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if it has another size or digest.
    pub fn check(&self, descriptor: &Descriptor) -> Result<()> {
        if self.count() != descriptor.size {
            return Err(mismatch(descriptor, descriptor.size, format!("{} bytes", self.count())));
        }
        let actual = self.digest();
        if actual == descriptor.digest {
            return Ok(());
        }
        let what = format!("content of {}", descriptor.digest);
        Err(Error::Mismatch { what, expected: descriptor.digest.to_string(), actual: actual.to_string() })
    }
}

fn mismatch(descriptor: &Descriptor, size: u64, actual: String) -> Error {
    Error::Mismatch { what: format!("content of {}", descriptor.digest), expected: format!("{size} bytes"), actual }
}

impl Read for Verifying<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.progress.cancelled() {
            return Err(Error::Cancelled.into());
        }
        let count = self.inner.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            self.hasher.check(&self.descriptor)?;
        }
        self.hasher.update(&buffer[..count]);
        self.progress.advance(&self.descriptor, count as u64);
        if self.hasher.count() > self.descriptor.size {
            let more = format!("more than {} bytes", self.descriptor.size);
            return Err(mismatch(&self.descriptor, self.descriptor.size, more).into());
        }
        Ok(count)
    }
}

/// The checked bytes of content, as a reader that outlives everything.
///
/// # Errors
/// What the source says.
pub fn open(source: &dyn Source, descriptor: &Descriptor) -> Result<Verifying<'static>> {
    let inner = source.open_unverified(descriptor, 0)?;
    let hasher = Hasher::new(descriptor.digest.algorithm());
    Ok(Verifying { inner, hasher, descriptor: descriptor.clone(), progress: &Silent })
}

/// Reads small checked content, such as a config.
///
/// # Errors
/// [`Error::TooLarge`] above `limit` bytes; what the source says.
pub fn read_small(source: &dyn Source, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>> {
    if descriptor.size > limit {
        return Err(Error::TooLarge { what: descriptor.digest.to_string(), limit: format!("{limit} bytes") });
    }
    Content::new(source, descriptor, &Silent).open()?.into_vec(limit)
}

/// Reads and parses a manifest or index.
///
/// # Errors
/// What the source says; as [`Document::parse`].
pub fn read_document(source: &dyn Source, descriptor: &Descriptor) -> Result<(RawManifest, Document)> {
    let bytes = read_small(source, descriptor, MAX_MANIFEST)?;
    let document = Document::parse(&bytes, Some(&descriptor.media_type))?;
    Ok((RawManifest { descriptor: descriptor.clone(), bytes }, document))
}
