//! The tree that is written, in memory: everything but the files' content.

use std::collections::BTreeMap;

use nacre_sdk::entries::from_text;
use nacre_sdk::files::{Entry, Kind};
use nacre_sdk::{Error, invalid};

use super::xattrs::Xattrs;

/// The longest name that a folder can list.
const MAX_NAME: usize = 256;

/// One inode.
pub struct Node {
    /// The folder that it was first seen in.
    pub parent: u32,
    /// The permission bits.
    pub mode: u16,
    /// The user's place in the table of ids.
    pub uid: u16,
    /// The group's.
    pub gid: u16,
    /// When it was last changed.
    pub mtime: u32,
    /// How many names it has; of a folder without those that folders in it have for it.
    pub links: u32,
    /// The number of its extended attributes.
    pub xattrs: u32,
    /// What it is.
    pub body: Body,
}

/// What an inode is.
pub enum Body {
    /// A folder: what it holds, by the name.
    Directory(BTreeMap<Vec<u8>, u32>),
    /// A file: where it lies and the sizes of its blocks.
    File {
        /// Where its first block lies.
        start: u64,
        /// The bytes that it has.
        size: u64,
        /// The bytes of its blocks as they lie there.
        blocks: Vec<u32>,
        /// Or the fragment block that it lies in, and the offset there.
        fragment: Option<(u32, u32)>,
    },
    /// A symlink and its target.
    Symlink(Vec<u8>),
    /// A block device and its numbers.
    BlockDevice(u32),
    /// A character device and its numbers.
    CharDevice(u32),
    /// A named pipe.
    Fifo,
}

/// All inodes, each folder before what it holds; the first is the root.
pub struct Tree {
    /// The inodes.
    pub nodes: Vec<Node>,
    /// All users and groups.
    pub ids: Ids,
    /// All extended attributes.
    pub xattrs: Xattrs,
}

impl Tree {
    /// A root folder of root with mode 0755.
    ///
    /// # Errors
    /// None: there is room for one owner.
    pub fn new(xattrs: Xattrs) -> Result<Tree, Error> {
        let mut tree = Tree { nodes: Vec::new(), ids: Ids::default(), xattrs };
        let root = tree.folder_of_root(0)?;
        tree.nodes.push(root);
        Ok(tree)
    }

    /// Adds an entry. A file's body is given; what else there is to know, the entry knows.
    ///
    /// # Errors
    /// A squashfs cannot hold it.
    pub fn add(&mut self, entry: &Entry, file: Option<Body>) -> Result<(), Error> {
        let path = from_text(&entry.path);
        let (folder, name) = self.place(&path)?;
        if entry.kind == Kind::Hardlink {
            let target = self.find(&from_text(entry.link.as_deref().unwrap_or_default()))?;
            self.node_mut(target)?.links += 1;
            return self.insert(folder, name, target);
        }
        let node = self.node(folder, entry, file)?;
        match self.child(folder, name) {
            Some(there) if entry.kind == Kind::Directory => self.replace_folder(there, node),
            _ if name.is_empty() => self.replace_folder(0, node),
            _ => {
                let index = u32::try_from(self.nodes.len()).map_err(|_| Error::Limit("more than 2^32 files".to_owned()))?;
                self.nodes.push(node);
                self.insert(folder, name, index)
            }
        }
    }

    fn node(&mut self, parent: u32, entry: &Entry, file: Option<Body>) -> Result<Node, Error> {
        let body = match (entry.kind, file) {
            (Kind::Directory, _) => Body::Directory(BTreeMap::new()),
            (Kind::Symlink, _) => Body::Symlink(from_text(entry.link.as_deref().unwrap_or_default())),
            (Kind::BlockDevice, _) => Body::BlockDevice(device_number(entry.device)?),
            (Kind::CharDevice, _) => Body::CharDevice(device_number(entry.device)?),
            (Kind::Fifo, _) => Body::Fifo,
            (Kind::File, Some(body)) => body,
            _ => return Err(Error::Unsupported("an entry that is only for layers".to_owned())),
        };
        let (uid, gid) = (self.ids.number(entry.uid)?, self.ids.number(entry.gid)?);
        // The format has no time before 1970 and none from 2106 on.
        let mtime = entry.mtime.clamp(0, i64::from(u32::MAX)) as u32;
        let mode = (entry.mode & 0o7777) as u16;
        Ok(Node { parent, mode, uid, gid, mtime, links: 1, xattrs: self.xattrs.number(&entry.xattrs)?, body })
    }

    /// The folder that a path lies in, and its last name. Folders that are not there are made.
    fn place<'p>(&mut self, path: &'p [u8]) -> Result<(u32, &'p [u8]), Error> {
        let (parents, name) = match path.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&path[..0], path),
        };
        if name.len() > MAX_NAME {
            return Err(invalid("long-name", format!("a name of {} bytes: a squashfs can hold {MAX_NAME}", name.len())));
        }
        let mut folder = 0;
        for part in parents.split(|&byte| byte == b'/').filter(|part| !part.is_empty()) {
            folder = match self.child(folder, part) {
                Some(child) => child,
                None => {
                    let made = self.folder_of_root(folder)?;
                    self.nodes.push(made);
                    let index = (self.nodes.len() - 1) as u32;
                    self.insert(folder, part, index)?;
                    index
                }
            };
        }
        Ok((folder, name))
    }

    fn folder_of_root(&mut self, parent: u32) -> Result<Node, Error> {
        let entry = nacre_sdk::entries::entry("", Kind::Directory, 0o755);
        self.node(parent, &entry, None)
    }

    fn child(&self, folder: u32, name: &[u8]) -> Option<u32> {
        match &self.nodes.get(folder as usize)?.body {
            Body::Directory(children) => children.get(name).copied(),
            _ => None,
        }
    }

    fn find(&self, path: &[u8]) -> Result<u32, Error> {
        let mut parts = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty());
        let found = parts.try_fold(0, |folder, name| self.child(folder, name));
        let file = found.filter(|found| !matches!(self.nodes.get(*found as usize).map(|node| &node.body), None | Some(Body::Directory(_))));
        file.ok_or_else(|| invalid("bad-link", "a hardlink to what did not come before"))
    }

    fn node_mut(&mut self, index: u32) -> Result<&mut Node, Error> {
        self.nodes.get_mut(index as usize).ok_or_else(|| invalid("bad-link", "a link to nothing"))
    }

    fn insert(&mut self, folder: u32, name: &[u8], index: u32) -> Result<(), Error> {
        match &mut self.node_mut(folder)?.body {
            Body::Directory(children) => match children.insert(name.to_vec(), index) {
                None => Ok(()),
                Some(_) => Err(invalid("twice", "a path that comes twice")),
            },
            _ => Err(invalid("no-folder", "a path through what is no folder")),
        }
    }

    /// Gives a folder that was made for what it holds what its own entry says.
    fn replace_folder(&mut self, index: u32, mut node: Node) -> Result<(), Error> {
        let there = self.node_mut(index)?;
        if !matches!((&there.body, &node.body), (Body::Directory(_), Body::Directory(_))) {
            return Err(invalid("twice", "a path that comes twice"));
        }
        std::mem::swap(&mut there.body, &mut node.body);
        *there = Node { body: node.body, parent: there.parent, ..node };
        Ok(())
    }
}

/// The numbers of users and groups: inodes have only 16 bits for each.
#[derive(Default)]
pub struct Ids {
    numbers: BTreeMap<u32, u16>,
    /// The ids, by number.
    pub all: Vec<u32>,
}

impl Ids {
    fn number(&mut self, id: u32) -> Result<u16, Error> {
        if let Some(number) = self.numbers.get(&id) {
            return Ok(*number);
        }
        // The superblock counts them in 16 bits.
        let number = u16::try_from(self.all.len()).ok().filter(|number| *number < u16::MAX);
        let number =
            number.ok_or_else(|| Error::Limit("more than 65535 users and groups, which is what a squashfs can hold".to_owned()))?;
        self.numbers.insert(id, number);
        self.all.push(id);
        Ok(number)
    }
}

/// Major and minor number in one, as `new_encode_dev` of Linux puts them together.
fn device_number(device: Option<(u32, u32)>) -> Result<u32, Error> {
    let (major, minor) = device.unwrap_or_default();
    if major > 0xfff || minor > 0xf_ffff {
        return Err(invalid("bad-device", format!("a device {major}:{minor}: a squashfs can hold 4095:1048575")));
    }
    Ok((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12))
}
