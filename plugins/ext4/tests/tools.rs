//! File systems that `mke2fs` makes. Without it (Debian's e2fsprogs) there is nothing to compare with.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use common::{Files, read, read_with};
use nacre_sdk::files::Kind;

/// `false` if there is no such program.
fn run(program: &str, args: &[&str]) -> bool {
    let path = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";
    let Ok(output) = Command::new(program).args(args).env("PATH", path).output() else { return false };
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    true
}

fn tree(root: &Path) {
    fs::create_dir_all(root.join("usr/share/doc")).unwrap();
    fs::create_dir(root.join("many")).unwrap();
    let bytes: Vec<u8> = (0..900_000u32).flat_map(|i| (i.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()).collect();
    fs::write(root.join("usr/large"), &bytes).unwrap();
    fs::write(root.join("empty"), "").unwrap();
    let sparse = File::create(root.join("usr/sparse")).unwrap();
    for i in 0..40 {
        sparse.write_all_at(format!("island {i}").as_bytes(), i * 70_000).unwrap();
    }
    fs::hard_link(root.join("usr/large"), root.join("usr/share/linked")).unwrap();
    symlink("../usr/large", root.join("usr/link")).unwrap();
    symlink("a/long/way/".repeat(9), root.join("usr/long")).unwrap();
    for i in 0..1500 {
        fs::write(root.join(format!("many/a-rather-long-name-of-a-file-{i}")), format!("file {i} ").repeat(i % 40)).unwrap();
    }
    fs::set_permissions(root.join("usr/large"), PermissionsExt::from_mode(0o4711)).unwrap();
    fs::set_permissions(root.join("usr/share"), PermissionsExt::from_mode(0o1777)).unwrap();
}

/// Compares what was read with a folder on disk.
fn compare(found: &Files, root: &Path, what: &str) {
    let mut seen = 1; // lost+found
    let mut todo = vec![root.to_owned()];
    while let Some(path) = todo.pop() {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        let (entry, content) = found.get(name).unwrap_or_else(|| panic!("{what}: no {name}"));
        let metadata = path.symlink_metadata().unwrap();
        seen += 1;
        let kind = metadata.file_type();
        if !name.is_empty() {
            let (found, there) = ((entry.mode, entry.uid, entry.mtime), (metadata.mode() & 0o7777, metadata.uid(), metadata.mtime()));
            assert_eq!(found, there, "{what}: {name}");
        }
        if kind.is_dir() {
            assert_eq!(entry.kind, Kind::Directory, "{what}: {name}");
            todo.extend(fs::read_dir(&path).unwrap().map(|child| child.unwrap().path()));
        } else if kind.is_symlink() {
            assert_eq!(entry.link.as_deref(), fs::read_link(&path).unwrap().to_str(), "{what}: {name}");
        } else {
            let content = if entry.kind == Kind::Hardlink { &found[entry.link.as_ref().unwrap()].1 } else { content };
            assert!(*content == fs::read(&path).unwrap(), "{what}: {name}");
        }
    }
    assert_eq!(seen, found.len(), "{what}");
}

#[test]
fn every_kind_of_file_system() {
    let temp = tempfile::tempdir().unwrap();
    let (root, image) = (temp.path().join("root"), temp.path().join("image"));
    tree(&root);
    let kinds: [&[&str]; 10] = [
        &["-t", "ext2", "-b", "1024", "-I", "128"],
        &["-t", "ext2", "-b", "4096", "-r", "0"],
        &["-t", "ext3", "-b", "2048"],
        &["-t", "ext4"],
        &["-t", "ext4", "-b", "1024"],
        &["-t", "ext4", "-b", "1024", "-g", "1024", "-O", "meta_bg,^resize_inode"],
        &["-t", "ext4", "-O", "inline_data", "-I", "512"],
        &["-t", "ext4", "-O", "^64bit,^flex_bg,^metadata_csum,sparse_super2"],
        &["-t", "ext4", "-O", "bigalloc,large_dir,ea_inode,casefold,verity"],
        &["-t", "ext4", "-b", "65536"],
    ];
    for kind in kinds {
        let _ = fs::remove_file(&image);
        let args = [kind, &["-q", "-F", "-d", root.to_str().unwrap(), "-N", "4000", image.to_str().unwrap(), "100M"]].concat();
        if !run("mke2fs", &args) {
            return;
        }
        let what = format!("{kind:?}");
        compare(&read(&fs::read(&image).unwrap()).unwrap_or_else(|error| panic!("{what}: {error:?}")), &root, &what);
    }
}

#[test]
fn devices_owners_attributes_and_names_of_bytes() {
    let temp = tempfile::tempdir().unwrap();
    let (image, commands) = (temp.path().join("image"), temp.path().join("commands"));
    let image = image.to_str().unwrap();
    let text = "mknod disk b 8 1\nmknod tty c 5 1\nmknod pipe p\nmkdir d\nsif d uid 100000\nsif d gid 70000\nsif d mtime @5000000000\n\
        ea_set d user.short one\nea_set d security.long \"a value that does not fit behind the inode, for it has more bytes than there are, in \
        whatever inode it is put, be it one of 128, 256 or 512 bytes\"\nsymlink s target\n";
    fs::write(&commands, text).unwrap();
    for size in ["128", "256"] {
        let _ = fs::remove_file(image);
        if !run("mke2fs", &["-q", "-F", "-t", "ext4", "-I", size, image, "4M"])
            || !run("debugfs", &["-w", "-f", commands.to_str().unwrap(), image])
        {
            return;
        }
        let found = read(&fs::read(image).unwrap()).unwrap();
        assert_eq!((found["disk"].0.kind, found["disk"].0.device), (Kind::BlockDevice, Some((8, 1))));
        assert_eq!((found["tty"].0.kind, found["tty"].0.device), (Kind::CharDevice, Some((5, 1))));
        assert_eq!((found["pipe"].0.kind, found["s"].0.link.as_deref()), (Kind::Fifo, Some("target")));
        let entry = &found["d"].0;
        assert_eq!((entry.uid, entry.gid), (100_000, 70_000));
        let xattrs: Vec<_> = entry.xattrs.iter().map(|xattr| (xattr.name.as_str(), xattr.value.len())).collect();
        assert_eq!(xattrs.len(), 2, "{xattrs:?}");
        assert!(xattrs.contains(&("user.short", 3)), "{xattrs:?}");
        if size == "256" {
            assert_eq!(entry.mtime, 5_000_000_000);
        }
    }
}

#[test]
fn a_journal_that_was_not_replayed_is_refused_unless_the_user_insists() {
    let temp = tempfile::tempdir().unwrap();
    let image = temp.path().join("image");
    if !run("mke2fs", &["-q", "-F", "-t", "ext4", image.to_str().unwrap(), "4M"]) {
        return;
    }
    let mut bytes = fs::read(&image).unwrap();
    bytes[1024 + 0x60] |= 4;
    let error = read(&bytes).unwrap_err();
    assert!(format!("{error:?}").contains("e2fsck"), "{error:?}");
    assert!(read_with(&bytes, true).is_ok());
}
