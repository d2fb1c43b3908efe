//! A file system that loses what was not flushed.
//!
//! What a file holds is durable once the file was flushed afterwards, and a name once its folder was: nothing else makes it
//! so, though most file systems do more. Of what is not, any part may be on the disk, in any order; bytes may be there to
//! their half, or as zeros. A rename happens wholly or not at all, and belongs to the folder that it goes to.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::DefaultHasher},
    fs,
    hash::{Hash, Hasher},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use super::journal::Op;

/// What became of a change that was not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Dropped,
    /// Only the first half of the bytes is there.
    Half,
    /// The file has grown, but holds zeros there.
    Zeros,
}

impl Op {
    /// What may become of it.
    pub(super) fn fates(&self) -> &'static [Fate] {
        match self {
            Self::Flush(_) | Self::FlushDir(_) => &[],
            Self::Write { whole: false, .. } => &[Fate::Dropped, Fate::Half, Fate::Zeros],
            _ => &[Fate::Dropped],
        }
    }

    /// Itself, without what it writes.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Write { file, offset, bytes, .. } => format!("Write {{ file: {file}, {} bytes at {offset} }}", bytes.len()),
            other => format!("{other:?}"),
        }
    }

    fn is_made_durable_by(&self, flush: &Self) -> bool {
        match (self, flush) {
            (Self::Write { file, .. } | Self::Truncate { file, .. } | Self::Mode { file, .. }, Self::Flush(flushed)) => file == flushed,
            (Self::MakeDir(name) | Self::Link { name, .. } | Self::Unlink(name) | Self::Rename { to: name, .. }, Self::FlushDir(dir)) => {
                parent(name) == dir
            }
            _ => false,
        }
    }
}

fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// For each change, how many have happened when it is durable.
pub(super) fn durable_at(ops: &[Op]) -> Vec<usize> {
    let covered = |(at, op): (usize, &Op)| {
        let later = ops[at + 1..].iter().position(|flush| op.is_made_durable_by(flush));
        later.map_or(usize::MAX, |after| at + after + 2)
    };
    ops.iter().enumerate().map(covered).collect()
}

#[derive(Clone, Default, Hash)]
struct File {
    bytes: Vec<u8>,
    mode: u32,
}

/// What is on the disk after a power loss.
#[derive(Default)]
pub(super) struct Disk {
    dirs: BTreeSet<String>,
    names: BTreeMap<String, usize>,
    files: HashMap<usize, File>,
}

impl Disk {
    /// After all of `ops`, but for those with a fate.
    pub(super) fn after(ops: &[Op], fates: &BTreeMap<usize, Fate>) -> Self {
        let mut disk = Self::default();
        ops.iter().enumerate().for_each(|(at, op)| disk.apply(op, fates.get(&at).copied()));
        disk
    }

    fn apply(&mut self, op: &Op, fate: Option<Fate>) {
        match op {
            Op::Write { file, offset, bytes, .. } => self.write(*file, *offset, bytes, fate),
            _ if fate.is_some() => {}
            Op::MakeDir(name) => drop(self.dirs.insert(name.clone())),
            Op::Link { name, file } => drop(self.names.insert(name.clone(), *file)),
            Op::Rename { from, to, file } => {
                self.names.remove(from);
                self.names.insert(to.clone(), *file);
            }
            Op::Unlink(name) => drop(self.names.remove(name)),
            Op::Truncate { file, len } => self.files.entry(*file).or_default().bytes.resize(*len, 0),
            Op::Mode { file, mode } => self.files.entry(*file).or_default().mode = *mode,
            Op::Flush(_) | Op::FlushDir(_) => {}
        }
    }

    fn write(&mut self, file: usize, offset: usize, bytes: &[u8], fate: Option<Fate>) {
        let zeros = vec![0; bytes.len()];
        let bytes = match fate {
            None => bytes,
            Some(Fate::Dropped) => return,
            Some(Fate::Half) => &bytes[..bytes.len() / 2],
            Some(Fate::Zeros) => &zeros,
        };
        let held = &mut self.files.entry(file).or_default().bytes;
        let end = offset + bytes.len();
        held.resize(held.len().max(end), 0);
        held[offset..end].copy_from_slice(bytes);
    }

    fn has_dir(&self, name: &str) -> bool {
        name.is_empty() || (self.dirs.contains(name) && self.has_dir(parent(name)))
    }

    /// The same for the same files.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.dirs.hash(&mut hasher);
        self.names.iter().for_each(|(name, file)| (name, self.files.get(file)).hash(&mut hasher));
        hasher.finish()
    }

    /// Makes it real, in an empty folder.
    pub(super) fn write_to(&self, root: &Path) {
        fs::set_permissions(root, fs::Permissions::from_mode(0o700)).unwrap();
        for dir in self.dirs.iter().filter(|dir| self.has_dir(dir)) {
            fs::create_dir(root.join(dir)).unwrap();
        }
        for (name, file) in self.names.iter().filter(|(name, _)| self.has_dir(parent(name))) {
            let (path, empty) = (root.join(name), File::default());
            let file = self.files.get(file).unwrap_or(&empty);
            fs::write(&path, &file.bytes).unwrap();
            let mode = if file.mode == 0 { 0o600 } else { file.mode };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}
