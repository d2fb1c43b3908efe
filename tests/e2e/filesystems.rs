//! Images of file systems: what `mksquashfs` and `mke2fs` write is imported, and what is saved as a squashfs `unsquashfs` reads.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt, symlink},
    path::Path,
};

use nacre_tests::{images::noise, peers::available, sandbox::Sandbox};

use crate::support::peer;

/// A root filesystem with a bit of everything that needs no privilege.
fn tree(root: &Path) {
    fs::create_dir_all(root.join("usr/share/doc")).unwrap();
    fs::write(root.join("usr/large"), noise(700_000, 3)).unwrap();
    fs::write(root.join("usr/zeros"), vec![0; 1_000_000]).unwrap();
    fs::write(root.join("empty"), "").unwrap();
    fs::hard_link(root.join("usr/large"), root.join("usr/share/linked")).unwrap();
    symlink("../usr/large", root.join("usr/link")).unwrap();
    for i in 0..300 {
        fs::write(root.join(format!("usr/share/doc/{i}")), format!("file {i} ").repeat(i)).unwrap();
    }
    fs::set_permissions(root.join("usr/large"), PermissionsExt::from_mode(0o4711)).unwrap();
    fs::set_permissions(root.join("usr/share/doc"), PermissionsExt::from_mode(0o1777)).unwrap();
}

/// Both folders have to hold the same.
#[track_caller]
fn same(left: &Path, right: &Path, what: &str) {
    let names = |folder: &Path| {
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.retain(|name| name != "lost+found");
        names.sort();
        names
    };
    assert_eq!(names(left), names(right), "{what}: {}", left.display());
    for name in names(left) {
        let (one, other) = (left.join(&name), right.join(&name));
        let about = |path: &Path| path.symlink_metadata().map(|m| (m.mode(), m.uid(), m.gid(), m.mtime(), m.nlink())).unwrap();
        assert_eq!(about(&one), about(&other), "{what}: {}", one.display());
        if one.is_symlink() {
            assert_eq!(fs::read_link(&one).unwrap(), fs::read_link(&other).unwrap(), "{what}");
        } else if one.is_dir() {
            same(&one, &other, what);
        } else {
            assert!(fs::read(&one).unwrap() == fs::read(&other).unwrap(), "{what}: {}", one.display());
        }
    }
}

/// Imports a file and saves the image as a squashfs, which has to hold the tree.
fn there_and_back(sandbox: &Sandbox, file: &str, compress: &str) {
    let what = format!("{file} {compress}");
    sandbox.nacre(["import", "-q", file, "fs:1"]).ok();
    let option = format!("compress={compress}");
    sandbox.nacre(["save", "--format", "squashfs", "--opt", &option, "-o", "saved", "fs:1"]).ok();
    let unpacked = sandbox.path("unpacked");
    let _ = fs::remove_dir_all(&unpacked);
    peer(sandbox, "unsquashfs", &["-q", "-n", "-d", "unpacked", "saved"]);
    same(&sandbox.path("tree"), &unpacked, &what);
    // And what was saved imports as the same layer, again and again.
    let layers = |name: &str| sandbox.nacre(["image", "inspect", "--format", "{{json .RootFS.Layers}}", name]).ok().stdout;
    sandbox.nacre(["import", "-q", "saved", "fs:2"]).ok();
    sandbox.nacre(["save", "--format", "squashfs", "--opt", &option, "-o", "again", "fs:2"]).ok();
    sandbox.nacre(["import", "-q", "again", "fs:3"]).ok();
    assert_eq!(layers("fs:2"), layers("fs:3"), "{what}");
    assert!(fs::read(sandbox.path("saved")).unwrap() == fs::read(sandbox.path("again")).unwrap(), "{what}");
}

#[test]
fn squashfs_there_and_back() {
    if !available("mksquashfs") {
        return;
    }
    let sandbox = Sandbox::new();
    tree(&sandbox.path("tree"));
    for compressor in ["gzip", "xz", "zstd", "lz4"] {
        peer(&sandbox, "mksquashfs", &["tree", "image", "-noappend", "-no-progress", "-comp", compressor]);
        there_and_back(&sandbox, "image", compressor);
    }
    peer(&sandbox, "mksquashfs", &["tree", "image", "-noappend", "-no-progress", "-comp", "lzo"]);
    let refused = sandbox.nacre(["import", "image", "fs:4"]).fails(1);
    assert!(refused.stderr.contains("compressed with lzo"), "{}", refused.stderr);
}

#[test]
fn ext4_and_its_forebears() {
    if !available("/usr/sbin/mke2fs") || !available("unsquashfs") {
        return;
    }
    let sandbox = Sandbox::new();
    tree(&sandbox.path("tree"));
    for kind in ["ext2", "ext3", "ext4"] {
        peer(&sandbox, "/usr/sbin/mke2fs", &["-q", "-F", "-t", kind, "-d", "tree", kind, "40M"]);
        there_and_back(&sandbox, kind, "lz4");
    }
    let mut cut = fs::read(sandbox.path("ext4")).unwrap();
    cut.truncate(3 << 20);
    fs::write(sandbox.path("cut"), cut).unwrap();
    let refused = sandbox.nacre(["import", "cut", "fs:4"]).fails(1);
    assert!(refused.stderr.contains("but the file only 3145728 bytes"), "{}", refused.stderr);
}
