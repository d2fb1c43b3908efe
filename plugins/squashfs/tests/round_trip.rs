//! What is written is read as the same.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{file, flat, noise, read, sample, write};
use nacre_sdk::entries::entry;
use nacre_sdk::files::{Entry, Kind, Xattr};

/// What a sample reads as: a hardlink has its file's attributes.
fn expected(files: &[(Entry, Vec<u8>)]) -> Vec<String> {
    let mut all: common::Files = files.iter().map(|(entry, content)| (entry.path.clone(), (entry.clone(), content.clone()))).collect();
    for (entry, _) in files.iter().filter(|(entry, _)| entry.kind == Kind::Hardlink) {
        let target = all[entry.link.as_ref().unwrap()].0.clone();
        all.get_mut(&entry.path).unwrap().0 =
            Entry { path: entry.path.clone(), kind: Kind::Hardlink, link: entry.link.clone(), size: 0, ..target };
    }
    flat(&all)
}

#[test]
fn every_compressor_and_block_size() {
    let files = sample();
    for compress in ["gzip", "xz", "zstd", "lz4"] {
        for block in ["4KiB", "131072", "1M"] {
            let image = write(&files, [("compress", compress), ("block", block)]).unwrap();
            assert_eq!(image.len() % 4096, 0);
            assert!(flat(&read(&image).unwrap()) == expected(&files), "{compress} {block}");
            assert!(image == write(&files, [("compress", compress), ("block", block)]).unwrap(), "not the same twice");
        }
    }
}

#[test]
fn very_many_files_in_one_folder_and_a_deep_tree() {
    let mut files: Vec<_> = (0..70_000).map(|i| file(&format!("d{}/f{i:05}", i % 2), b"x")).collect();
    let deep = (1..=500).map(|depth| (entry(vec!["deep"; depth].join("/"), Kind::Directory, 0o700), Vec::new()));
    files.extend(deep);
    let found = read(&write(&files, [("compress", "lz4")]).unwrap()).unwrap();
    assert_eq!(found.len(), 1 + 2 + 70_000 + 500);
    assert_eq!(found["d1/f69999"].1, b"x");
    assert_eq!(found[&vec!["deep"; 500].join("/")].0.mode, 0o700);
}

#[test]
fn folders_come_after_what_they_hold_and_the_root_too() {
    let attributes = |path: &str| Entry {
        uid: 7,
        mtime: 9,
        xattrs: vec![Xattr { name: "trusted.x".into(), value: noise(70) }],
        ..entry(path, Kind::Directory, 0o711)
    };
    let files = [file("a/b/c", b"1"), (attributes("a"), Vec::new()), (attributes(""), Vec::new())];
    let found = read(&write(&files, []).unwrap()).unwrap();
    for path in ["a", ""] {
        let entry = &found[path].0;
        assert_eq!((entry.uid, entry.mtime, entry.mode, entry.xattrs.len()), (7, 9, 0o711, 1), "{path}");
    }
    assert_eq!((found["a/b"].0.mode, found["a/b"].0.uid), (0o755, 0));
}

#[test]
fn what_the_format_cannot_hold_is_said() {
    let wrong = |entry: Entry| format!("{:?}", write(&[(entry, Vec::new())], []).unwrap_err());
    assert!(wrong(entry("n".repeat(257), Kind::Fifo, 0)).contains("long-name"));
    assert!(wrong(Entry { device: Some((4096, 0)), ..entry("a", Kind::CharDevice, 0) }).contains("bad-device"));
    assert!(wrong(Entry { link: Some("b".into()), ..entry("a", Kind::Hardlink, 0) }).contains("bad-link"));
    assert!(
        wrong(Entry { xattrs: vec![Xattr { name: "user.x".into(), value: vec![0; 70_000] }], ..entry("a", Kind::Fifo, 0) })
            .contains("large-xattr")
    );
    assert!(write(&[file("a", b""), file("a", b"")], []).is_err());
    assert!(write(&[file("a", b""), file("a/b", b"")], []).is_err());
    for (key, value) in
        [("compress", "lzo"), ("block", "3KiB"), ("block", "2MiB"), ("block", "5000"), ("block", "4GiB"), ("block", "9999999K")]
    {
        assert!(write(&[], [(key, value)]).is_err(), "{key}={value}");
    }
}

#[test]
fn acls_are_left_out() {
    let acl = Xattr { name: "system.posix_acl_access".into(), value: vec![2, 0, 0, 0] };
    let files = [(Entry { xattrs: vec![acl], ..entry("a", Kind::Fifo, 0o600) }, Vec::new())];
    assert_eq!(read(&write(&files, []).unwrap()).unwrap()["a"].0.xattrs.len(), 0);
}
