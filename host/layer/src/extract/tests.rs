#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use tempfile::TempDir;

use super::*;
use crate::TarWriter;

const KEPT: Extracting = Extracting { owners: Owners::Own, replace: false, privileged: false };

fn tar(entries: &[(Entry, &[u8])]) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    for (entry, content) in entries {
        tar.add(&Entry { size: content.len() as u64, mtime: 1_600_000_000, ..entry.clone() }, &mut &**content).unwrap();
    }
    tar.finish().unwrap()
}

fn file(path: &str) -> (Entry, &'static [u8]) {
    (Entry { mode: 0o640, ..Entry::new(path, Kind::File) }, b"content")
}

fn folder(path: &str) -> (Entry, &'static [u8]) {
    (Entry { mode: 0o510, ..Entry::new(path, Kind::Directory) }, b"")
}

fn into(root: &Path, folder: &str, entries: &[(Entry, &[u8])], how: &Extracting) -> Result<Extracted> {
    extract(&mut tar(entries).as_slice(), fs::File::open(root).unwrap().into(), folder.as_bytes(), how)
}

/// A root with a folder `in`, beside a folder that must never be reached.
fn scene() -> (TempDir, std::path::PathBuf) {
    let top = tempfile::tempdir().unwrap();
    fs::create_dir_all(top.path().join("root/in")).unwrap();
    fs::create_dir(top.path().join("host")).unwrap();
    let root = top.path().join("root");
    (top, root)
}

#[test]
fn files_are_as_the_archive_says() {
    let (_top, root) = scene();
    let link = Entry { link: Some(b"x".to_vec()), ..Entry::new("d/link", Kind::Symlink) };
    let hard = Entry { link: Some(b"d/x".to_vec()), ..Entry::new("hard", Kind::Hardlink) };
    let entries = [folder(""), folder("d"), file("d/x"), (link, &b""[..]), (hard, b""), file("d/.wh.x"), file("made/y")];
    let done = into(&root, "in", &entries, &KEPT).unwrap();
    assert_eq!(done, Extracted { entries: 7, ..Extracted::default() });
    let meta = |path: &str| fs::symlink_metadata(root.join("in").join(path)).unwrap();
    assert_eq!((meta("d").mode() & 0o7777, meta("d").mtime()), (0o510, 1_600_000_000));
    assert_eq!((meta("d/x").mode() & 0o7777, meta("d/x").mtime(), meta("d/x").len()), (0o640, 1_600_000_000, 7));
    assert_eq!(meta("hard").ino(), meta("d/x").ino());
    assert_eq!((meta("d/link").is_symlink(), meta("d/link").mtime()), (true, 1_600_000_000));
    assert!(meta("d/.wh.x").is_file() && meta("made/y").is_file());
    assert_ne!(meta("").mode() & 0o7777, 0o510, "the folder itself stays as it is");
    fs::set_permissions(root.join("in/d"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn only_what_may_be_is_replaced() {
    let (_top, root) = scene();
    fs::create_dir_all(root.join("in/folder/deep")).unwrap();
    fs::write(root.join("in/file"), "old").unwrap();
    let refused = |entry| into(&root, "in", &[entry], &KEPT).unwrap_err().to_string();
    assert_eq!(refused(file("folder")), "cannot overwrite directory \"/in/folder\" with non-directory \"/in\"");
    assert_eq!(refused(folder("file")), "cannot overwrite non-directory \"/in/file\" with directory \"/in\"");
    into(&root, "in", &[file("file"), file("folder/new")], &KEPT).unwrap();
    assert_eq!(fs::read(root.join("in/file")).unwrap(), b"content");
    assert!(root.join("in/folder/deep").is_dir() && root.join("in/folder/new").is_file());
    into(&root, "in", &[file("folder"), folder("file")], &Extracting { replace: true, ..KEPT }).unwrap();
    assert!(root.join("in/folder").is_file() && root.join("in/file").is_dir());
}

#[test]
fn nothing_leads_out_of_the_root() {
    let (top, root) = scene();
    symlink(top.path().join("host"), root.join("in/absolute")).unwrap();
    symlink("../../../../../../../..", root.join("in/up")).unwrap();
    symlink("/srv", root.join("in/inside")).unwrap();
    fs::create_dir(root.join("srv")).unwrap();
    let host = top.path().strip_prefix("/").unwrap().join("host/x");
    let up = format!("up/{}", host.display());
    // A link that leads nowhere is no folder that could be made.
    assert!(into(&root, "in", &[file("absolute/x")], &KEPT).is_err());
    into(&root, "in", &[file(&up), file("inside/x")], &KEPT).unwrap();
    assert!(root.join("srv/x").is_file() && root.join(&host).is_file());
    let hard = Entry { link: Some(up.into_bytes()), ..Entry::new("hard", Kind::Hardlink) };
    fs::write(top.path().join("host/secret"), "").unwrap();
    into(&root, "in", &[(hard, &b""[..])], &KEPT).unwrap();
    assert!(into(&root, "in", &[file("../x")], &KEPT).is_err());
    assert_eq!(fs::read_dir(top.path().join("host")).unwrap().count(), 1);
}

#[test]
fn a_folder_that_becomes_a_link_all_the_time_leads_nowhere() {
    let (top, root) = scene();
    fs::create_dir(root.join("in/swap")).unwrap();
    fs::create_dir(root.join("other")).unwrap();
    symlink("../../host", root.join("other/link")).unwrap();
    let stop = AtomicBool::new(false);
    let swap = || {
        while !stop.load(Ordering::Relaxed) {
            let (one, other) = (root.join("in/swap"), root.join("other/link"));
            let cwd = rustix::fs::CWD;
            let _ = rustix::fs::renameat_with(cwd, &one, cwd, &other, rustix::fs::RenameFlags::EXCHANGE);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(swap);
        let fifo = Entry { mode: 0o777, ..Entry::new("swap/fifo", Kind::Fifo) };
        for _ in 0..2000 {
            // Sometimes it fails, as it should.
            let _ = into(&root, "in", &[folder("swap"), file("swap/x"), (fifo.clone(), &b""[..])], &Extracting { replace: true, ..KEPT });
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read_dir(top.path().join("host")).unwrap().count(), 0);
}
