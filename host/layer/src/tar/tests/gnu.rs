//! GNU tar reads what is written here, and the other way round.

use std::{
    fs::{self, File, FileTimes, Permissions},
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, UNIX_EPOCH},
};

use super::read;
use crate::{Kind, TarReader, TarWriter, path};

/// Files of all kinds that need no root, with awkward names and times.
fn tree(root: &Path, awkward: bool) {
    let deep = root.join("d".repeat(60)).join("e".repeat(60));
    fs::create_dir_all(&deep).unwrap();
    let long = "n".repeat(if awkward { 150 } else { 90 });
    for (name, content) in [("empty", ""), ("file", "content"), ("two words", "2"), (&long, "long"), ("x/../xyz", "")] {
        fs::create_dir_all(root.join("x")).unwrap();
        fs::write(root.join(name), content).unwrap();
        fs::write(deep.join(name.replace('/', "")), content).unwrap();
    }
    fs::write(root.join("big"), nacre_tests::images::noise(100_000, 9)).unwrap();
    symlink("../some/where", root.join("symlink")).unwrap();
    symlink("file", root.join("relative")).unwrap();
    fs::hard_link(root.join("file"), root.join("hard")).unwrap();
    fs::set_permissions(root.join("file"), Permissions::from_mode(0o4751)).unwrap();
    let nanos = if awkward { 123_456_789 } else { 0 };
    let times = FileTimes::new().set_modified(UNIX_EPOCH + Duration::new(1_234_567_890, nanos));
    File::options().write(true).open(root.join("two words")).unwrap().set_times(times).unwrap();
    if awkward {
        fs::write(root.join("grüße"), "umlaut").unwrap();
        symlink("l".repeat(200), root.join("longlink")).unwrap();
        let made = Command::new("mkfifo").arg(root.join("pipe")).status().unwrap();
        assert!(made.success());
    }
}

fn gnu_tar(arguments: &[&str], folder: &Path, input: &[u8]) -> Vec<u8> {
    let mut tar = Command::new("tar").args(arguments).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, input) = (tar.stdin.take().unwrap(), input.to_vec());
    let feeding = std::thread::spawn(move || _ = stdin.write_all(&input));
    let output = tar.wait_with_output().unwrap();
    feeding.join().unwrap();
    assert!(output.status.success(), "tar {arguments:?}");
    output.stdout
}

/// Each member is what the file system has.
fn same(root: &Path, tar: &[u8], nanos: bool) {
    let members = read(TarReader::new(tar)).unwrap();
    assert!(members.len() > 10);
    for (member, content) in members {
        let entry = member.entry;
        let file = root.join(path::to_text(&entry.path));
        let meta = fs::symlink_metadata(&file).unwrap();
        let name = entry.name();
        assert_eq!((entry.mode, entry.uid, entry.gid, entry.mtime), (meta.mode() & 0o7777, meta.uid(), meta.gid(), meta.mtime()), "{name}");
        assert_eq!(i64::from(entry.nanos), if nanos { meta.mtime_nsec() } else { 0 }, "{name}");
        match entry.kind {
            Kind::File => assert!(meta.is_file() && fs::read(&file).unwrap() == content, "{name}"),
            Kind::Directory => assert!(meta.is_dir(), "{name}"),
            Kind::Symlink => assert_eq!(fs::read_link(&file).unwrap().as_os_str().as_encoded_bytes(), entry.link.unwrap(), "{name}"),
            Kind::Hardlink => assert_eq!(meta.ino(), fs::metadata(root.join(path::to_text(&entry.link.unwrap()))).unwrap().ino(), "{name}"),
            Kind::Fifo => assert_eq!(name, "pipe"),
            kind => panic!("{name} is a {kind:?}"),
        }
    }
}

#[test]
fn reads_every_format_of_gnu_tar() {
    for (format, awkward) in [("v7", false), ("ustar", false), ("oldgnu", true), ("gnu", true), ("pax", true)] {
        let folder = tempfile::tempdir().unwrap();
        tree(folder.path(), awkward && format != "v7");
        if format == "v7" {
            fs::remove_dir_all(folder.path().join("d".repeat(60))).unwrap();
            (0..9).for_each(|n| fs::write(folder.path().join(n.to_string()), "x").unwrap());
        }
        let tar = gnu_tar(&[&format!("--format={format}"), "-cf", "-", "."], folder.path(), b"");
        same(folder.path(), &tar, format == "pax");
    }
}

#[test]
fn gnu_tar_unpacks_what_is_written() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    tree(from.path(), true);
    let tar = gnu_tar(&["--format=pax", "-cf", "-", "."], from.path(), b"");
    let mut writer = TarWriter::new(Vec::new());
    for (member, content) in read(TarReader::new(tar.as_slice())).unwrap() {
        writer.add(&member.entry, &mut content.as_slice()).unwrap();
    }
    let own = writer.finish().unwrap();
    gnu_tar(&["-xpf", "-"], to.path(), &own);
    same(to.path(), &own, true);
    let listed = String::from_utf8(gnu_tar(&["-tf", "-", "--quoting-style=literal"], to.path(), &own)).unwrap();
    let names: Vec<String> = read(TarReader::new(own.as_slice())).unwrap().iter().map(|(member, _)| member.entry.name()).collect();
    let listed: Vec<String> = listed.lines().map(|line| path::to_text(&path::tidy(line.as_bytes()).unwrap())).collect();
    assert_eq!(listed, names);
}
