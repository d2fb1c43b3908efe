//! What a file operation's result depends on besides its base.

use std::{collections::HashMap, sync::Arc};

use nacre_layer::Entry;
use nacre_oci::{Algorithm, Digest, Error, Hasher, Result};
use nacre_plugin::graph::{Action, CopyFiles};

use super::{
    FileTree, Job, Time,
    copy::{Copying, What},
    draft::{Change, Content, Draft, Drafted},
    glob::no_such,
    missing,
    mode::Mode,
    resolve::{name_of, resolve},
};

/// To be counted up when what operations do, or how this is computed, changes.
const VERSION: &str = "nacre files 4";
/// How many files are hashed between two looks at whether to stop.
const BATCH: usize = 512;

/// A digest of the actions and of all that their copies select: names, kinds, permissions, owners, links, devices, extended
/// attributes and contents. Times are left out, and so is the base.
///
/// # Errors
/// As [`run`](super::run), as far as copies' sources are concerned.
pub fn key(job: &Job) -> Result<Digest> {
    let mut hash = Hasher::new(Algorithm::Sha256);
    missing::check(job)?;
    field(&mut hash, VERSION.as_bytes());
    for action in job.actions {
        let mut own = action.clone();
        if let Action::Copy(copy) = &mut own {
            copy.from = 0;
        }
        let spelt = serde_json::to_vec(&own).map_err(|error| Error::malformed("the action", error))?;
        field(&mut hash, &spelt);
        if let Action::Copy(copy) = action {
            selected(&mut hash, job, copy)?;
        }
    }
    Ok(hash.digest())
}

/// Adds each source that a copy selects, as it would be in a place of its own.
fn selected(hash: &mut Hasher, job: &Job, action: &CopyFiles) -> Result<()> {
    let source = (job.inputs)(action.from)?;
    let mut what = What::new(&*source, action)?;
    let sources = std::mem::take(&mut what.sources);
    let mode = Mode::new(action.permissions.as_ref())?;
    // An owner that is given has been hashed by its name.
    let ids = action.owner.as_ref().map(|_| (0, 0));
    let mut draft = Draft::new(None);
    let mut copying = Copying::new(&mut draft, Arc::clone(&source), (what, ids, mode), Time::default(), job.cancelled);
    for (index, named) in sources.iter().enumerate() {
        let path = resolve(&*source, named)?;
        let item = source.get(&path)?.ok_or_else(|| no_such(&path))?;
        field(hash, name_of(named));
        copying.tree(item, format!("{index:08}").as_bytes())?;
    }
    drafted(hash, &*source, &draft, job)
}

fn drafted(hash: &mut Hasher, source: &dyn FileTree, draft: &Draft, job: &Job) -> Result<()> {
    let mut first: HashMap<usize, &[u8]> = HashMap::new();
    let index = |change| match change {
        Change::File(index) => Some(index),
        Change::Gone => None,
    };
    let files: Vec<(&[u8], usize)> = draft.changes().filter_map(|(path, change)| Some((path, index(change)?))).collect();
    for batch in files.chunks(BATCH) {
        if (job.cancelled)() {
            return Err(Error::Cancelled);
        }
        let content = |file: &Drafted| match &file.content {
            Content::Tree(_, path) => Some(path.clone()),
            _ => None,
        };
        let paths: Vec<Vec<u8>> = batch.iter().filter_map(|(_, index)| content(draft.file(*index))).collect();
        let mut sums = source.digests(&paths)?.into_iter();
        for (path, index) in batch {
            let file = draft.file(*index);
            let sum = content(file).and_then(|_| sums.next());
            field(hash, path);
            field(hash, if file.linked { first.entry(*index).or_insert(path) } else { b"" });
            entry(hash, &file.entry);
            field(hash, sum.as_ref().map_or(&[], |sum| &sum[..]));
        }
    }
    Ok(())
}

/// Adds what is known of one file, without its path and its time.
fn entry(hash: &mut Hasher, entry: &Entry) {
    let (major, minor) = entry.device.unwrap_or_default();
    let numbers = [entry.kind as u32, entry.mode, entry.uid, entry.gid, major, minor];
    numbers.iter().for_each(|number| hash.update(&number.to_le_bytes()));
    field(hash, entry.link.as_deref().unwrap_or_default());
    hash.update(&(entry.xattrs.len() as u64).to_le_bytes());
    for xattr in &entry.xattrs {
        field(hash, xattr.name.as_bytes());
        field(hash, &xattr.value);
    }
}

/// Adds bytes so that nothing else looks the same.
fn field(hash: &mut Hasher, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
