//! Layers as files on a disk: for overlay mounts, and for folders that are to hold a root filesystem.
//!
//! A layer is untrusted. Where a path leads is worked out here, with its symbolic links taken inside the root, and what
//! comes out is opened without following any link, so that nothing outside is ever touched, not even when a link is put in
//! the way meanwhile.

mod clear;
mod lowers;
pub(crate) mod make;
mod places;
pub(crate) mod remove;
mod root;
#[cfg(test)]
pub(crate) mod tests;

use std::{collections::BTreeSet, io::Read, path::Path};

use nacre_oci::{Error, Result};

pub(crate) use lowers::{Lowers, Shown, is_opaque};
pub(crate) use make::stored;
pub use remove::remove_tree;
pub(crate) use root::{Node, Root, is_overlays};

use crate::{Entry, Kind, TarReader};
use places::Places;

/// Content is read and written in pieces of this many bytes.
pub(crate) const PIECE: usize = 256 << 10;

/// The attributes by which an overlay filesystem marks opaque folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverlayAttributes {
    /// `trusted.overlay.*`: as root.
    Trusted,
    /// `user.overlay.*`: mounts with the option `userxattr`.
    User,
}

impl OverlayAttributes {
    /// The attribute that says that a folder is opaque.
    pub(crate) fn opaque(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.opaque",
            Self::User => "user.overlay.opaque",
        }
    }

    /// The attribute that says that a folder comes from elsewhere.
    pub(crate) fn redirect(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.redirect",
            Self::User => "user.overlay.redirect",
        }
    }

    /// The attribute that says that a file's content is in a lower folder.
    pub(crate) fn metacopy(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.metacopy",
            Self::User => "user.overlay.metacopy",
        }
    }
}

/// What a layer is unpacked for.
#[derive(Clone, Copy, Debug)]
pub enum Form<'a> {
    /// To be a lower folder of an overlay mount, alone in its folder.
    ///
    /// The tree depends on those below it: a hard link to one of their files needs a copy of it, a symbolic link of theirs
    /// may be on a path, and folders that the layer does not describe keep their metadata.
    Overlay {
        /// The unpacked layers below, topmost first, as in overlayfs' `lowerdir`.
        lowers: &'a [&'a Path],
        /// How opaque folders are marked.
        attributes: OverlayAttributes,
    },
    /// Over what the folder holds, which is what the layers below have made there. Whiteouts delete.
    InPlace,
}

/// How a layer is unpacked.
#[derive(Clone, Copy, Debug)]
pub struct Unpacking<'a> {
    /// What for.
    pub form: Form<'a>,
    /// Whether files get the owners that the layer says. A process that has only one id can give no others.
    pub owners: bool,
    /// Whether device nodes are made, and extended attributes that are not permitted are an error. Otherwise both are
    /// left out and counted.
    pub privileged: bool,
}

/// What was unpacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Files, folders, links and whiteouts of the layer.
    pub entries: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Device nodes left out.
    pub skipped_devices: u64,
    /// Extended attributes left out.
    pub skipped_attributes: u64,
}

/// Unpacks a layer's uncompressed tar into the folder `root`, which has to be there. `plain` is read to its end. Nothing is
/// flushed: what is unpacked can be made again.
///
/// As in BuildKit, what a layer says about the root folder itself is ignored; `.wh.` files take away what lower layers have,
/// wherever they stand in the layer; overlay filesystems' own attributes are dropped (image specification, `layer.md`).
///
/// # Errors
/// If the layer is malformed, puts something below a file, or links to what is not there; if an owner cannot be given; if the
/// folder cannot be written. What was unpacked till then stays.
pub fn unpack(plain: &mut dyn Read, root: &Path, how: &Unpacking<'_>) -> Result<Unpacked> {
    let mut tar = TarReader::new(plain).as_layer().allow_unterminated().named("the layer");
    let mut unpacker = Unpacker::new(root, how)?;
    while let Some(member) = tar.next_entry().map_err(Error::io("read the layer"))? {
        unpacker.add(&member.entry, &mut tar)?;
    }
    tar.finish().map_err(Error::io("read the layer"))?;
    unpacker.places.finish(how.owners)?;
    Ok(unpacker.done)
}

/// A layer being unpacked.
struct Unpacker<'a> {
    how: Unpacking<'a>,
    places: Places,
    /// The devices that were left out.
    skipped: BTreeSet<Vec<u8>>,
    buffer: Vec<u8>,
    done: Unpacked,
}

impl<'a> Unpacker<'a> {
    fn new(root: &Path, how: &Unpacking<'a>) -> Result<Self> {
        let places = Places::new(root, &how.form)?;
        Ok(Self { how: *how, places, skipped: BTreeSet::new(), buffer: vec![0; PIECE], done: Unpacked::default() })
    }

    fn in_place(&self) -> bool {
        matches!(self.how.form, Form::InPlace)
    }

    fn add(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        self.done.entries += 1;
        match entry.kind {
            Kind::Whiteout => self.whiteout(entry),
            Kind::Opaque => self.opaque(entry),
            _ if entry.path.is_empty() => Ok(()),
            Kind::Directory => self.folder(entry),
            Kind::Hardlink => self.hardlink(entry),
            _ => self.leaf(entry, content),
        }
    }
}
