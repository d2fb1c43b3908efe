//! The interface `context`: files below the folder that the command runs in.
//!
//! No link is followed, neither of a file nor of a folder on the way: what a path says is what is read, and it is what
//! was granted.

use std::fs::{self, File};
use std::path::Path;

use nacre_layer::Bytes;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use wasmtime::component::{LinkerInstance, Resource};

use super::told;
use crate::capability::{Ask, Capabilities};
use crate::data::{Outcome, Source, Trouble, function};
use crate::glob;
use crate::state::State;
use crate::types::GuestError;

/// Files and folders that are looked at for a list.
const MAX_SEEN: usize = 200_000;

pub(super) fn add(context: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    function(context, "list", list)?;
    function(context, "open", open)
}

fn list(state: &mut State, (): ()) -> Outcome<Vec<String>> {
    let outside = &mut state.outside;
    if outside.granted.context.is_empty() {
        outside.allowed(&Ask::Context(""))?;
    }
    let folder = told(outside.open()?.folder())?;
    walk(&folder, &outside.granted)
}

fn open(state: &mut State, (path,): (String,)) -> Outcome<Resource<Source>> {
    let reach = state.outside.reach(&Ask::Context(&path))?;
    let (folder, spool) = (told(reach.folder())?, told(reach.spool())?);
    let file = open_below(&folder, &path).map_err(|error| GuestError::from_errno(error, &path))?;
    state.push_source(Bytes::from_file(file, &spool)?)
}

impl GuestError {
    fn from_errno(error: Errno, path: &str) -> GuestError {
        match error {
            Errno::NOENT => GuestError::NotFound(path.to_owned()),
            Errno::LOOP | Errno::NOTDIR => GuestError::Denied(format!("{path} is a link or lies behind one, which is not followed")),
            Errno::ISDIR | Errno::NXIO => GuestError::invalid("no-file", format!("{path} is not a file")),
            error => GuestError::Io(format!("cannot read {path}: {error}")),
        }
    }
}

/// Opens a file, part by part, so that nothing on the way can be a link.
fn open_below(folder: &Path, path: &str) -> Result<File, Errno> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = openat(CWD, folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    for part in folders.split('/').filter(|part| !part.is_empty()) {
        at = openat(&at, part, flags | OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
    }
    // A pipe would have to be waited for.
    let file = openat(&at, name, flags | OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
    match FileType::from_raw_mode(fstat(&file)?.st_mode) {
        FileType::RegularFile => Ok(File::from(file)),
        _ => Err(Errno::ISDIR),
    }
}

/// The granted files below a folder, sorted. A folder that cannot be read is left out, as is a name that is not UTF-8.
fn walk(folder: &Path, granted: &Capabilities) -> Outcome<Vec<String>> {
    let (mut found, mut seen) = (Vec::new(), 0);
    let mut open = vec![String::new()];
    while let Some(below) = open.pop() {
        for entry in fs::read_dir(folder.join(&below)).into_iter().flatten().flatten() {
            seen += 1;
            if seen > MAX_SEEN {
                return Err(Trouble::limit(format!("more than {MAX_SEEN} files below the working folder: narrow the globs in context")));
            }
            let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else { continue };
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            if kind.is_dir() && granted.context.iter().any(|glob| may_match_below(glob, &path)) {
                open.push(path);
            } else if kind.is_file() && granted.allows(&Ask::Context(&path)).is_ok() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a glob can match something in a folder.
fn may_match_below(pattern: &str, folder: &str) -> bool {
    let mut parts = pattern.split('/');
    for name in folder.split('/') {
        match parts.next() {
            Some("**") => return true,
            Some(part) if glob::matches(part, name) => {}
            _ => return false,
        }
    }
    parts.next().is_some()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("src/deep")).unwrap();
        fs::create_dir_all(at("other")).unwrap();
        for file in ["Cargo.toml", "src/a.rs", "src/deep/b.rs", "src/deep/b.txt", "other/secret"] {
            fs::write(at(file), file).unwrap();
        }
        symlink("../other/secret", at("src/link.rs")).unwrap();
        symlink("other", at("way")).unwrap();
        folder
    }

    fn granted(globs: &[&str]) -> Capabilities {
        Capabilities { context: globs.iter().map(|glob| (*glob).to_owned()).collect(), ..Capabilities::default() }
    }

    fn walked(globs: &[&str]) -> Vec<String> {
        walk(folder().path(), &granted(globs)).unwrap_or_else(|_| panic!("it is not much"))
    }

    #[test]
    fn only_granted_files_are_listed_and_no_links() {
        assert_eq!(walked(&["src/**"]), ["src/a.rs", "src/deep/b.rs", "src/deep/b.txt"]);
        assert_eq!(walked(&["**/*.rs", "*.toml"]), ["Cargo.toml", "src/a.rs", "src/deep/b.rs"]);
        assert_eq!(walked(&["src/*.rs"]), ["src/a.rs"]);
        assert_eq!(walked(&["way/**"]), [""; 0]);
    }

    #[test]
    fn a_folder_is_entered_only_for_a_glob_that_leads_there() {
        for (glob, folder, enters) in [
            ("src/**", "src", true),
            ("src/**", "src/deep", true),
            ("src/*.rs", "src", true),
            ("src/*.rs", "src/deep", false),
            ("*.toml", "src", false),
            ("*/x", "src", true),
            ("**/x", "a/b/c", true),
            ("src/**", "other", false),
        ] {
            assert_eq!(may_match_below(glob, folder), enters, "{glob} {folder}");
        }
    }

    #[test]
    fn a_file_is_opened_and_a_link_is_not() {
        let folder = folder();
        let mut text = String::new();
        open_below(folder.path(), "src/deep/b.rs").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "src/deep/b.rs");
        for (path, error) in [
            ("src/link.rs", Errno::LOOP),
            ("way/secret", Errno::NOTDIR),
            ("src", Errno::ISDIR),
            ("nothing", Errno::NOENT),
            ("Cargo.toml/x", Errno::NOTDIR),
        ] {
            assert_eq!(open_below(folder.path(), path).err(), Some(error), "{path}");
        }
    }
}
