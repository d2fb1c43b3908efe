//! cpio archives as images, among them an initramfs, and an image's root filesystem as one.
//!
//! Only headers, names and the targets of symlinks cross into the plugin. The sums of the `crc`
//! format are not checked, since the content they are of does not.

mod archive;
mod header;
mod links;
#[cfg(test)]
mod tests;
mod write;

use nacre_sdk::bytes::{Piece, Range, Sink, Source};
use nacre_sdk::entries::entry;
use nacre_sdk::export::compression;
use nacre_sdk::files::{Kind, Layer, all};
use nacre_sdk::filesystem::IntoLayer;
use nacre_sdk::images::{Builder, Image};
use nacre_sdk::import::{Confidence, Head};
use nacre_sdk::{Error, Level, Options, invalid, log};

use write::Writer;

/// How much stands in memory before it is written.
const PENDING: usize = 64 << 10;

/// A header of one of the three text formats.
pub fn probe(_format: &str, head: &Head) -> Confidence {
    match header::is_magic(&head.plain) {
        true => Confidence::Certain,
        false => Confidence::No,
    }
}

/// Each source as a layer.
pub fn convert(_format: &str, sources: Vec<Source>, image: &Builder, _opts: &Options) -> Result<(), Error> {
    sources.into_iter().try_for_each(|source| add(source, &image.layer("")?))
}

/// Adds archives that stand one behind the other; what comes behind plain ones may be compressed, as
/// in an initramfs that begins with microcode.
fn add(source: Source, layer: &Layer) -> Result<(), Error> {
    let Some(at) = archive::read(&source, &mut IntoLayer { source: &source, layer })? else { return Ok(()) };
    let behind = Range { offset: at, size: source.size()?.saturating_sub(at) };
    let source = source.part(&[Piece::Plain(behind)])?.decompress(None)?;
    let Some(inner) = archive::read(&source, &mut IntoLayer { source: &source, layer })? else { return Ok(()) };
    let begins = source.read_at(inner, header::MAGIC as u32)?;
    match header::other(&begins) {
        Some(what) => Err(Error::Unsupported(format!("what begins at byte {at} is {what}"))),
        None => {
            Err(invalid("no-archive", format!("what begins at byte {} is no cpio archive (newc, crc or odc)", at.saturating_add(inner))))
        }
    }
}

/// The root filesystem as an initramfs.
pub fn write(_format: &str, image: &Image, out: &Sink, opts: &Options) -> Result<(), Error> {
    if let Some(codec) = compression(opts)? {
        out.compress(codec)?;
    }
    let links = image.files()?;
    let targets = all(&links).filter_map(|entry| entry.map(|entry| entry.link.filter(|_| entry.kind == Kind::Hardlink)).transpose());
    let mut archive = Writer::new(targets)?;
    archive.member(&entry("", Kind::Directory, 0o755))?;
    let listing = image.files()?;
    let mut with_xattrs = 0_u64;
    for (index, entry) in (0..).zip(all(&listing)) {
        let entry = entry?;
        with_xattrs += u64::from(!entry.xattrs.is_empty());
        let size = archive.member(&entry)?;
        if size > 0 || archive.pending.len() > PENDING {
            out.write(&std::mem::take(&mut archive.pending))?;
        }
        if size > 0 {
            let written = out.splice(&listing.open(index)?)?;
            if written != size {
                return Err(Error::Io(format!("'{}' has {written} bytes and not {size}", entry.path.escape_default())));
            }
            archive.content(written);
        }
    }
    archive.finish();
    out.write(&archive.pending)?;
    if with_xattrs > 0 {
        log(Level::Warn, &format!("cpio holds no extended attributes: those of {with_xattrs} files are left out"), &[]);
    }
    Ok(())
}

nacre_sdk::import_format!(probe, convert);
nacre_sdk::export_format!(write);
