#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, symlink},
        net::UnixListener,
    },
    path::PathBuf,
    process::Command,
};

use nacre_oci::{Memory, Staging, read_small};
use tempfile::TempDir;

use super::*;
use rustix::fs::FileType;

use crate::{
    Compression, Entry, Form, Kind, TarReader, Unpacking, Xattr, path,
    unpack::{
        tests::{Mounted, can_mount},
        unpack,
    },
};

/// A lower folder, an upper folder and a mount of both.
struct Scene {
    top: TempDir,
    mounted: Option<Mounted>,
}

impl Scene {
    fn new(fill: impl Fn(&Path)) -> Self {
        let top = tempfile::tempdir().unwrap();
        ["lower", "upper", "work", "at"].iter().for_each(|name| fs::create_dir(top.path().join(name)).unwrap());
        fill(&top.path().join("lower"));
        let path = |name: &str| top.path().join(name);
        let mounted = Mounted::new(&path("at"), &[&path("lower")], Some((&path("upper"), &path("work")))).unwrap();
        Self { top, mounted: Some(mounted) }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.top.path().join("at").join(path)
    }

    fn changes(&mut self) -> (Vec<u8>, Difference) {
        self.mounted = None;
        let (lower, upper) = (self.top.path().join("lower"), self.top.path().join("upper"));
        layer(&Changes::Overlay { upper: &upper, lowers: &[&lower], attributes: OverlayAttributes::Trusted }, &[]).unwrap()
    }
}

fn layer(changes: &Changes<'_>, exclude: &[Vec<u8>]) -> Result<(Vec<u8>, Difference)> {
    written(|writer| difference(changes, exclude, writer))
}

fn written(write: impl FnOnce(&mut LayerWriter) -> Result<Difference>) -> Result<(Vec<u8>, Difference)> {
    let memory = Memory::new();
    let mut writer = LayerWriter::new(memory.stage().unwrap(), Compression::None);
    let done = write(&mut writer)?;
    let layer = writer.finish()?;
    Ok((read_small(&memory, &layer.descriptor, u64::MAX).unwrap(), done))
}

/// As `docker diff` prints them.
fn listed(of: &Changes<'_>, exclude: &[Vec<u8>]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut tell = |change: Change| {
        let kind = match change.kind {
            ChangeKind::Added => "A",
            ChangeKind::Changed => "C",
            ChangeKind::Deleted => "D",
        };
        lines.push(format!("{kind} /{}", path::to_text(&change.path)));
        Ok(())
    };
    changes(of, exclude, &mut tell).unwrap();
    lines
}

fn entries(tar: &[u8]) -> Vec<Entry> {
    let mut reader = TarReader::new(tar).as_layer();
    std::iter::from_fn(|| reader.next_entry().unwrap()).map(|member| member.entry).collect()
}

fn lines(tar: &[u8]) -> Vec<String> {
    let line = |entry: &Entry| {
        let name = entry.name();
        match entry.kind {
            Kind::Directory => format!("{name}/"),
            Kind::Whiteout => format!("{name} -"),
            Kind::Opaque => format!("{name} *"),
            Kind::Symlink | Kind::Hardlink => format!("{name} > {}", path::to_text(entry.link.as_deref().unwrap())),
            _ => name,
        }
    };
    entries(tar).iter().map(line).collect()
}

fn some_files(root: &Path) {
    for folder in ["etc", "srv/sub", "gone/deep", "replaced"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for file in ["etc/passwd", "etc/touched", "srv/sub/x", "gone/deep/x", "replaced/old", "file"] {
        fs::write(root.join(file), "old").unwrap();
        let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
        fs::File::open(root.join(file)).unwrap().set_modified(old).unwrap();
    }
    fs::set_permissions(root.join("srv"), fs::Permissions::from_mode(0o711)).unwrap();
}

#[test]
fn what_a_program_did_is_a_layer() {
    if !can_mount() {
        return;
    }
    let mut scene = Scene::new(some_files);
    fs::write(scene.at("srv/sub/new"), "new").unwrap();
    fs::hard_link(scene.at("srv/sub/new"), scene.at("srv/link")).unwrap();
    symlink("sub", scene.at("srv/sym")).unwrap();
    fs::remove_dir_all(scene.at("gone")).unwrap();
    fs::remove_dir_all(scene.at("replaced")).unwrap();
    fs::create_dir(scene.at("replaced")).unwrap();
    fs::write(scene.at("replaced/new"), "new").unwrap();
    fs::write(scene.at(".wh.file"), "a whiteout").unwrap();
    fs::write(scene.at(".wh."), "nothing").unwrap();
    // Made and removed again: neither is to be seen.
    fs::write(scene.at("etc/resolv.conf"), "").unwrap();
    fs::remove_file(scene.at("etc/resolv.conf")).unwrap();
    // Copied up, but as it was.
    fs::OpenOptions::new().append(true).open(scene.at("etc/touched")).unwrap();
    let _socket = UnixListener::bind(scene.at("srv/socket")).unwrap();
    let (tar, done) = scene.changes();
    let want = [
        "file -",
        "gone -",
        "replaced/",
        "replaced *",
        "replaced/new",
        "srv/",
        "srv/link",
        "srv/sub/",
        "srv/sub/new > srv/link",
        "srv/sym > sub",
    ];
    assert_eq!(lines(&tar), want);
    assert_eq!(done, Difference { entries: 10, skipped_sockets: 1 });
    let srv = entries(&tar).into_iter().find(|entry| entry.path == b"srv").unwrap();
    assert_eq!(srv.mode, 0o711, "a folder on the way is as it is");
    assert_eq!(scene.changes().0, tar, "the same changes make the same layer");
    let (lower, upper) = (scene.top.path().join("lower"), scene.top.path().join("upper"));
    let list = listed(&Changes::Overlay { upper: &upper, lowers: &[&lower], attributes: OverlayAttributes::Trusted }, &[]);
    // As Docker: a folder that was made anew has what it lost, sockets and marks are files.
    let want = [
        "A /.wh.",
        "A /.wh.file",
        "D /gone",
        "C /replaced",
        "A /replaced/new",
        "D /replaced/old",
        "C /srv",
        "A /srv/link",
        "A /srv/socket",
        "C /srv/sub",
        "A /srv/sub/new",
        "A /srv/sym",
    ];
    assert_eq!(list, want);
}

#[test]
fn metadata_comes_out_as_it_is() {
    if !can_mount() {
        return;
    }
    let mut scene = Scene::new(some_files);
    let set = |path: &str, name: &str, value: &[u8]| {
        rustix::fs::lsetxattr(scene.at(path), name, value, rustix::fs::XattrFlags::empty()).unwrap();
    };
    let capability = [&[1, 0, 0, 2, 0, 0x20][..], &[0; 14]].concat();
    std::os::unix::fs::chown(scene.at("file"), Some(1000), Some(50)).unwrap();
    fs::set_permissions(scene.at("file"), fs::Permissions::from_mode(0o6755)).unwrap();
    set("file", "security.capability", &capability);
    set("etc", "user.color", b"blue");
    let folder = fs::File::open(scene.at("")).unwrap();
    let make = |name: &str, kind, device| rustix::fs::mknodat(&folder, name, kind, 0o640.into(), device).unwrap();
    make("null", FileType::CharacterDevice, rustix::fs::makedev(1, 3));
    make("pipe", FileType::Fifo, 0);
    drop(folder);
    let (tar, _) = scene.changes();
    let all = entries(&tar);
    let entry = |path: &str| all.iter().find(|entry| entry.path == path.as_bytes()).unwrap();
    let file = entry("file");
    assert_eq!((file.mode, file.uid, file.gid, file.mtime), (0o6755, 1000, 50, 1_600_000_000));
    assert_eq!(file.xattrs, [Xattr { name: "security.capability".into(), value: capability }]);
    assert_eq!(entry("etc").xattrs, [Xattr { name: "user.color".into(), value: b"blue".to_vec() }]);
    assert_eq!((entry("null").device, entry("null").mode), (Some((1, 3)), 0o640));
    assert_eq!(entry("pipe").kind, Kind::Fifo);
    assert_eq!(all.len(), 4);
}

#[test]
fn stubs_are_left_out_and_redirects_refused() {
    let top = tempfile::tempdir().unwrap();
    let (lower, upper) = (top.path().join("lower"), top.path().join("upper"));
    fs::create_dir_all(upper.join("etc")).unwrap();
    fs::create_dir_all(lower.join("etc")).unwrap();
    fs::write(upper.join("etc/hosts"), "").unwrap();
    fs::create_dir_all(upper.join("secret/deep")).unwrap();
    let changes = Changes::Overlay { upper: &upper, lowers: &[&lower], attributes: OverlayAttributes::User };
    assert_eq!(lines(&layer(&changes, &[b"etc/hosts".to_vec(), b"secret".to_vec()]).unwrap().0), [""; 0]);
    // Nor are folders that only lead to one.
    fs::create_dir_all(upper.join("made/for/mount")).unwrap();
    fs::create_dir_all(upper.join("half/mount")).unwrap();
    fs::write(upper.join("half/own"), "").unwrap();
    let exclude = [b"etc/hosts".to_vec(), b"secret".to_vec(), b"made/for/mount".to_vec(), b"half/mount".to_vec()];
    assert_eq!(lines(&layer(&changes, &exclude).unwrap().0), ["half/", "half/own"]);
    assert_eq!(listed(&changes, &exclude), ["A /half", "A /half/own"]);
    if rustix::fs::lsetxattr(upper.join("etc"), "user.overlay.redirect", b"/srv", rustix::fs::XattrFlags::empty()).is_ok() {
        let error = layer(&changes, &[]).unwrap_err().to_string();
        assert!(error.contains("redirect_dir=off"), "{error}");
    }
}

#[test]
fn two_trees_differ_as_an_overlay_does() {
    let top = tempfile::tempdir().unwrap();
    let (before, after) = (top.path().join("before"), top.path().join("after"));
    some_files(&before);
    assert!(Command::new("cp").arg("-a").args([&before, &after]).status().unwrap().success());
    let changes = Changes::Trees { before: &before, after: &after };
    assert_eq!(layer(&changes, &[]).unwrap().1.entries, 0);
    fs::remove_dir_all(after.join("gone")).unwrap();
    fs::remove_file(after.join("file")).unwrap();
    fs::create_dir(after.join("file")).unwrap();
    fs::write(after.join("file/x"), "new").unwrap();
    let modified = fs::metadata(after.join("etc/passwd")).unwrap().modified().unwrap();
    fs::write(after.join("etc/passwd"), "new").unwrap();
    fs::File::open(after.join("etc/passwd")).unwrap().set_modified(modified).unwrap();
    fs::set_permissions(after.join("srv"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(lines(&layer(&changes, &[]).unwrap().0), ["etc/", "etc/passwd", "file/", "file/x", "gone -", "srv/"]);
}

/// What is in a folder, in full but for folders' times.
fn described(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut todo = vec![root.to_owned()];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(root).unwrap().display();
            let what = match () {
                () if meta.is_dir() => String::new(),
                () if meta.is_symlink() => fs::read_link(&path).unwrap().display().to_string(),
                () => format!("{:?} {} {}", fs::read(&path).unwrap(), meta.mtime(), meta.mtime_nsec()),
            };
            lines.push(format!("{name} {:o} {}:{} {what}", meta.mode(), meta.uid(), meta.gid()));
            if meta.is_dir() {
                todo.push(path);
            }
        }
    }
    lines.sort();
    lines
}

/// Some twenty deeds, chosen by `seed`, each of which may fail.
fn disturb(root: &Path, mut seed: u64) {
    let mut pick = |count: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % count
    };
    let names = ["a", "b", "a/b", "b/a", "a/b/c", "c", "c/d"];
    for step in 0..20 {
        let path = root.join(names[usize::try_from(pick(7)).unwrap()]);
        let other = root.join(names[usize::try_from(pick(7)).unwrap()]);
        _ = match pick(9) {
            0 | 1 => fs::write(&path, step.to_string()),
            2 => fs::create_dir_all(&path),
            3 => fs::remove_dir_all(&path),
            4 => fs::remove_file(&path),
            5 => symlink("b/a", &path),
            6 => fs::rename(&path, &other),
            7 => fs::set_permissions(&path, fs::Permissions::from_mode(0o700 + u32::try_from(pick(64)).unwrap())),
            _ => std::os::unix::fs::lchown(&path, Some(7), None),
        };
    }
}

#[test]
fn unpacking_the_difference_gives_what_was_there() {
    if !can_mount() {
        return;
    }
    for seed in 0..60 {
        let mut scene = Scene::new(|lower| disturb(lower, seed));
        disturb(&scene.at(""), 1000 + seed);
        let want = described(&scene.at(""));
        let (tar, _) = scene.changes();
        let lower = scene.top.path().join("lower");
        let how = Unpacking { form: Form::InPlace, owners: true, privileged: true };
        let again = scene.top.path().join("again");
        fs::create_dir(&again).unwrap();
        assert!(Command::new("cp").arg("-a").arg(lower.join(".")).arg(&again).status().unwrap().success());
        unpack(&mut tar.as_slice(), &again, &how).unwrap();
        assert_eq!(described(&again), want, "seed {seed}: {:?}", lines(&tar));
        let upper = scene.top.path().join("upper");
        let overlay = Changes::Overlay { upper: &upper, lowers: &[&lower], attributes: OverlayAttributes::Trusted };
        assert_eq!(listed(&overlay, &[]), listed(&Changes::Trees { before: &lower, after: &again }, &[]), "seed {seed}");
        // The same changes between two whole trees are those of the overlay, but for opaque folders.
        let (trees, _) = layer(&Changes::Trees { before: &lower, after: &again }, &[]).unwrap();
        let third = scene.top.path().join("third");
        fs::create_dir(&third).unwrap();
        assert!(Command::new("cp").arg("-a").arg(lower.join(".")).arg(&third).status().unwrap().success());
        unpack(&mut trees.as_slice(), &third, &how).unwrap();
        assert_eq!(described(&third), want, "seed {seed}: {:?}", lines(&trees));
    }
}

#[test]
fn another_name_of_what_was_there_is_a_link() {
    if !can_mount() {
        return;
    }
    let mut scene = Scene::new(some_files);
    fs::hard_link(scene.at("etc/passwd"), scene.at("srv/new")).unwrap();
    let want = ["etc/", "etc/passwd", "srv/", "srv/new > etc/passwd"];
    assert_eq!(lines(&scene.changes().0), ["srv/", "srv/new"], "a build's layer has a file of its own, as BuildKit's");
    let (before, after) = (scene.top.path().join("lower"), scene.top.path().join("after"));
    let upper = scene.top.path().join("upper");
    let overlay = Changes::Overlay { upper: &upper, lowers: &[&before], attributes: OverlayAttributes::Trusted };
    assert_eq!(lines(&written(|writer| difference_with_links(&overlay, &[], writer)).unwrap().0), want);
    assert_eq!(listed(&overlay, &[]), ["C /srv", "A /srv/new"], "Docker does not mention the old name");
    assert!(Command::new("cp").arg("-a").args([&before, &after]).status().unwrap().success());
    fs::hard_link(after.join("etc/passwd"), after.join("srv/new")).unwrap();
    let trees = Changes::Trees { before: &before, after: &after };
    assert_eq!(lines(&written(|writer| difference_with_links(&trees, &[], writer)).unwrap().0), want);
}

/// Writes, grows, cuts and deletes files and folders until it is told to stop.
fn never_rest(root: &Path, stop: &std::sync::atomic::AtomicBool) {
    let mut round = 0;
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        disturb(root, round);
        for (name, size) in [("grows", round % 300_000), ("shrinks", 300_000 - round % 300_000)] {
            let file = fs::File::options().create(true).truncate(false).write(true).open(root.join(name)).unwrap();
            file.set_len(size * 7 % 300_000).unwrap();
        }
        round += 1;
    }
}

#[test]
fn files_that_change_meanwhile_make_a_sound_layer() {
    if !can_mount() {
        return;
    }
    let scene = Scene::new(some_files);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (lower, upper) = (scene.top.path().join("lower"), scene.top.path().join("upper"));
    std::thread::scope(|scope| {
        scope.spawn(|| never_rest(&scene.at(""), &stop));
        let overlay = Changes::Overlay { upper: &upper, lowers: &[&lower], attributes: OverlayAttributes::Trusted };
        for of in [overlay, Changes::Trees { before: &lower, after: &scene.at("") }] {
            for _ in 0..100 {
                let made = layer(&of, &[]).map(|(tar, _)| entries(&tar)).map_err(|error| error.to_string());
                if made.is_err() {
                    stop.store(true, std::sync::atomic::Ordering::Relaxed);
                }
                made.unwrap();
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
