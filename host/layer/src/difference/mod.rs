//! What was changed in a root filesystem on a disk, as a layer (image specification, `layer.md`, "Change Types") or a list.

mod same;
#[cfg(test)]
mod tests;
mod walk;

use std::path::Path;

use nacre_oci::Result;

use crate::{LayerWriter, OverlayAttributes};
use walk::{Out, Walk};

/// Where changes are.
#[derive(Clone, Copy, Debug)]
pub enum Changes<'a> {
    /// In the upper folder of an overlay mount, which must have had `redirect_dir=off` and `metacopy=off`.
    Overlay {
        /// The upper folder.
        upper: &'a Path,
        /// The lower folders, topmost first, as in `lowerdir`.
        lowers: &'a [&'a Path],
        /// How opaque folders are marked.
        attributes: OverlayAttributes,
    },
    /// Between two whole trees.
    Trees {
        /// As it was.
        before: &'a Path,
        /// As it is.
        after: &'a Path,
    },
}

/// What a layer of changes has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// How many entries were written, folders on the way included.
    pub entries: u64,
    /// Sockets, which a layer cannot have.
    pub skipped_sockets: u64,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// How.
    pub kind: ChangeKind,
    /// The tidy path.
    pub path: Vec<u8>,
}

/// How something has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was not there before.
    Added,
    /// It is another, has another content or other metadata; or it is a folder in which something has changed.
    Changed,
    /// It is not there any more.
    Deleted,
}

/// Writes what was changed into a layer, sorted by path, with the owners that this process sees.
///
/// The rules are those of BuildKit's overlay differ: what was copied up but has the same metadata and content is left out;
/// folders on the way to a change are in; a file that a program named `.wh.x` becomes a whiteout.
///
/// `exclude` are tidy paths that are left out with all below them, as are folders that were made only to hold one. Programs
/// may change the files meanwhile: what is gone when its turn comes is left out, and a file whose size changes is cut off or
/// filled up with zeros.
///
/// # Errors
/// If something cannot be read, if the overlay mount had redirected folders, or if the layer cannot be written.
pub fn difference(changes: &Changes<'_>, exclude: &[Vec<u8>], layer: &mut LayerWriter) -> Result<Difference> {
    Walk::new(changes, exclude, Out::Layer(layer))?.run()
}

/// As [`difference`], but a file of a lower layer that has got another name is in it, so that both stay names of one file
/// (containerd's rule for commits; BuildKit's builds lose that).
///
/// # Errors
/// As those of [`difference`].
pub fn difference_with_links(changes: &Changes<'_>, exclude: &[Vec<u8>], layer: &mut LayerWriter) -> Result<Difference> {
    Walk::new(changes, exclude, Out::Layer(layer))?.with_new_links().run()
}

/// Lists what [`difference`] would write, a folder before what is in it, by the rules of Docker's `diff`: of what was
/// deleted only the topmost folder counts, sockets and files named `.wh.x` are as others.
///
/// # Errors
/// As those of [`difference`]; and those of `tell`.
pub fn changes(changes: &Changes<'_>, exclude: &[Vec<u8>], tell: &mut dyn FnMut(Change) -> Result<()>) -> Result<()> {
    Walk::new(changes, exclude, Out::List(tell))?.run().map(drop)
}
