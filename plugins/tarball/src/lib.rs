//! Tar archives as images, a layer for each, and an image's root filesystem as a tar archive.
//!
//! No content crosses into the plugin: it tells a tar by its head, and nacre does the rest.

use nacre_sdk::bytes::{Sink, Source};
use nacre_sdk::export::compression;
use nacre_sdk::files::write_tar;
use nacre_sdk::images::{Builder, Image};
use nacre_sdk::import::{Confidence, Head};
use nacre_sdk::read::Fields;
use nacre_sdk::{Error, Options};

/// Names that tar archives go by.
const SUFFIXES: [&str; 9] = [".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tbz"];

/// A tar's first header is unmistakable: the magic of POSIX and GNU, or else (Unix V7) its checksum.
pub fn probe(_format: &str, head: &Head) -> Confidence {
    if has_magic(&head.plain) || has_checksum(&head.plain) {
        return Confidence::Certain;
    }
    let empty = head.plain.iter().all(|&byte| byte == 0);
    match empty && head.name.as_ref().is_some_and(|name| SUFFIXES.iter().any(|suffix| name.ends_with(suffix))) {
        true => Confidence::Maybe,
        false => Confidence::No,
    }
}

fn has_magic(plain: &[u8]) -> bool {
    plain.get(257..262) == Some(b"ustar")
}

/// Whether the sum of the first header's bytes, with blanks for the sum itself, is what it says
/// (POSIX pax, "ustar Interchange Format"). Some old writers added signed bytes.
fn has_checksum(plain: &[u8]) -> bool {
    let Some((name, sum, rest)) = header(plain) else { return false };
    let Some(sum) = octal(sum).filter(|&sum| sum != 0) else { return false };
    let others = || name.iter().chain(b"        ").chain(rest);
    let unsigned: i64 = others().map(|&byte| i64::from(byte)).sum();
    let signed: i64 = others().map(|&byte| i64::from(byte.cast_signed())).sum();
    sum == unsigned || sum == signed
}

/// The header before, in and after its checksum.
fn header(plain: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    Some((plain.get(..148)?, plain.get(148..156)?, plain.get(156..512)?))
}

/// A number with blanks and zeros around it.
fn octal(field: &[u8]) -> Option<i64> {
    let digits = field.trim_ascii_start();
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    let number = Fields::new(digits, 0).digits(end, 8).ok()?;
    i64::try_from(number).ok()
}

/// Each source as a layer.
pub fn convert(_format: &str, sources: Vec<Source>, image: &Builder, _opts: &Options) -> Result<(), Error> {
    sources.iter().try_for_each(|source| image.layer("")?.add_tar(source))
}

/// The root filesystem, with whiteouts applied.
pub fn write(_format: &str, image: &Image, out: &Sink, opts: &Options) -> Result<(), Error> {
    if let Some(codec) = compression(opts)? {
        out.compress(codec)?;
    }
    write_tar(&image.files()?, out)
}

nacre_sdk::import_format!(probe, convert);
nacre_sdk::export_format!(write);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// A header of an empty file `a`, with this magic, and its checksum.
    fn tar(magic: &[u8]) -> Vec<u8> {
        let mut block = vec![0; 512];
        block[0] = b'a';
        block[257..257 + magic.len()].copy_from_slice(magic);
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    }

    fn probed(name: &str, plain: &[u8]) -> Confidence {
        probe("tarball", &Head { name: Some(name.into()), raw: plain.into(), compression: None, plain: plain.into() })
    }

    #[test]
    fn a_tar_is_told_by_its_first_header() {
        for magic in [&b"ustar\x0000"[..], b"ustar  \0", b""] {
            assert_eq!(probed("x", &tar(magic)), Confidence::Certain, "{magic:?}");
        }
        let mut wrong = tar(b"");
        wrong[0] = b'b';
        for bytes in [&wrong[..], &tar(b"")[..511], &[0; 1024], b"PK\x03\x04", b""] {
            assert_eq!(probed("x", bytes), Confidence::No);
        }
    }

    #[test]
    fn an_empty_tar_is_told_by_its_name() {
        assert_eq!(probed("empty.tar.gz", &[0; 1024]), Confidence::Maybe);
        assert_eq!(probed("a.tar", b"no tar at all"), Confidence::No);
    }
}
