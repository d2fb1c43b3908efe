//! Trees of files, and the operations on them that make layers: copy, make folders, files and links, remove.
//!
//! A [`FileTree`] is a folder of the user's ([`Folder`]) or what layers make together ([`LayerTree`]); neither is ever
//! unpacked. [`run`] carries actions out on a [draft](draft::Draft) over a tree and writes what has changed as a layer.
//! The rules are BuildKit's (its file backend and the copy of its fsutil library), except where one is marked as nacre's.
//!
//! Paths are bytes relative to a tree's root, tidy as [`nacre_layer::path`] means it; the root is empty.

mod accounts;
mod actions;
mod beneath;
mod compiled;
mod copy;
mod digests;
mod draft;
mod folder;
mod format;
mod glob;
mod indexing;
mod key;
mod layers;
mod missing;
mod mode;
mod patterns;
mod resolve;
mod run;
#[cfg(test)]
mod testing;
mod unpack;
mod write;

use std::io::Read;

use nacre_layer::{Bytes, Entry, Kind};
use nacre_oci::{Error, Result};

pub use accounts::account;
pub use folder::Folder;
pub(crate) use glob::not_found;
pub use key::key;
pub use layers::{LayerTree, TreeLayer};
pub(crate) use missing::lies_in_another;
pub use patterns::Patterns;
pub use resolve::{read_small, resolve};
pub use run::{Job, Time, run, whole};

/// One file, folder, link or device of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is; never a hard link, a whiteout or an opaque folder.
    pub entry: Entry,
    /// Which file it is, if that has more names in the tree: those have the same.
    pub inode: Option<(u64, u64)>,
}

impl Item {
    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.entry.kind == Kind::Directory
    }

    /// A root folder of root's that nothing describes.
    fn root() -> Self {
        Self { entry: Entry::new([], Kind::Directory), inode: None }
    }
}

/// What is where. Symbolic links on the way are not followed: what lies behind one is not there ([`resolve`] follows).
pub trait Names {
    /// What has this path. The root is always there.
    ///
    /// # Errors
    /// If it cannot be asked for.
    fn get(&self, path: &[u8]) -> Result<Option<Item>>;

    /// What this folder holds, sorted by name; nothing if it is no folder.
    ///
    /// # Errors
    /// If it cannot be read.
    fn list(&self, folder: &[u8]) -> Result<Vec<Item>>;
}

/// A tree of files that can be read.
pub trait FileTree: Names + Send + Sync {
    /// A file's content, in order. Reading ends in an error that names the file if the file changes meanwhile.
    ///
    /// # Errors
    /// If it is no file or cannot be read.
    fn open(&self, path: &[u8]) -> Result<Box<dyn Read + Send>>;

    /// A file's content, to be read anywhere: of an archive.
    ///
    /// # Errors
    /// As [`FileTree::open`].
    fn bytes(&self, path: &[u8]) -> Result<Bytes>;

    /// The SHA-256 of these files' contents, in this order. They are remembered for the next build.
    ///
    /// # Errors
    /// As [`FileTree::open`].
    fn digests(&self, paths: &[Vec<u8>]) -> Result<Vec<[u8; 32]>>;
}

/// An error with a text of its own.
fn fail(text: impl Into<String>) -> Error {
    Error::Other(text.into().into())
}

/// A path for messages: absolute, as in the user's file.
fn shown(path: &[u8]) -> String {
    format!("/{}", nacre_layer::path::shown(path))
}
