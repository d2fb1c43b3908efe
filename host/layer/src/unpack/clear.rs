//! Whiteouts: taking away what lower layers have, and nothing of the layer's own.

use std::io;

use nacre_oci::{Error, Result};
use rustix::fs::{FileType, Mode};

use crate::{
    Entry, Kind,
    layer::bad,
    path::{self, join},
    resolve::Lost,
    unpack::{
        Unpacker,
        places::{Known, Places},
        remove,
    },
};

impl Unpacker<'_> {
    /// What has the path in lower layers is gone.
    pub(super) fn whiteout(&mut self, entry: &Entry) -> Result<()> {
        let Some(path) = there(entry, self.places.place(&entry.path)?)? else { return Ok(()) };
        let known = self.places.known(&path)?;
        if self.in_place() {
            return match known {
                Known::Nothing => Ok(()),
                Known::Folder { .. } => self.places.take_away(&path),
                _ if self.places.is_own(&path) => Ok(()),
                _ => self.places.remove(&path),
            };
        }
        match known {
            Known::Nothing => Ok(()),
            Known::Folder { made: true, .. } if !self.places.sweep(&path)? => {
                self.places.make_plain(&path);
                self.places.hide(&path)
            }
            Known::Folder { .. } => self.hide_path(entry, &path),
            _ if self.places.root.look(&path).map_err(failed("look at", &path))?.is_some() => Ok(()),
            _ => self.hide_path(entry, &path),
        }
    }

    /// Makes what hides something of the lower trees from overlayfs.
    fn hide_path(&mut self, entry: &Entry, path: &[u8]) -> Result<()> {
        if self.places.lower(path).map_err(failed("look at", path))?.is_none() {
            return Ok(());
        }
        let spot = self.places.spot(entry)?;
        let make = || Ok(rustix::fs::mknodat(&*spot.folder, spot.name(), FileType::CharacterDevice, Mode::empty(), 0)?);
        self.places.instead(&spot.folder, path, make).map_err(failed("make the whiteout of", path))?;
        self.places.replace(path);
        Ok(())
    }

    /// What the folder holds in lower layers is gone.
    pub(super) fn opaque(&mut self, entry: &Entry) -> Result<()> {
        let Some(path) = there(entry, self.places.folder(&entry.path)?)? else { return Ok(()) };
        let Known::Folder { made, below } = self.places.known(&path)? else { return Ok(()) };
        if self.in_place() {
            return self.places.clear(path);
        }
        if path.is_empty() {
            // overlayfs does not ask whether roots are opaque.
            let names = self.places.lower_names().map_err(failed("list", b"the layers below"))?;
            return names.into_iter().try_for_each(|name| self.whiteout(&Entry::new(name, Kind::Whiteout)));
        }
        if below.is_empty() {
            return Ok(());
        }
        if made {
            self.places.sweep(&path)?;
        }
        self.places.make(&path)?;
        self.places.hide(&path)
    }
}

impl Places {
    /// Marks a folder of the tree opaque if it merges with others.
    fn hide(&mut self, path: &[u8]) -> Result<()> {
        if let Known::Folder { below, .. } = self.known(path)?
            && !below.is_empty()
        {
            self.mark_opaque(path).map_err(failed("mark as opaque", path))?;
        }
        self.hide_lowers(path);
        Ok(())
    }

    /// Takes the layer's whiteouts out of a folder that is to merge with nothing: there overlayfs would show them. Folders
    /// that were made for them alone go too; true if that is so of the folder itself, which then is gone.
    fn sweep(&mut self, path: &[u8]) -> Result<bool> {
        let mut folders = vec![path.to_vec()];
        let mut next = 0;
        while let Some(folder) = folders.get(next).cloned() {
            next += 1;
            for name in self.root.names(&folder).map_err(failed("list", &folder))? {
                let held = join(&folder, &name);
                match self.root.look(&held).map_err(failed("look at", &held))? {
                    Some(node) if node.is_folder() => folders.push(held),
                    Some(node) if node.is_whiteout() => self.remove(&held)?,
                    _ => {}
                }
            }
        }
        let mut gone = false;
        for folder in folders.iter().rev() {
            gone = self.is_implied(folder) && self.root.names(folder).map_err(failed("list", folder))?.is_empty();
            if gone {
                self.remove(folder)?;
            }
        }
        Ok(gone)
    }

    /// The names that the lower trees show in their root.
    fn lower_names(&self) -> io::Result<Vec<Vec<u8>>> {
        let trees = self.lowers.all();
        let mut names = Vec::new();
        for tree in &trees {
            names.append(&mut self.lowers.root(*tree).names(b"")?);
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// In place: removes a folder of lower layers. It stays if the layer has put something into it.
    fn take_away(&mut self, path: &[u8]) -> Result<()> {
        if !self.is_own(path) && !self.has_own_below(path) {
            return self.remove(path);
        }
        self.clear(path.to_vec())?;
        self.make_plain(path);
        self.claim(path);
        Ok(())
    }

    /// In place: removes what lower layers have in a folder, at any depth.
    fn clear(&mut self, folder: Vec<u8>) -> Result<()> {
        let mut todo = vec![folder];
        while let Some(folder) = todo.pop() {
            // What it gets in the end is noted before it changes.
            self.open(&folder)?;
            for name in self.root.names(&folder).map_err(failed("list", &folder))? {
                let path = join(&folder, &name);
                let kept = self.is_own(&path) || self.has_own_below(&path);
                if !kept {
                    self.remove(&path)?;
                } else if self.root.look(&path).map_err(failed("look at", &path))?.is_some_and(|node| node.is_folder()) {
                    if !self.is_own(&path) {
                        self.make_plain(&path);
                        self.claim(&path);
                    }
                    todo.push(path);
                }
            }
        }
        Ok(())
    }

    fn remove(&mut self, path: &[u8]) -> Result<()> {
        let (parent, name) = path::split(path).unwrap_or_default();
        let folder = self.open(parent)?;
        remove::remove(&folder, name).map_err(failed("remove", path))?;
        self.forget(path);
        Ok(())
    }
}

/// Where a whiteout leads; nowhere if a file is on the way, so that there is nothing to be taken away.
fn there(entry: &Entry, placed: Result<Vec<u8>, Lost>) -> Result<Option<Vec<u8>>> {
    match placed {
        Err(Lost::Blocked(_)) => Ok(None),
        placed => placed.map(Some).map_err(|why| bad(entry, why)),
    }
}

fn failed(doing: &str, path: &[u8]) -> impl FnOnce(io::Error) -> Error {
    Error::io(format!("{doing} {}", path::shown(path)))
}
