//! squashfs file systems, version 4.0: read into images, and written from them.
//!
//! The format has no specification but its two implementations, Linux (`fs/squashfs`) and
//! squashfs-tools; comments name the kernel's structures.

pub mod read;
pub mod write;

use nacre_sdk::bytes::{Block, Codec, Sink, Source, decode, encode};
use nacre_sdk::files::{self, Listing};
use nacre_sdk::filesystem::{IntoLayer, walk};
use nacre_sdk::images::Image;
use nacre_sdk::import::{Builder, Confidence, Head};
use nacre_sdk::read::ReadAt;
use nacre_sdk::{Error, Level, Options, log};

use read::superblock::MAGIC;
use write::{Format, Target};

/// A squashfs file system bears its mark in the first four bytes.
pub fn probe(_format: &str, head: &Head) -> Confidence {
    if head.plain.starts_with(&MAGIC) { Confidence::Certain } else { Confidence::No }
}

/// Each file system becomes one layer.
pub fn convert(_format: &str, sources: Vec<Source>, image: &Builder, _opts: &Options) -> Result<(), Error> {
    for source in sources {
        let bare = source.read_at(0, 4)? == MAGIC;
        let source = if bare { source } else { source.decompress(None)? };
        let layer = image.layer("")?;
        let mut filesystem = read::Image::open(&source, decode)?;
        walk(&mut filesystem, ReadAt::size(&source)?, &mut IntoLayer { source: &source, layer: &layer })?;
    }
    Ok(())
}

/// Writes an image's root filesystem.
pub fn write(_format: &str, image: &Image, out: &Sink, opts: &Options) -> Result<(), Error> {
    let format = Format::of(opts, encode)?;
    let listing = image.files()?;
    let left_out = write::write(files::all(&listing), &mut Output { listing: &listing, out }, format)?;
    if left_out > 0 {
        log(Level::Warn, &format!("{left_out} extended attributes left out: a squashfs holds user., trusted. and security. only"), &[]);
    }
    Ok(())
}

struct Output<'a> {
    listing: &'a Listing,
    out: &'a Sink,
}

impl Target for Output<'_> {
    fn write(&mut self, data: &[u8]) -> Result<(), Error> {
        data.chunks(1 << 20).try_for_each(|part| self.out.write(part))
    }

    fn write_at(&mut self, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.out.write_at(offset, data)
    }

    fn position(&mut self) -> Result<u64, Error> {
        self.out.position()
    }

    fn content(&mut self, index: u32, size: u32) -> Result<Vec<u8>, Error> {
        self.listing.open(index)?.read(size)
    }

    fn blocks(&mut self, index: u32, size: u32, codec: Codec) -> Result<Vec<Block>, Error> {
        self.out.splice_blocks(&self.listing.open(index)?, size, codec)
    }
}

nacre_sdk::import_format!(probe, convert);
nacre_sdk::export_format!(write);
