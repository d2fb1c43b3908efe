//! tar: POSIX' ustar and pax, and what GNU tar adds.

mod header;
mod member;
mod pax;
mod reader;
mod writer;

pub use member::Member;
pub use reader::TarReader;
pub use writer::TarWriter;

/// Everything in a tar comes in blocks of this many bytes.
pub(crate) const BLOCK: u64 = 512;
/// In a layer, a file of this name and what follows takes away what follows (image specification, `layer.md`).
pub(crate) const WHITEOUT: &[u8] = b".wh.";
/// In a layer, a file of this name takes away what its folder held.
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";

/// The zero bytes between content of `size` bytes and the next header.
fn padding(size: u64) -> u64 {
    (BLOCK - size % BLOCK) % BLOCK
}

#[cfg(test)]
mod tests;
