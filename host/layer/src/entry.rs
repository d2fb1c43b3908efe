//! One file, folder, link or device of an archive, a layer or an image.

use crate::path;

/// The largest user or group id (2^31 - 1). Larger ones wrapped round to 0 elsewhere (CVE-2024-40635).
pub const MAX_ID: u32 = i32::MAX as u32;

/// What an [`Entry`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Another name of something whose entry came before.
    Hardlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// In a layer: what has this path in the layers below is gone (image specification, `layer.md`, "Whiteouts").
    Whiteout,
    /// In a layer: what this folder holds in the layers below is gone ("Opaque Whiteout").
    Opaque,
}

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xattr {
    /// With its namespace, such as `security.capability`.
    pub name: String,
    /// Any bytes.
    pub value: Vec<u8>,
}

/// What is known about one file, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Tidy (see [`path::tidy`]): relative, without empty parts, `.` and `..`; the root is empty.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// The twelve permission bits.
    pub mode: u32,
    /// The owner, at most [`MAX_ID`].
    pub uid: u32,
    /// The group, at most [`MAX_ID`].
    pub gid: u32,
    /// The bytes of a file; otherwise 0.
    pub size: u64,
    /// When its content last changed, in seconds since 1970 ...
    pub mtime: i64,
    /// ... and billionths of a second, below 10^9.
    pub nanos: u32,
    /// A symbolic link's text, or the tidy path of what a hard link is another name for.
    pub link: Option<Vec<u8>>,
    /// A device's major and minor number.
    pub device: Option<(u32, u32)>,
    /// Extended attributes, in the archive's order; each name once.
    pub xattrs: Vec<Xattr>,
}

impl Entry {
    /// An entry of root's with mode 0755 for folders and 0644 otherwise, without time or content.
    pub fn new(path: impl Into<Vec<u8>>, kind: Kind) -> Self {
        let mode = if kind == Kind::Directory { 0o755 } else { 0o644 };
        Self { path: path.into(), kind, mode, uid: 0, gid: 0, size: 0, mtime: 0, nanos: 0, link: None, device: None, xattrs: Vec::new() }
    }

    /// The path as text, for messages.
    pub fn name(&self) -> String {
        path::to_text(&self.path)
    }
}
