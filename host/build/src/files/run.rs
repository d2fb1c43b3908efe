//! Actions in, a layer out.

use std::sync::Arc;

use nacre_layer::{Ended, Entry, LayerWriter};
use nacre_oci::{Error, Result};
use nacre_plugin::graph::{Action, CopyFiles, Node};

use super::{
    FileTree, Names, actions,
    copy::{Copying, What},
    draft::{Change, Content, Draft},
    mode::Mode,
    write::write,
};

/// A moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time {
    /// Since 1970 ...
    pub seconds: i64,
    /// ... and billionths of a second, below 10^9.
    pub nanos: u32,
}

/// What is to be done to a tree.
pub struct Job<'a> {
    /// What is changed. `None` for scratch, which has no accounts: an owner by name is an error then.
    pub base: Option<&'a dyn FileTree>,
    /// Which inputs are the base, too.
    pub own: &'a [Node],
    /// What to do, in this order.
    pub actions: &'a [Action],
    /// The trees that copies take from.
    pub inputs: &'a dyn Fn(Node) -> Result<Arc<dyn FileTree>>,
    /// When what the actions make, rather than copy, was made: now, or the epoch.
    pub made: Time,
    /// What becomes the time of folders of the base in which something is made or removed. `None` leaves it as it was.
    pub touched: Option<Time>,
    /// Whether to stop; asked often.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

/// Carries the actions out and writes what they change as one layer, which is not committed.
///
/// # Errors
/// In BuildKit's words where it has some: what is copied is not there, a folder is in the way of a file or the other way
/// round, a pattern, a mode or an archive is malformed; if a file cannot be read or changes meanwhile; if the layer cannot be
/// written; if it is cancelled.
pub fn run(job: &Job, out: LayerWriter) -> Result<Ended> {
    let mut draft = Draft::new(job.base);
    for action in job.actions {
        if (job.cancelled)() {
            return Err(Error::Cancelled);
        }
        match action {
            Action::Copy(action) if action.replace => lay_over(&mut draft, job, action)?,
            Action::Copy(action) => copy(&mut draft, job, action)?,
            Action::MakeFolder(action) => actions::make_folder(&mut draft, action, job.made)?,
            Action::MakeFile(action) => actions::make_file(&mut draft, action, job.made)?,
            Action::MakeSymlink(action) => actions::make_symlink(&mut draft, action, job.made)?,
            Action::Remove(action) => actions::remove(&mut draft, action)?,
        }
    }
    write(&draft, out, job.touched, job.cancelled)
}

/// A whole tree as one layer.
///
/// # Errors
/// If a file cannot be read or changes meanwhile, the layer cannot be written, or it is cancelled.
pub fn whole(tree: &Arc<dyn FileTree>, out: LayerWriter, cancelled: &(dyn Fn() -> bool + Sync)) -> Result<Ended> {
    let action = CopyFiles {
        from: 0,
        source: "/".into(),
        wildcard: false,
        allow_empty: false,
        dest: "/".into(),
        contents: true,
        unpack: false,
        parents: false,
        replace: false,
        exclude: Vec::new(),
        owner: None,
        permissions: None,
    };
    let inputs = |_| Ok(Arc::clone(tree));
    run(
        &Job { base: None, own: &[], actions: &[Action::Copy(action)], inputs: &inputs, made: Time::default(), touched: None, cancelled },
        out,
    )
}

fn copy(draft: &mut Draft, job: &Job, action: &CopyFiles) -> Result<()> {
    let source = (job.inputs)(action.from)?;
    let what = What::new(&*source, action)?;
    let ids = actions::owner(draft, action.owner.as_ref())?;
    let mode = Mode::new(action.permissions.as_ref())?;
    Copying::new(draft, source, (what, ids, mode), job.made, job.cancelled).run(action)
}

/// A copy that knows nothing of the base: it is made for itself, and what it made replaces what is there, except that folders
/// keep what they hold.
fn lay_over(draft: &mut Draft, job: &Job, action: &CopyFiles) -> Result<()> {
    let mut own = Draft::new(None);
    copy(&mut own, job, action)?;
    let mut placed = std::collections::HashMap::new();
    let changes: Vec<(Vec<u8>, Change)> = own.changes().map(|(path, change)| (path.to_vec(), change)).collect();
    for (path, change) in changes {
        let Change::File(index) = change else { continue };
        let there = draft.get(&path)?;
        let file = own.file_mut(index);
        let folder = file.entry.kind == nacre_layer::Kind::Directory;
        match there {
            Some(there) if folder && there.is_folder() => {
                let entry = Entry { path: Vec::new(), ..file.entry.clone() };
                draft.edit(&path)?.into_iter().for_each(|folder| folder.entry = entry.clone());
                continue;
            }
            Some(_) => draft.remove(&path)?,
            None => {}
        }
        if let Some(placed) = placed.get(&index) {
            draft.link(path, *placed);
            continue;
        }
        let content = std::mem::replace(&mut file.content, Content::Empty);
        placed.insert(index, draft.put(path, file.entry.clone(), content));
    }
    Ok(())
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
