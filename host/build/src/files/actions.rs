//! Making folders, files and links, and removing (BuildKit's file backend).

use nacre_layer::{Entry, Kind, path::split};
use nacre_oci::{Error, Result};
use nacre_plugin::graph::{MakeFile, MakeFolder, MakeSymlink, Owner, Remove};

use super::{
    Names, Time, account,
    draft::{Content, Draft},
    fail, glob,
    resolve::{folder_of, place, resolve},
    shown,
};

const SETGID: u32 = 0o2000;

/// What is made belongs to these, or as in Linux to root.
pub(super) type Ids = Option<(u32, u32)>;

pub(super) fn owner(draft: &Draft, owner: Option<&Owner>) -> Result<Ids> {
    owner.map(|owner| account(draft.base(), owner)).transpose()
}

/// Makes the folder at a path without links, and those above it that are not there.
pub(super) fn make_all(draft: &mut Draft, path: &[u8], mode: u32, ids: Ids, made: Time) -> Result<()> {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    for end in ends.chain([path.len()]).filter(|end| *end > 0) {
        let folder = &path[..end];
        match draft.get(folder)? {
            Some(item) if item.is_folder() => {}
            Some(_) => return Err(in_the_way(path, end)),
            None => {
                let entry = new_entry(draft, folder, Kind::Directory, mode, ids, made)?;
                draft.put(folder.to_vec(), entry, Content::Empty);
            }
        }
    }
    Ok(())
}

/// A file where the first `end` bytes of a path should be a folder, in the system's words.
fn in_the_way(path: &[u8], end: usize) -> Error {
    let rest = path.get(end + 1..).map(|rest| rest.split(|byte| *byte == b'/').next().unwrap_or_default());
    let text = match rest {
        None => format!("mkdir {}", shown(path)),
        Some(name) => format!("lstat {}", shown(&path[..end + 1 + name.len()])),
    };
    fail(format!("{text}: not a directory"))
}

/// A new entry. In a folder with a set-group-id bit Linux gives it the folder's group, and a folder that bit, too; BuildKit
/// lets that be.
fn new_entry(draft: &Draft, path: &[u8], kind: Kind, mode: u32, ids: Ids, made: Time) -> Result<Entry> {
    let inherited = inherited(draft, path)?;
    let special = if inherited.is_some() && kind == Kind::Directory { SETGID } else { 0 };
    let mode = mode | special;
    let (uid, gid) = ids.unwrap_or((0, inherited.unwrap_or_default()));
    Ok(Entry { mode, uid, gid, mtime: made.seconds, nanos: made.nanos, ..Entry::new([], kind) })
}

fn inherited(draft: &Draft, path: &[u8]) -> Result<Option<u32>> {
    let above = draft.get(folder_of(path))?.filter(|above| above.entry.mode & SETGID != 0);
    Ok(above.map(|above| above.entry.gid))
}

pub(super) fn make_folder(draft: &mut Draft, action: &MakeFolder, made: Time) -> Result<()> {
    let ids = owner(draft, action.owner.as_ref())?;
    let path = resolve(draft, action.path.as_bytes())?;
    let mode = action.mode & 0o777;
    if action.parents {
        return make_all(draft, &path, mode, ids, made);
    }
    if draft.get(&path)?.is_none() {
        need_folder(draft, &path, "mkdir")?;
        let entry = new_entry(draft, &path, Kind::Directory, mode, ids, made)?;
        draft.put(path, entry, Content::Empty);
    }
    Ok(())
}

/// A file that is there keeps its permissions and, without a new owner, the one that it has.
pub(super) fn make_file(draft: &mut Draft, action: &MakeFile, made: Time) -> Result<()> {
    let ids = owner(draft, action.owner.as_ref())?;
    let path = resolve(draft, action.path.as_bytes())?;
    need_folder(draft, &path, "open")?;
    let old = draft.get(&path)?.map(|item| item.entry);
    let entry = match &old {
        Some(old) if old.kind != Kind::File => return Err(fail(format!("open {}: is not a regular file", shown(&path)))),
        Some(old) => {
            let (uid, gid) = ids.unwrap_or((old.uid, old.gid));
            Entry { uid, gid, mtime: made.seconds, nanos: made.nanos, ..old.clone() }
        }
        None => new_entry(draft, &path, Kind::File, action.mode & 0o777, ids, made)?,
    };
    let size = action.content.len() as u64;
    draft.remove(&path)?;
    draft.put(path, Entry { size, ..entry }, Content::Memory(action.content.as_slice().into()));
    Ok(())
}

pub(super) fn make_symlink(draft: &mut Draft, action: &MakeSymlink, made: Time) -> Result<()> {
    let ids = owner(draft, action.owner.as_ref())?;
    let path = resolve(draft, action.path.as_bytes())?;
    need_folder(draft, &path, "symlink")?;
    if path.is_empty() || draft.get(&path)?.is_some() {
        return Err(fail(format!("symlink {}: file exists", shown(&path))));
    }
    if action.target.is_empty() {
        return Err(fail(format!("symlink {}: its target is empty", shown(&path))));
    }
    let entry = new_entry(draft, &path, Kind::Symlink, 0o777, ids, made)?;
    draft.put(path, Entry { link: Some(action.target.as_bytes().into()), ..entry }, Content::Empty);
    Ok(())
}

fn need_folder(draft: &Draft, path: &[u8], doing: &str) -> Result<()> {
    match draft.get(folder_of(path))? {
        Some(item) if item.is_folder() => Ok(()),
        Some(_) => Err(fail(format!("{doing} {}: not a directory", shown(path)))),
        None => Err(fail(format!("{doing} {}: no such file or directory", shown(path)))),
    }
}

pub(super) fn remove(draft: &mut Draft, action: &Remove) -> Result<()> {
    let paths = if action.wildcard { glob::select(draft, &action.path)? } else { vec![action.path.clone().into_bytes()] };
    for path in paths {
        let path = place(draft, &path)?;
        if split(&path).is_none() {
            return Err(fail("the root cannot be removed; name what is in it"));
        }
        // A link that leads nowhere counts as missing.
        let there = draft.get(&path)?.is_some() && draft.get(&resolve(draft, &path)?)?.is_some();
        if !there && !action.allow_missing {
            return Err(fail(format!("stat {}: no such file or directory", shown(&path))));
        }
        draft.remove(&path)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "actions_tests.rs"]
mod tests;
