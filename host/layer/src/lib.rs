//! Layers: what archives, layers and images consist of, read and written without ever holding a layer in memory.
//!
//! [`Bytes`] are read in order or anywhere, [`Codec`] takes compressions away within limits, [`TarReader`] and
//! [`TarWriter`] know tar, [`LayerWriter`] makes layers from entries or from a whole tar, and [`Tree`] is the root
//! filesystem that layers make together. Nothing is ever unpacked to a disk.

mod bytes;
mod codec;
mod encode;
mod entry;
mod gzip;
mod inflate;
mod layer;
mod limit;
pub mod path;
mod resolve;
mod tar;
mod tree;

pub use bytes::{Bytes, Piece, Reader, Spool};
pub use codec::Codec;
pub use encode::Encoder;
pub use entry::{Entry, Kind, MAX_ID, Xattr};
pub use layer::{Compression, Ended, Layer, LayerWriter};
pub use tar::{Member, TarReader, TarWriter};
pub use tree::{Node, Tree};
