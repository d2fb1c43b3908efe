//! What `mksquashfs` writes is read, and what is written `unsquashfs` reads. Without these tools
//! (Debian's squashfs-tools) there is nothing to compare with.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use common::{Files, noise, read, sample, write};
use nacre_sdk::files::Kind;

fn run(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn tree(root: &Path) {
    fs::create_dir_all(root.join("usr/share/doc")).unwrap();
    fs::create_dir(root.join("many")).unwrap();
    fs::write(root.join("usr/large"), [noise(700_000), vec![0; 3 << 20], b"the end".repeat(50_000)].concat()).unwrap();
    fs::write(root.join("usr/hole"), vec![0; 2 << 20]).unwrap();
    fs::write(root.join("empty"), "").unwrap();
    fs::hard_link(root.join("usr/large"), root.join("usr/share/linked")).unwrap();
    symlink("../usr/large", root.join("usr/link")).unwrap();
    for i in 0..400 {
        fs::write(root.join(format!("many/file-{i}")), format!("file {i} ").repeat(i)).unwrap();
    }
    fs::set_permissions(root.join("usr/large"), PermissionsExt::from_mode(0o4711)).unwrap();
    fs::set_permissions(root.join("usr/share"), PermissionsExt::from_mode(0o1777)).unwrap();
}

/// Compares what was read with a folder on disk.
fn compare(found: &Files, root: &Path) {
    let mut seen = 0;
    let mut todo = vec![root.to_owned()];
    while let Some(path) = todo.pop() {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        let (entry, content) = found.get(name).unwrap_or_else(|| panic!("no {name}"));
        let metadata = path.symlink_metadata().unwrap();
        seen += 1;
        let kind = metadata.file_type();
        assert_eq!((entry.mode, entry.uid, entry.mtime), (metadata.mode() & 0o7777, metadata.uid(), metadata.mtime()), "{name}");
        if kind.is_dir() {
            assert_eq!(entry.kind, Kind::Directory, "{name}");
            todo.extend(fs::read_dir(&path).unwrap().map(|child| child.unwrap().path()));
        } else if kind.is_symlink() {
            assert_eq!(entry.link.as_deref(), fs::read_link(&path).unwrap().to_str(), "{name}");
        } else if kind.is_file() {
            let (_, content) =
                if entry.kind == Kind::Hardlink { &found[entry.link.as_ref().unwrap()] } else { &(entry.clone(), content.clone()) };
            assert!(*content == fs::read(&path).unwrap(), "{name}");
        }
    }
    assert_eq!(seen, found.len());
}

#[test]
fn what_mksquashfs_writes() {
    let temp = tempfile::tempdir().unwrap();
    let (root, image) = (temp.path().join("root"), temp.path().join("image"));
    tree(&root);
    let options: [&[&str]; 9] = [
        &["-comp", "gzip"],
        &["-comp", "xz", "-b", "64K"],
        &["-comp", "xz", "-Xbcj", "x86"],
        &["-comp", "zstd", "-b", "1M"],
        &["-comp", "lz4", "-b", "4K"],
        &["-comp", "lz4", "-Xhc"],
        &["-noI", "-noD", "-noF", "-noX"],
        &["-no-fragments", "-no-exports"],
        &["-always-use-fragments"],
    ];
    for options in options {
        let args = [&[root.to_str().unwrap(), image.to_str().unwrap(), "-noappend", "-no-progress"], options].concat();
        if run("mksquashfs", &args).is_none() {
            return;
        }
        compare(&read(&fs::read(&image).unwrap()).unwrap_or_else(|error| panic!("{options:?}: {error:?}")), &root);
    }
}

#[test]
fn lzo_and_lzma_are_refused_with_a_word_about_why() {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir(temp.path().join("root")).unwrap();
    for compressor in ["lzo", "lzma"] {
        let (root, image) = (temp.path().join("root"), temp.path().join("image"));
        if run("mksquashfs", &[root.to_str().unwrap(), image.to_str().unwrap(), "-noappend", "-comp", compressor]).is_none() {
            return;
        }
        let error = read(&fs::read(&image).unwrap()).unwrap_err();
        assert!(format!("{error:?}").contains(&format!("compressed with {compressor}")), "{error:?}");
    }
}

#[test]
fn what_unsquashfs_reads() {
    let temp = tempfile::tempdir().unwrap();
    let image = temp.path().join("image");
    let files = sample();
    for compress in ["gzip", "xz", "zstd", "lz4"] {
        fs::write(&image, write(&files, [("compress", compress)]).unwrap()).unwrap();
        let root = temp.path().join(compress);
        let list = ["-d", root.to_str().unwrap(), "-lln", image.to_str().unwrap()];
        let Some(listed) = run("unsquashfs", &list) else { return };
        let lines: Vec<&str> =
            listed.lines().filter(|line| line.contains("squashfs-root") || line.contains(root.to_str().unwrap())).collect();
        assert_eq!(lines.len(), files.len() + 1, "{compress}");
        assert!(listed.contains("-rws--x--x 1000/65534"), "{compress}");
        // Its exit code also tells of devices and owners that it may not make.
        let _ = Command::new("unsquashfs").args(["-d", root.to_str().unwrap(), "-n", image.to_str().unwrap()]).output();
        for (entry, content) in files.iter().filter(|(entry, _)| entry.kind == Kind::File && !entry.path.contains('\u{f7e9}')) {
            let path = root.join(&entry.path);
            assert!(fs::read(&path).unwrap() == *content, "{compress} {}", entry.path);
            assert_eq!(path.metadata().unwrap().mtime(), entry.mtime, "{}", entry.path);
        }
        assert_eq!(root.join("etc/motd").metadata().unwrap().ino(), root.join("etc/motd.too").metadata().unwrap().ino());
    }
}
