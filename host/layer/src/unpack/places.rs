//! Where a layer's paths lead on the disk, and the folders on the way.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
    os::fd::OwnedFd,
    path::Path,
    rc::Rc,
};

use nacre_oci::{Error, Result};
use rustix::fs::{FileType, OFlags, Stat};

use crate::{
    Entry, Kind, Xattr,
    layer::{bad, below},
    path::{self, join},
    resolve::{self, Found, Lost},
    unpack::{
        Form, Lowers, Node, OverlayAttributes, Root,
        make::{give, times},
        remove,
    },
};

/// The most folders and links that are remembered.
const MAX_KNOWN: usize = 2_000_000;
/// The most folders that are held open.
const MAX_OPEN: usize = 64;

/// What has a path in the folder and those below it together.
#[derive(Clone, Debug)]
pub(super) enum Known {
    Nothing,
    Other,
    Symlink(Vec<u8>),
    /// `below`: the lower trees whose folders of this path it merges with.
    Folder {
        made: bool,
        below: Vec<usize>,
    },
}

/// What a folder gets when all that it holds is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: i64,
    pub(super) nanos: u32,
    /// The layer says nothing about it.
    pub(super) implied: bool,
}

impl Attributes {
    /// Those of a folder that no layer describes.
    pub(super) const PLAIN: Self = Self { mode: 0o755, uid: 0, gid: 0, mtime: 0, nanos: 0, implied: true };

    pub(super) fn of(entry: &Entry) -> Self {
        Self { mode: entry.mode, uid: entry.uid, gid: entry.gid, mtime: entry.mtime, nanos: entry.nanos, implied: false }
    }

    fn of_stat(stat: &Stat) -> Self {
        let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
        Self { mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid, mtime: stat.st_mtime, nanos, implied: true }
    }
}

/// Where something is to be made: a folder that is open, and the real path.
pub(super) struct Spot {
    pub(super) folder: Rc<OwnedFd>,
    pub(super) path: Vec<u8>,
}

impl Spot {
    pub(super) fn name(&self) -> &[u8] {
        path::split(&self.path).map_or(&b""[..], |(_, name)| name)
    }
}

/// The folder that is filled, and those below it.
pub(super) struct Places {
    pub(super) root: Root,
    pub(super) lowers: Lowers,
    opaque: &'static str,
    known: BTreeMap<Vec<u8>, Known>,
    folders: BTreeMap<Vec<u8>, Attributes>,
    open: HashMap<Vec<u8>, Rc<OwnedFd>>,
    /// The path that was asked for last, and the real folder.
    last: Option<(Vec<u8>, Vec<u8>, Rc<OwnedFd>)>,
    /// In place: what this layer has made. Otherwise all that is there.
    own: Option<BTreeSet<Vec<u8>>>,
}

impl Places {
    pub(super) fn new(root: &Path, form: &Form<'_>) -> Result<Self> {
        let (lowers, attributes, own): (&[&Path], _, _) = match form {
            Form::Overlay { lowers, attributes } => (lowers, *attributes, None),
            Form::InPlace => (&[], OverlayAttributes::Trusted, Some(BTreeSet::new())),
        };
        let lowers = Lowers::open(lowers, attributes)?;
        let known = BTreeMap::from([(Vec::new(), Known::Folder { made: true, below: lowers.all() })]);
        // An overlay's root is its topmost folder's. In place it is whoever's the folder is.
        let folders = own.is_none().then_some((Vec::new(), Attributes::PLAIN)).into_iter().collect();
        let root = Root::open(root)?;
        Ok(Self { root, lowers, opaque: attributes.opaque(), known, folders, open: HashMap::new(), last: None, own })
    }

    /// Whether this layer has made it.
    pub(super) fn is_own(&self, path: &[u8]) -> bool {
        self.own.as_ref().is_none_or(|own| own.contains(path))
    }

    /// Says that this layer has made it.
    pub(super) fn claim(&mut self, path: &[u8]) {
        if let Some(own) = &mut self.own
            && !own.contains(path)
        {
            own.insert(path.to_vec());
        }
    }

    /// Where an entry is to be made. The folders on the way are made if they are missing.
    pub(super) fn spot(&mut self, entry: &Entry) -> Result<Spot> {
        let (asked, name) = path::split(&entry.path).unwrap_or_default();
        if let Some((last, real, folder)) = &self.last
            && last == asked
        {
            return Ok(Spot { path: join(real, name), folder: Rc::clone(folder) });
        }
        let real = self.folder(asked)?.map_err(|why| bad(entry, why))?;
        self.make(&real)?;
        let folder = self.open(&real)?;
        let spot = Spot { path: join(&real, name), folder: Rc::clone(&folder) };
        self.last = Some((asked.to_vec(), real, folder));
        Ok(spot)
    }

    /// `path` with the links in the folder that it lies in followed, but not its own.
    pub(super) fn place(&mut self, path: &[u8]) -> Result<Result<Vec<u8>, Lost>> {
        let Some((folder, name)) = path::split(path) else { return Ok(Ok(Vec::new())) };
        Ok(self.folder(folder)?.map(|folder| join(&folder, name)))
    }

    /// The real folder that a path leads to. The disk is looked at for whatever is not known yet.
    pub(super) fn folder(&mut self, path: &[u8]) -> Result<Result<Vec<u8>, Lost>> {
        loop {
            let unknown = Cell::new(None);
            let find = |path: &[u8]| match self.known.get(path) {
                Some(Known::Nothing) => Found::Nothing,
                Some(Known::Other) => Found::Other,
                Some(Known::Symlink(text)) => Found::Symlink(text),
                Some(Known::Folder { .. }) => Found::Directory,
                None => {
                    // What follows depends on it; it is asked again.
                    unknown.set(unknown.take().or_else(|| Some(path.to_vec())));
                    Found::Nothing
                }
            };
            let followed = resolve::folder(path, find);
            match unknown.take() {
                Some(path) => _ = self.known(&path)?,
                None => return Ok(followed),
            }
        }
    }

    /// What has this real path, whose folder is known.
    pub(super) fn known(&mut self, path: &[u8]) -> Result<Known> {
        if let Some(known) = self.known.get(path) {
            return Ok(known.clone());
        }
        let known = self.look(path).map_err(Error::io(format!("look at {}", path::shown(path))))?;
        self.set(path, known.clone())?;
        Ok(known)
    }

    fn look(&self, path: &[u8]) -> io::Result<Known> {
        let (parent, _) = path::split(path).unwrap_or_default();
        let Some(Known::Folder { made, below }) = self.known.get(parent) else { return Ok(Known::Nothing) };
        let own = if *made { self.root.look(path)? } else { None };
        let (node, below) = match own {
            Some(node) if self.own.is_none() && node.is_whiteout() => return Ok(Known::Nothing),
            Some(node) => (node, None),
            None => match self.lowers.look(below, path)? {
                Some(shown) => (shown.node, Some(shown.trees)),
                None => return Ok(Known::Nothing),
            },
        };
        Ok(match node.kind() {
            FileType::Directory => Known::Folder { made: below.is_none(), below: below.unwrap_or_default() },
            FileType::Symlink => Known::Symlink(node.link()?),
            _ => Known::Other,
        })
    }

    /// Remembers what has a real path now.
    pub(super) fn set(&mut self, path: &[u8], known: Known) -> Result<()> {
        if self.known.len() >= MAX_KNOWN {
            return Err(Error::TooLarge { what: "the layer".into(), limit: format!("{MAX_KNOWN} folders and links") });
        }
        self.known.insert(path.to_vec(), known);
        Ok(())
    }

    /// A link, file or whiteout was put in the place of what was known.
    pub(super) fn replace(&mut self, path: &[u8]) {
        match self.known.remove(path) {
            Some(Known::Folder { .. }) => self.forget(path),
            Some(Known::Symlink(_)) => self.last = None,
            _ => {}
        }
    }

    /// What the lower trees show at a path that the tree itself does not have; and in which of them it is.
    pub(super) fn lower(&self, path: &[u8]) -> io::Result<Option<(usize, Node)>> {
        let (parent, _) = path::split(path).unwrap_or_default();
        let Some(Known::Folder { made, below }) = self.known.get(parent) else { return Ok(None) };
        if below.is_empty() || (*made && self.root.look(path)?.is_some()) {
            return Ok(None);
        }
        Ok(self.lowers.look(below, path)?.map(|shown| (shown.trees[0], shown.node)))
    }

    /// Whether there is something below a folder that this layer has made.
    pub(super) fn has_own_below(&self, path: &[u8]) -> bool {
        self.own.as_ref().is_none_or(|own| own.range(below(path)).next().is_some())
    }

    /// Whether the layer says nothing about a folder that was made.
    pub(super) fn is_implied(&self, path: &[u8]) -> bool {
        self.folders.get(path).is_some_and(|attributes| attributes.implied)
    }

    /// A folder that the layer says nothing about becomes a plain one.
    pub(super) fn make_plain(&mut self, path: &[u8]) {
        if self.folders.get(path).is_none_or(|attributes| attributes.implied) {
            self.describe(path, Attributes::PLAIN);
        }
    }

    /// Forgets a folder and all that it held.
    pub(super) fn forget(&mut self, path: &[u8]) {
        self.known.remove(path);
        self.folders.remove(path);
        if let Some(own) = &mut self.own {
            own.remove(path);
            own.extract_if(below(path), |_| true).for_each(drop);
        }
        self.known.extract_if(below(path), |_, _| true).for_each(drop);
        self.folders.extract_if(below(path), |_, _| true).for_each(drop);
        self.open.clear();
        self.last = None;
    }

    /// From now on a folder and those in it merge with nothing; what the layer said nothing about is plain.
    pub(super) fn hide_lowers(&mut self, path: &[u8]) {
        let inside = |held: &[u8]| path.is_empty() || held == path || (held.starts_with(path) && held.get(path.len()) == Some(&b'/'));
        self.known.retain(|held, known| match known {
            Known::Folder { made: true, below } if inside(held) => {
                below.clear();
                true
            }
            _ => !inside(held),
        });
        let implied = self.folders.iter_mut().filter(|(held, attributes)| inside(held) && held.as_slice() != path && attributes.implied);
        implied.for_each(|(_, attributes)| *attributes = Attributes::PLAIN);
        self.last = None;
    }

    /// What a folder gets at the end.
    pub(super) fn describe(&mut self, path: &[u8], attributes: Attributes) {
        self.folders.insert(path.to_vec(), attributes);
    }

    /// A folder of the tree, open. It is one.
    pub(super) fn open(&mut self, path: &[u8]) -> Result<Rc<OwnedFd>> {
        if let Some(folder) = self.open.get(path) {
            return Ok(Rc::clone(folder));
        }
        let opening = || Error::io(format!("open the folder {}", path::shown(path)));
        let folder = Rc::new(self.root.folder(path).map_err(opening())?);
        if self.own.is_some() && !path.is_empty() && !self.folders.contains_key(path) {
            // It was there before; what is made in it must not change its time.
            let stat = rustix::fs::fstat(&folder).map_err(|error| opening()(error.into()))?;
            self.folders.insert(path.to_vec(), Attributes::of_stat(&stat));
        }
        if self.open.len() == MAX_OPEN {
            self.open.clear();
        }
        self.open.insert(path.to_vec(), Rc::clone(&folder));
        Ok(folder)
    }

    /// Makes a folder and those above it, if they are not there in the tree itself. What lower trees know of them is kept.
    pub(super) fn make(&mut self, path: &[u8]) -> Result<()> {
        if matches!(self.known.get(path), Some(Known::Folder { made: true, .. })) {
            return Ok(());
        }
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at).chain([path.len()]);
        for part in ends.map(|end| &path[..end]) {
            match self.known(part)? {
                Known::Folder { made: true, .. } => {}
                Known::Folder { below, .. } => self.copy_up(part, below)?,
                _ => self.make_folder(part, Attributes::PLAIN)?,
            }
        }
        Ok(())
    }

    fn copy_up(&mut self, path: &[u8], below: Vec<usize>) -> Result<()> {
        let (node, xattrs) = self.read_lower(path, &below).map_err(Error::io(format!("read the folder {}", path::shown(path))))?;
        self.make_folder(path, Attributes::of_stat(&node.stat))?;
        self.set(path, Known::Folder { made: true, below })?;
        let made = self.root.look(path).map_err(Error::io(format!("look at {}", path::shown(path))))?;
        let made = made.ok_or_else(|| Error::not_found(format!("the folder {}", path::shown(path))))?;
        let refused = |why: rustix::io::Errno| Error::io(format!("set the attributes of {}", path::shown(path)))(why.into());
        xattrs.iter().try_for_each(|xattr| made.set_xattr(xattr)).map_err(refused)
    }

    /// What the topmost of these trees has at a path.
    fn read_lower(&self, path: &[u8], below: &[usize]) -> io::Result<(Node, Vec<Xattr>)> {
        let tree = *below.first().ok_or(io::ErrorKind::NotFound)?;
        let node = self.lowers.root(tree).look(path)?.ok_or(io::ErrorKind::NotFound)?;
        let xattrs = node.xattrs()?;
        Ok((node, xattrs))
    }

    /// Makes a folder in one that is there. Whatever was in its place is removed. It merges with nothing.
    pub(super) fn make_folder(&mut self, path: &[u8], attributes: Attributes) -> Result<()> {
        let (parent, name) = path::split(path).unwrap_or_default();
        let folder = self.open(parent)?;
        let making = || Error::io(format!("make the folder {}", path::shown(path)));
        let make = || Ok(rustix::fs::mkdirat(&*folder, name, 0o700.into())?);
        if self.instead(&folder, path, make).map_err(making())?.1 {
            self.stay_hidden(path).map_err(making())?;
        }
        self.claim(path);
        self.describe(path, attributes);
        if let Some(Known::Symlink(_)) = self.known.get(path) {
            self.last = None;
        }
        self.set(path, Known::Folder { made: true, below: Vec::new() })
    }

    /// Makes something; if there is something in its place, that is removed first. Says whether there was.
    pub(super) fn instead<T>(&mut self, folder: &OwnedFd, path: &[u8], make: impl Fn() -> io::Result<T>) -> io::Result<(T, bool)> {
        match make() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                remove::remove(folder, path::split(path).unwrap_or_default().1)?;
                self.forget(path);
                Ok((make()?, true))
            }
            made => Ok((made?, false)),
        }
    }

    /// A folder that takes the place of what hid lower trees' folders goes on hiding them.
    fn stay_hidden(&mut self, path: &[u8]) -> io::Result<()> {
        let (parent, _) = path::split(path).unwrap_or_default();
        let Some(Known::Folder { below, .. }) = self.known.get(parent) else { return Ok(()) };
        match self.lowers.look(below, path)? {
            Some(shown) if shown.node.is_folder() => self.mark_opaque(path),
            _ => Ok(()),
        }
    }

    /// Marks a folder of the tree as one that hides those below it.
    pub(super) fn mark_opaque(&self, path: &[u8]) -> io::Result<()> {
        let node = self.root.look(path)?.ok_or(io::ErrorKind::NotFound)?;
        Ok(node.set_xattr(&Xattr { name: self.opaque.into(), value: b"y".to_vec() })?)
    }

    /// Gives folders their owners, modes and times, those inside first.
    pub(super) fn finish(&mut self, owners: bool) -> Result<()> {
        for (path, attributes) in self.folders.iter().rev() {
            let entry = Entry {
                mode: attributes.mode,
                uid: attributes.uid,
                gid: attributes.gid,
                mtime: attributes.mtime,
                nanos: attributes.nanos,
                ..Entry::new(path.as_slice(), Kind::Directory)
            };
            let folder = self.root.at(path, OFlags::RDONLY | OFlags::DIRECTORY);
            let folder = folder.map_err(Error::io(format!("open the folder {}", path::shown(path))))?;
            give(&folder, &entry, owners)?;
            times(&folder, &entry)?;
        }
        Ok(())
    }
}
