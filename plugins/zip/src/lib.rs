//! zip archives as images, with Unix' modes, owners, times and symlinks where they have them.
//!
//! Only the directory, what stands before each content, and the targets of symlinks cross into the
//! plugin. So the CRC-32 of contents is not checked: sizes are, and what the compression checks
//! itself.

mod archive;
mod central;
mod end;
mod extra;
#[cfg(test)]
mod tests;

use nacre_sdk::bytes::{Piece, Source, decode};
use nacre_sdk::files::{Content, Entry, Layer};
use nacre_sdk::images::Builder;
use nacre_sdk::import::{Confidence, Head};
use nacre_sdk::{Error, Options};

/// Names of zip archives that begin with something else.
const SUFFIXES: [&str; 2] = [".zip", ".jar"];

/// A zip archive begins with a file, or is empty.
pub fn probe(_format: &str, head: &Head) -> Confidence {
    let named = || head.name.as_ref().is_some_and(|name| SUFFIXES.iter().any(|suffix| name.ends_with(suffix)));
    match head.raw.get(..4) {
        Some(b"PK\x03\x04" | b"PK\x05\x06") => Confidence::Certain,
        _ if named() => Confidence::Maybe,
        _ => Confidence::No,
    }
}

/// Each source as a layer.
pub fn convert(_format: &str, sources: Vec<Source>, image: &Builder, _opts: &Options) -> Result<(), Error> {
    for source in &sources {
        let layer = image.layer("")?;
        archive::read(source, decode, &mut |entry, content| add(source, &layer, &entry, content))?;
    }
    Ok(())
}

fn add(source: &Source, layer: &Layer, entry: &Entry, content: archive::Content) -> Result<(), Error> {
    let Some((range, codec)) = content else { return layer.add(entry, &Content::None) };
    let packed = source.part(&[Piece::Plain(range)])?;
    match codec {
        None => layer.add(entry, &Content::Source(&packed)),
        codec => layer.add(entry, &Content::Source(&packed.decompress(codec)?)),
    }
}

nacre_sdk::import_format!(probe, convert);
