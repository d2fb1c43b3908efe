//! Files and folders of a disk as a tar.

use std::{
    collections::HashMap,
    io::{self, Write},
    os::fd::OwnedFd,
};

use nacre_oci::{Error, Result};
use rustix::fs::FileType;

use crate::{
    Entry, Kind, TarWriter,
    path::{self, join},
    steady::{Steady, unless_gone},
    unpack::{Node, Root, stored},
};

/// Writes the tar of what is open (also only by its place, `O_PATH`): a folder with all below it, or anything else.
///
/// Its entry has the tidy path `name`, empty for `./`, and those below a folder follow, sorted by name, depth first; without
/// a name a folder has no entry of its own. Folders of which `empty` says so, given their path below the top, are written without what
/// they hold. No link is followed. Programs may change the files meanwhile: what is gone when its turn comes is left out,
/// and a file whose size changes is cut off or filled up with zeros. Sockets are left out.
///
/// # Errors
/// If something cannot be read, or the tar cannot be written.
pub fn archive(top: OwnedFd, name: Option<&[u8]>, empty: &dyn Fn(&[u8]) -> bool, out: &mut dyn Write) -> Result<()> {
    let node = Node::of(top).map_err(reading(name.unwrap_or_default()))?;
    let mut archive = Archive { tar: TarWriter::new(out), name: name.unwrap_or_default(), links: HashMap::new() };
    if !node.is_folder() {
        archive.add(&node, b"")?;
        return archive.finish();
    }
    if name.is_some() {
        archive.add(&node, b"")?;
    }
    let root = Root::of(node.into_fd());
    let mut levels = if empty(b"") { Vec::new() } else { vec![archive.level(&root, Vec::new())?] };
    while let Some((folder, names)) = levels.last_mut() {
        let Some(next) = names.pop() else {
            levels.pop();
            continue;
        };
        let path = join(folder, &next);
        let found = unless_gone(root.look(&path)).map_err(reading(&path))?.flatten();
        let Some(node) = found else { continue };
        archive.add(&node, &path)?;
        if node.is_folder() && !empty(&path) {
            levels.push(archive.level(&root, path)?);
        }
    }
    archive.finish()
}

/// A tar in the making.
struct Archive<'a> {
    tar: TarWriter<&'a mut dyn Write>,
    name: &'a [u8],
    /// The first name of files that have several.
    links: HashMap<(u64, u64), Vec<u8>>,
}

impl Archive<'_> {
    /// A folder's path and the names in it, last first.
    fn level(&self, root: &Root, path: Vec<u8>) -> Result<(Vec<u8>, Vec<Vec<u8>>)> {
        let mut names = unless_gone(root.names(&path)).map_err(reading(&path))?.unwrap_or_default();
        names.reverse();
        Ok((path, names))
    }

    /// Adds one thing, but not what it holds.
    fn add(&mut self, node: &Node, path: &[u8]) -> Result<()> {
        let name = if path.is_empty() { self.name.to_vec() } else { join(self.name, path) };
        let read = || reading(path);
        let Some(mut entry) = stored(node, &name).map_err(read())? else { return Ok(()) };
        if node.stat.st_nlink > 1 && !node.is_folder() {
            let id = (node.stat.st_dev, node.stat.st_ino);
            if let Some(first) = self.links.get(&id) {
                let link = Entry { kind: Kind::Hardlink, link: Some(first.clone()), size: 0, xattrs: Vec::new(), device: None, ..entry };
                return self.tar.add(&link, &mut io::empty()).map_err(read());
            }
            self.links.insert(id, name);
        }
        if node.kind() != FileType::RegularFile {
            return self.tar.add(&entry, &mut io::empty()).map_err(read());
        }
        let file = node.open().map_err(read())?;
        entry.size = file.metadata().map_err(read())?.len();
        self.tar.add(&entry, &mut Steady::new(file, entry.size)).map_err(read())
    }

    fn finish(self) -> Result<()> {
        self.tar.finish().and_then(|out| out.flush()).map_err(Error::io("write the tar archive"))
    }
}

fn reading(path: &[u8]) -> impl FnOnce(io::Error) -> Error {
    Error::io(format!("archive {}", path::shown(path)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::{
        fs,
        os::unix::{fs::symlink, net::UnixListener},
        path::Path,
    };

    use super::*;
    use crate::TarReader;

    fn lines(top: &Path, name: Option<&[u8]>) -> Vec<String> {
        let mut tar = Vec::new();
        let empty = |path: &[u8]| path == b"sys" || (path.is_empty() && name == Some(b"none"));
        archive(fs::File::open(top).unwrap().into(), name, &empty, &mut tar).unwrap();
        let mut reader = TarReader::new(tar.as_slice());
        let members = std::iter::from_fn(|| reader.next_entry().unwrap());
        members.map(|member| format!("{} {:?} {}", member.entry.name(), member.entry.kind, member.entry.size)).collect()
    }

    #[test]
    fn a_tree_is_in_the_order_of_its_names() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("b/c")).unwrap();
        fs::create_dir_all(top.path().join("sys/x")).unwrap();
        fs::write(top.path().join("b.txt"), "text").unwrap();
        fs::hard_link(top.path().join("b.txt"), top.path().join("b/c/again")).unwrap();
        symlink("/etc", top.path().join("a")).unwrap();
        let _socket = UnixListener::bind(top.path().join("socket")).unwrap();
        let inside = ["a Symlink 0", "b Directory 0", "b/c Directory 0", "b/c/again File 4", "b.txt Hardlink 0", "sys Directory 0"];
        assert_eq!(lines(top.path(), None), inside);
        assert_eq!(lines(top.path(), Some(b"none")), ["none Directory 0"]);
        assert_eq!(lines(top.path(), Some(b""))[0], " Directory 0");
        let named = lines(top.path(), Some(b"it"));
        assert_eq!(named[0], "it Directory 0");
        assert_eq!(named[1..], inside.map(|line| format!("it/{line}")));
        assert_eq!(lines(&top.path().join("b.txt"), Some(b"other")), ["other File 4"]);
    }
}
