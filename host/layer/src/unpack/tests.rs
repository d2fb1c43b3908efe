#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
    path::PathBuf,
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{Tree, Xattr, tar::TarWriter};

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says that a test proves nothing here.
fn skip(why: &str) {
    std::io::Write::write_all(&mut std::io::stderr(), format!("SKIPPED: {why}\n").as_bytes()).unwrap();
}

fn file(path: &str, content: &str) -> (Entry, String) {
    (Entry { size: content.len() as u64, mtime: 1_600_000_000, ..Entry::new(path, Kind::File) }, content.into())
}

fn bare(path: &str, kind: Kind) -> (Entry, String) {
    (Entry::new(path, kind), String::new())
}

fn link(path: &str, kind: Kind, target: &str) -> (Entry, String) {
    (Entry { link: Some(target.into()), ..Entry::new(path, kind) }, String::new())
}

fn tar(entries: &[(Entry, String)]) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    entries.iter().for_each(|(entry, content)| tar.add(entry, &mut content.as_bytes()).unwrap());
    tar.finish().unwrap()
}

fn how(form: Form<'_>) -> Unpacking<'_> {
    Unpacking { form, owners: is_root(), privileged: is_root() }
}

fn overlay<'a>(lowers: &'a [&'a Path]) -> Unpacking<'a> {
    how(Form::Overlay { lowers, attributes: if is_root() { OverlayAttributes::Trusted } else { OverlayAttributes::User } })
}

fn into(root: &Path, how: &Unpacking<'_>, entries: &[(Entry, String)]) -> Result<Unpacked> {
    unpack(&mut tar(entries).as_slice(), root, how)
}

/// What a folder holds: path and kind, link text or content.
fn listed(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(root.join(&at)).unwrap() {
            let entry = entry.unwrap();
            let (path, kind) = (at.join(entry.file_name()), entry.file_type().unwrap());
            let shown = path.display();
            lines.push(match () {
                () if kind.is_dir() => format!("{shown}/"),
                () if kind.is_symlink() => format!("{shown} -> {}", fs::read_link(entry.path()).unwrap().display()),
                () if kind.is_file() => format!("{shown} {}", fs::read_to_string(entry.path()).unwrap()),
                () if kind.is_char_device() => format!("{shown} gone"),
                () => format!("{shown} special"),
            });
            if kind.is_dir() {
                todo.push(path);
            }
        }
    }
    lines.sort();
    lines
}

/// A folder beside others that nothing may touch.
fn sentinel() -> (TempDir, PathBuf) {
    let outside = tempfile::tempdir().unwrap();
    let root = outside.path().join("root");
    fs::create_dir(&root).unwrap();
    fs::create_dir(outside.path().join("etc")).unwrap();
    fs::write(outside.path().join("etc/passwd"), "host").unwrap();
    (outside, root)
}

fn is_whole(outside: &Path) {
    let mut lines = listed(outside);
    lines.retain(|line| !line.starts_with("root"));
    assert_eq!(lines, ["etc/", "etc/passwd host"]);
    assert_eq!(fs::metadata(outside.join("etc/passwd")).unwrap().mode() & 0o7777, 0o644);
}

#[test]
fn entries_come_out_as_they_are_described() {
    if !is_root() {
        return skip("owners and devices need root");
    }
    let root = tempfile::tempdir().unwrap();
    let capability = Xattr { name: "security.capability".into(), value: [&[1, 0, 0, 2, 0, 0x20][..], &[0; 14]].concat() };
    let own = Xattr { name: "trusted.overlay.opaque".into(), value: b"y".to_vec() };
    let (plain, content) = file("bin/tool", "tool");
    let tool = Entry { mode: 0o4755, uid: 1000, gid: 50, nanos: 123_456_789, xattrs: vec![capability.clone(), own.clone()], ..plain };
    let folder = Entry { mode: 0o1555, uid: 7, mtime: 1_500_000_000, xattrs: vec![own], ..Entry::new("bin", Kind::Directory) };
    let null = Entry { device: Some((1, 3)), mode: 0o666, ..Entry::new("null", Kind::CharDevice) };
    let smuggled = Entry { device: Some((0, 0)), ..Entry::new("smuggled", Kind::CharDevice) };
    let entries = [
        (folder, String::new()),
        (tool, content),
        link("bin/again", Kind::Hardlink, "bin/tool"),
        (Entry { uid: 3, mtime: 1_400_000_000, ..link("bin/ln", Kind::Symlink, "/etc/passwd").0 }, String::new()),
        (null, String::new()),
        (smuggled, String::new()),
        (Entry { mode: 0o620, ..Entry::new("pipe", Kind::Fifo) }, String::new()),
        file("deep/er/x", "x"),
    ];
    let done = into(root.path(), &overlay(&[]), &entries).unwrap();
    assert_eq!(done, Unpacked { entries: 8, bytes: 5, skipped_devices: 1, skipped_attributes: 0 });
    let meta = |path: &str| fs::symlink_metadata(root.path().join(path)).unwrap();
    let tool = meta("bin/tool");
    assert_eq!(
        (tool.mode() & 0o7777, tool.uid(), tool.gid(), tool.mtime(), tool.mtime_nsec()),
        (0o4755, 1000, 50, 1_600_000_000, 123_456_789)
    );
    assert_eq!((tool.nlink(), tool.ino()), (2, meta("bin/again").ino()));
    let bin = meta("bin");
    assert_eq!((bin.mode() & 0o7777, bin.uid(), bin.mtime()), (0o1555, 7, 1_500_000_000), "set when all is in it");
    assert_eq!((meta("bin/ln").uid(), meta("bin/ln").mtime()), (3, 1_400_000_000));
    assert_eq!((meta("null").rdev(), meta("null").mode() & 0o7777), (rustix::fs::makedev(1, 3), 0o666));
    assert_eq!(meta("pipe").mode() & 0o7777, 0o620);
    assert!(meta("pipe").file_type().is_fifo());
    assert_eq!((meta("deep/er").mode() & 0o7777, meta("deep").mtime()), (0o755, 0));
    assert!(fs::symlink_metadata(root.path().join("smuggled")).is_err(), "it would be a whiteout");
    let opened = Root::open(root.path()).unwrap();
    assert_eq!(opened.look(b"bin/tool").unwrap().unwrap().xattrs().unwrap(), [capability]);
    assert!(!is_opaque(&opened.look(b"bin").unwrap().unwrap(), "trusted.overlay.opaque").unwrap());
}

#[test]
fn nothing_outside_is_touched() {
    for in_place in [false, true] {
        let cases: &[&[(Entry, String)]] = &[
            &[link("out", Kind::Symlink, "../etc"), file("out/passwd", "evil")],
            &[link("out", Kind::Symlink, "/etc"), file("out/passwd", "evil")],
            &[link("a", Kind::Symlink, "b"), link("b", Kind::Symlink, "../etc"), file("a/passwd", "evil")],
            &[link("etc", Kind::Symlink, "../etc"), link("x", Kind::Hardlink, "etc/passwd")],
            &[link("x", Kind::Hardlink, "../etc/passwd")],
            &[file("../etc/passwd", "evil")],
            &[link("out", Kind::Symlink, "../etc"), bare("out/passwd", Kind::Whiteout)],
            &[link("out", Kind::Symlink, "../etc"), bare("out", Kind::Opaque)],
            &[link("out", Kind::Symlink, "../etc"), bare("out", Kind::Directory), file("out/passwd", "inside")],
            &[link("out", Kind::Symlink, "../etc/passwd"), file("out", "inside")],
            &[link("out", Kind::Symlink, "../etc"), link("deep", Kind::Symlink, "out"), bare("deep/x", Kind::Fifo)],
        ];
        for entries in cases {
            let (outside, root) = sentinel();
            let how = if in_place { how(Form::InPlace) } else { overlay(&[]) };
            // Whether it is refused or contained does not matter here.
            _ = into(&root, &how, entries);
            is_whole(outside.path());
        }
    }
}

#[test]
fn links_that_were_there_lead_out_no_more() {
    let (outside, root) = sentinel();
    symlink("../etc", root.join("out")).unwrap();
    symlink("../etc/passwd", root.join("file")).unwrap();
    let entries = [file("out/passwd", "evil"), file("file", "evil"), bare("gone", Kind::Whiteout)];
    into(&root, &how(Form::InPlace), &entries).unwrap();
    is_whole(outside.path());
    assert_eq!(listed(&root), ["etc/", "etc/passwd evil", "file evil", "out -> ../etc"]);
}

#[test]
fn a_link_put_in_the_way_is_not_followed() {
    let (outside, root) = sentinel();
    fs::create_dir(root.join("usr")).unwrap();
    let mut places = Places::new(&root, &Form::InPlace).unwrap();
    assert!(matches!(places.known(b"usr").unwrap(), places::Known::Folder { .. }));
    fs::remove_dir(root.join("usr")).unwrap();
    symlink("../etc", root.join("usr")).unwrap();
    assert!(places.spot(&Entry::new("usr/passwd", Kind::File)).is_err());
    is_whole(outside.path());
}

#[test]
fn layers_apply_one_after_the_other() {
    let root = tempfile::tempdir().unwrap();
    let first = [file("a/x", "1"), file("a/y", "1"), file("b/x", "1"), file("c", "1"), file("d/deep/x", "1"), file("o/x", "1")];
    let second = [
        bare("a/x", Kind::Whiteout),
        bare("b", Kind::Whiteout),
        file("b/new", "2"),
        file("c/now/a/folder", "2"),
        bare("d", Kind::Opaque),
        file("d/y", "2"),
        file("o/own", "2"),
        bare("o", Kind::Opaque),
    ];
    into(root.path(), &how(Form::InPlace), &first).unwrap();
    assert!(into(root.path(), &how(Form::InPlace), &second[3..4]).is_err(), "there is a file");
    fs::remove_file(root.path().join("c")).unwrap();
    into(root.path(), &how(Form::InPlace), &second).unwrap();
    let want =
        ["a/", "a/y 1", "b/", "b/new 2", "c/", "c/now/", "c/now/a/", "c/now/a/folder 2", "d/", "d/y 2", "o/", "o/own 2"].map(String::from);
    assert_eq!(listed(root.path()), want);
}

#[test]
fn hard_links_to_lower_files_get_a_copy() {
    let (lower, upper) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    into(lower.path(), &overlay(&[]), &[file("usr/bin/tool", "tool"), link("bin", Kind::Symlink, "usr/bin")]).unwrap();
    fs::set_permissions(lower.path().join("usr"), fs::Permissions::from_mode(0o711)).unwrap();
    let lowers = [lower.path()];
    into(upper.path(), &overlay(&lowers), &[link("bin/again", Kind::Hardlink, "bin/tool")]).unwrap();
    assert_eq!(listed(upper.path()), ["usr/", "usr/bin/", "usr/bin/again tool", "usr/bin/tool tool"]);
    let meta = |path: &str| fs::metadata(upper.path().join(path)).unwrap();
    assert_eq!(meta("usr/bin/again").ino(), meta("usr/bin/tool").ino());
    assert_eq!((meta("usr/bin/tool").mtime(), meta("usr").mode() & 0o7777), (1_600_000_000, 0o711), "as they were");
    assert!(into(upper.path(), &overlay(&lowers), &[link("x", Kind::Hardlink, "usr")]).is_err());
    assert!(into(upper.path(), &overlay(&lowers), &[link("x", Kind::Hardlink, "nothing")]).is_err());
}

#[test]
fn what_one_id_cannot_do_is_left_out() {
    let root = tempfile::tempdir().unwrap();
    let entries = [
        (Entry { uid: 1000, ..file("x", "1").0 }, "1".into()),
        (Entry { device: Some((1, 3)), ..Entry::new("null", Kind::CharDevice) }, String::new()),
        link("zero", Kind::Hardlink, "null"),
    ];
    let how = Unpacking { owners: false, privileged: false, ..overlay(&[]) };
    let done = into(root.path(), &how, &entries).unwrap();
    assert_eq!((done.skipped_devices, listed(root.path())), (2, vec!["x 1".to_owned()]));
    assert_eq!(fs::metadata(root.path().join("x")).unwrap().uid(), rustix::process::geteuid().as_raw());
}

#[test]
fn zeros_of_large_files_are_holes() {
    let root = tempfile::tempdir().unwrap();
    let mut content = "\0".repeat(4 << 20);
    content.push('x');
    content.push_str(&"\0".repeat(1 << 20));
    into(root.path(), &overlay(&[]), &[file("big", &content)]).unwrap();
    assert!(fs::read_to_string(root.path().join("big")).unwrap() == content);
    assert!(fs::metadata(root.path().join("big")).unwrap().blocks() * 512 < 1 << 20);
}

#[test]
fn damaged_layers_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let whole = tar(&[file("x", &"y".repeat(2000))]);
    for end in [100, 1000, 2000] {
        assert!(unpack(&mut &whole[..end], root.path(), &overlay(&[])).is_err(), "{end}");
    }
    assert!(unpack(&mut &b"no tar at all"[..], root.path(), &overlay(&[])).is_err());
    let circle = [link("a", Kind::Symlink, "b"), link("b", Kind::Symlink, "a"), file("a/x", "1")];
    assert!(into(root.path(), &overlay(&[]), &circle).unwrap_err().to_string().contains("circles"));
}

#[test]
fn trees_are_removed_however_deep_and_closed_they_are() {
    let outside = tempfile::tempdir().unwrap();
    let top = outside.path().join("top");
    fs::create_dir(&top).unwrap();
    symlink("../..", top.join("out")).unwrap();
    fs::write(outside.path().join("kept"), "1").unwrap();
    let mut at = rustix::fs::openat(rustix::fs::CWD, &top, rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).unwrap();
    for _ in 0..1500 {
        rustix::fs::mkdirat(&at, "d", 0o700.into()).unwrap();
        at = rustix::fs::openat(&at, "d", rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).unwrap();
    }
    fs::create_dir(top.join("closed")).unwrap();
    fs::write(top.join("closed/x"), "1").unwrap();
    fs::set_permissions(top.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    remove_tree(&top).unwrap();
    assert_eq!(listed(outside.path()), ["kept 1"]);
    remove_tree(&top).unwrap();
}

/// A line per node, with the index of the layer as content.
fn of_tree(tree: &Tree) -> Vec<String> {
    let line = |node: &crate::Node| {
        let name = node.entry.name();
        match node.entry.kind {
            Kind::Directory => format!("{name}/"),
            Kind::Symlink => format!("{name} -> {}", path_text(&node.entry)),
            _ => format!("{name} {}", node.layer),
        }
    };
    let mut lines: Vec<String> = tree.nodes().iter().map(line).collect();
    lines.sort();
    lines
}

fn path_text(entry: &Entry) -> String {
    crate::path::to_text(entry.link.as_deref().unwrap())
}

prop_compose! {
    fn any_entry(layer: usize)(
        path in proptest::sample::select(&["a", "b", "a/b", "b/a", "a/b/c", "b/a/c", "c/a/b", "c", "a/b/c/d"][..]),
        what in proptest::sample::select(&["", "", "/", "/", "-", "*", "> a", "> /b", "> ..", "> ../c", "> .", "> b/a/.."][..]),
    ) -> (Entry, String) {
        match what {
            "" => file(path, &layer.to_string()),
            "/" => bare(path, Kind::Directory),
            "-" => bare(path, Kind::Whiteout),
            "*" => bare(path, Kind::Opaque),
            _ => link(path, Kind::Symlink, &what[2..]),
        }
    }
}

fn any_layers() -> impl Strategy<Value = Vec<Vec<(Entry, String)>>> {
    let layer = |index| proptest::collection::vec(any_entry(index), 0..10);
    (1_usize..4).prop_flat_map(move |count| (0..count).map(layer).collect::<Vec<_>>())
}

fn tree_of(layers: &[Vec<(Entry, String)>]) -> Result<Tree> {
    Tree::new(layers.iter().map(|entries| {
        let tar = tar(entries);
        let mut reader = TarReader::new(tar.as_slice()).as_layer();
        std::iter::from_fn(|| reader.next_entry().unwrap()).collect::<Vec<_>>()
    }))
}

/// Where to unpack each of some layers.
fn folders(count: usize) -> (TempDir, Vec<PathBuf>) {
    let top = tempfile::tempdir().unwrap();
    let folders: Vec<PathBuf> = (0..count).map(|index| top.path().join(index.to_string())).collect();
    folders.iter().for_each(|folder| fs::create_dir(folder).unwrap());
    (top, folders)
}

/// Unpacks layers over one another as overlay lowers; the folders, topmost first.
fn stacked<'a>(folders: &'a [PathBuf], layers: &[Vec<(Entry, String)>]) -> Result<Vec<&'a Path>> {
    let mut lowers: Vec<&Path> = Vec::new();
    for (folder, entries) in folders.iter().zip(layers) {
        into(folder, &overlay(&lowers), entries)?;
        lowers.insert(0, folder);
    }
    Ok(lowers)
}

/// An overlay mount of folders, topmost first, for as long as it lives.
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    /// `None` where mounts are not possible.
    pub(crate) fn new(at: &Path, lowers: &[&Path], upper: Option<(&Path, &Path)>) -> Option<Self> {
        let lowers: Vec<String> = lowers.iter().map(|path| path.display().to_string()).collect();
        let mut options = format!("lowerdir={},redirect_dir=off,metacopy=off,index=off", lowers.join(":"));
        if let Some((upper, work)) = upper {
            options = format!("{options},upperdir={},workdir={}", upper.display(), work.display());
        }
        let mounted = std::process::Command::new("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(at).output().ok()?;
        mounted.status.success().then(|| Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Whether this machine lets overlays be mounted.
pub(crate) fn can_mount() -> bool {
    let (_top, folders) = folders(2);
    let possible = is_root() && Mounted::new(&folders[1], &[&folders[0], &folders[1]], None).is_some();
    if !possible {
        skip("overlay mounts are not possible here");
    }
    possible
}

#[test]
fn an_overlay_of_unpacked_layers_is_their_tree() {
    if !can_mount() {
        return;
    }
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(300));
    let run = runner.run(&any_layers(), |layers| {
        let (top, folders) = folders(layers.len());
        let (at, empty) = (top.path().join("at"), top.path().join("empty"));
        fs::create_dir(&at).unwrap();
        fs::create_dir(&empty).unwrap();
        let stacked = stacked(&folders, &layers);
        let tree = tree_of(&layers);
        prop_assert_eq!(stacked.is_ok(), tree.is_ok(), "{:?}", stacked);
        if let (Ok(mut lowers), Ok(tree)) = (stacked, tree) {
            // One folder alone cannot be mounted.
            lowers.push(&empty);
            let _mounted = Mounted::new(&at, &lowers, None).unwrap();
            prop_assert_eq!(listed(&at), of_tree(&tree));
        }
        Ok(())
    });
    run.unwrap();
}

#[test]
fn what_hides_goes_on_hiding_and_is_never_shown() {
    if !can_mount() {
        return;
    }
    let lower = || vec![file("a/x", "0"), file("c/a/b", "0"), file("f", "0")];
    let uppers = [
        vec![bare("a", Kind::Whiteout), bare("a", Kind::Directory)],
        vec![file("a", "1"), bare("a", Kind::Directory)],
        vec![bare("a", Kind::Whiteout), file("a/y", "1")],
        vec![bare("c/a/b", Kind::Whiteout), bare("c", Kind::Opaque)],
        vec![bare("c/a/b", Kind::Whiteout), bare("c", Kind::Whiteout)],
        vec![file("a/y", "1"), bare("", Kind::Opaque)],
        vec![file("new/y", "1"), bare("new/z", Kind::Whiteout), bare("f/z", Kind::Whiteout)],
    ];
    for upper in uppers {
        let layers = [lower(), upper, vec![file("last", "2")]];
        let (top, folders) = folders(3);
        let at = top.path().join("at");
        fs::create_dir(&at).unwrap();
        let _mounted = Mounted::new(&at, &stacked(&folders, &layers).unwrap(), None).unwrap();
        assert_eq!(listed(&at), of_tree(&tree_of(&layers).unwrap()), "{layers:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn layers_in_place_are_their_tree(layers in any_layers()) {
        let root = tempfile::tempdir().unwrap();
        let applied = layers.iter().try_for_each(|entries| into(root.path(), &how(Form::InPlace), entries).map(drop));
        let tree = tree_of(&layers);
        prop_assert_eq!(applied.is_ok(), tree.is_ok(), "{:?}", applied);
        if let Ok(tree) = tree {
            prop_assert_eq!(listed(root.path()), of_tree(&tree));
        }
    }
}
