//! Layers: what archives, layers and images consist of, read and written without ever holding a layer in memory.
//!
//! [`Bytes`] are read in order or anywhere, [`Codec`] takes compressions away within limits, [`TarReader`] and
//! [`TarWriter`] know tar, [`LayerWriter`] makes layers from entries or from a whole tar, and [`Tree`] is the root
//! filesystem that layers make together. [`unpack`] puts layers on a disk, for programs to run on; [`difference`] makes a
//! layer of what they changed; [`archive`] and [`extract`] copy files out and in.

mod archive;
mod bytes;
mod codec;
mod difference;
mod encode;
mod entry;
mod extract;
mod gunzip;
mod gzip;
mod inflate;
mod layer;
mod limit;
pub mod path;
mod resolve;
mod steady;
mod tar;
mod tree;
mod unpack;

pub use archive::archive;
pub use bytes::{Bytes, Piece, Reader, Spool};
pub use codec::Codec;
pub use difference::{Change, ChangeKind, Changes, Difference, changes, difference, difference_with_links};
pub use encode::Encoder;
pub use entry::{Entry, Kind, MAX_ID, Xattr};
pub use extract::{Extracted, Extracting, Owners, extract};
pub use layer::{Compression, Ended, Layer, LayerWriter};
pub use tar::{Member, TarReader, TarWriter};
pub use tree::{Node, Tree};
pub use unpack::{Form, OverlayAttributes, Unpacked, Unpacking, remove_tree, unpack};
