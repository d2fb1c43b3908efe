#![allow(clippy::unwrap_used, reason = "tests")]
use std::{
    fs::{self, FileTimes},
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
};

use tempfile::TempDir;

use super::*;
use crate::files::testing::{shown, spool};

/// A folder with these files; those that end in a slash are folders.
fn made(files: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join("context").join(file);
        fs::create_dir_all(if file.ends_with('/') { &path } else { path.parent().unwrap() }).unwrap();
        if !file.ends_with('/') {
            fs::write(path, file).unwrap();
        }
    }
    dir
}

fn folder(dir: &TempDir, exclude: &[&str]) -> Folder {
    let exclude: Vec<String> = exclude.iter().map(|pattern| (*pattern).into()).collect();
    Folder::new(&dir.path().join("context"), &exclude, &dir.path().join("cache"), &spool()).unwrap()
}

fn names(dir: &TempDir, exclude: &[&str]) -> String {
    let lines = shown(&folder(dir, exclude));
    lines.iter().map(|line| line.split(' ').next().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn patterns_leave_out_and_bring_back() {
    let dir = made(&["a", "b/c", "b/d/e", "b/d/f", "g/", "h/i"]);
    assert_eq!(names(&dir, &[]), "a b/ b/c b/d/ b/d/e b/d/f g/ h/ h/i");
    assert_eq!(names(&dir, &["b", "g"]), "a h/ h/i");
    assert_eq!(names(&dir, &["*", "!b/d/e"]), "b/ b/d/ b/d/e");
    assert_eq!(names(&dir, &["**", "!**/i"]), "h/ h/i");
    assert_eq!(names(&dir, &["**", "!none"]), "");
    let folder = folder(&dir, &["b", "!b/d/e"]);
    assert!(folder.get(b"b").unwrap().is_some() && folder.get(b"b/c").unwrap().is_none() && folder.get(b"b/d/e").unwrap().is_some());
    assert!(folder.open(b"b/c").is_err() && folder.get(b"a/x").unwrap().is_none());
}

#[test]
fn owners_and_attributes_are_left_out_and_the_rest_is_kept() {
    let dir = made(&["f"]);
    let context = dir.path().join("context");
    fs::hard_link(context.join("f"), context.join("g")).unwrap();
    symlink("../../outside", context.join("l")).unwrap();
    fs::set_permissions(context.join("f"), fs::Permissions::from_mode(0o4751)).unwrap();
    let time = UNIX_EPOCH + Duration::new(1_000_000_000, 5_000_000);
    fs::File::open(context.join("f")).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
    let folder = folder(&dir, &[]);
    let item = folder.get(b"f").unwrap().unwrap();
    assert_eq!((item.entry.mode, item.entry.uid, item.entry.gid, item.entry.size), (0o4751, 0, 0, 1));
    assert_eq!((item.entry.mtime, item.entry.nanos), (1_000_000_000, 5_000_000));
    assert!(item.inode.is_some() && item.inode == folder.get(b"g").unwrap().unwrap().inode);
    assert_eq!(folder.get(b"l").unwrap().unwrap().entry.link.unwrap(), b"../../outside");
}

#[test]
fn sockets_are_empty_files() {
    let dir = made(&["f"]);
    let _socket = UnixListener::bind(dir.path().join("context/s")).unwrap();
    let folder = folder(&dir, &[]);
    let entry = folder.get(b"s").unwrap().unwrap().entry;
    assert_eq!((entry.kind, entry.size), (Kind::File, 0));
    let mut content = Vec::new();
    folder.open(b"s").unwrap().read_to_end(&mut content).unwrap();
    assert!(content.is_empty() && folder.digests(&[b"s".to_vec()]).is_ok());
}

#[test]
fn what_changes_after_it_was_looked_at_is_an_error_that_names_it() {
    let dir = made(&["f", "d/g"]);
    let context = dir.path().join("context");
    let folder = folder(&dir, &[]);
    assert_eq!(shown(&folder).len(), 3);
    fs::write(context.join("f"), "longer than before").unwrap();
    let error = folder.open(b"f").err().unwrap().to_string();
    assert!(error.contains("context/f changed while it was read"), "{error}");
    fs::remove_file(context.join("d/g")).unwrap();
    assert!(folder.open(b"d/g").err().unwrap().to_string().contains("d/g"));
}

#[test]
fn what_changes_while_it_is_read_is_an_error() {
    let dir = made(&["f"]);
    let path = dir.path().join("context/f");
    fs::write(&path, vec![1; 1000]).unwrap();
    let folder = folder(&dir, &[]);
    let mut reader = folder.open(b"f").unwrap();
    reader.read_exact(&mut [0; 10]).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_times(FileTimes::new().set_modified(UNIX_EPOCH)).unwrap();
    assert!(reader.read_to_end(&mut Vec::new()).unwrap_err().to_string().contains("changed while it was read"));
}

#[test]
fn a_folder_that_becomes_a_link_leads_nowhere() {
    let dir = made(&["d/f"]);
    fs::create_dir(dir.path().join("outside")).unwrap();
    fs::write(dir.path().join("outside/f"), "d/f").unwrap();
    let folder = folder(&dir, &[]);
    assert!(folder.get(b"d/f").unwrap().is_some());
    fs::remove_dir_all(dir.path().join("context/d")).unwrap();
    symlink("../outside", dir.path().join("context/d")).unwrap();
    assert!(folder.open(b"d/f").is_err());
}

#[test]
fn digests_are_remembered_once_a_file_has_settled() {
    let dir = made(&["f", "g"]);
    let path = dir.path().join("context/f");
    fs::File::open(&path).unwrap().set_times(FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000))).unwrap();
    let paths = [b"f".to_vec(), b"g".to_vec()];
    let sums = folder(&dir, &[]).digests(&paths).unwrap();
    let again = folder(&dir, &[]);
    let known = |path: &str| {
        let stat = again.stat(path.as_bytes()).unwrap();
        again.remembered.get(stat.key, stat.stamp)
    };
    assert_eq!((known("f"), known("g")), (Some(sums[0]), None));
    fs::write(&path, "F").unwrap();
    assert_ne!(folder(&dir, &[]).digests(&paths).unwrap()[0], sums[0]);
}

#[test]
fn what_is_no_folder_or_not_there_is_an_error() {
    let dir = made(&["f"]);
    let new = |path: &Path, exclude: &[String]| Folder::new(path, exclude, dir.path(), &spool()).err().unwrap().to_string();
    assert!(new(&dir.path().join("none"), &[]).contains("none"));
    assert!(new(&dir.path().join("context/f"), &[]).contains("is no folder"));
    assert!(new(dir.path(), &["[".into()]).contains("syntax error in pattern"));
}
