//! The files of containers, as root. Skipped without root, runc and a static busybox.
#![allow(clippy::unwrap_used, reason = "tests")]

mod running;
#[path = "../support/mod.rs"]
mod support;

use std::{
    env,
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    process::Command,
};

use nacre_layer::{Compression, Entry, Kind, TarReader, TarWriter};
use nacre_oci::{Error, Memory, Staging, read_small};
use nacre_runtime::{Boot, ChangeKind, CopyIn, Files, Mount, MountKind, PathStat, Sandbox, Settings, container_folder};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use support::{Bench, can_run, file, folder, link};

/// A container that was never started.
struct Stopped {
    bench: Bench,
    sandbox: Sandbox,
    boot: Boot,
}

impl Stopped {
    fn new(mounts: Vec<Mount>) -> Self {
        let bench = Bench::new();
        let (root, program) = (bench.path().join("root"), bench.path().join("program"));
        let path = "/usr/sbin:/usr/bin:/sbin:/bin".into();
        let sandbox = Sandbox::open(Settings { program, root: root.clone(), runtime: None, path }).unwrap();
        let mut boot = Boot { id: "c".repeat(64), run: bench.script("true"), ..Boot::default() };
        boot.run.mounts = mounts;
        fs::create_dir_all(container_folder(&root, &boot.id)).unwrap();
        File::create(container_folder(&root, &boot.id).join("lock")).unwrap();
        Self { bench, sandbox, boot }
    }

    fn files(&self) -> Files<'_> {
        self.sandbox.files(&self.boot).unwrap()
    }

    fn home(&self) -> PathBuf {
        container_folder(&self.bench.path().join("root"), &self.boot.id)
    }
}

fn mount(target: &str, kind: MountKind) -> Mount {
    Mount { target: target.into(), readonly: false, kind }
}

fn volume(target: &str, name: &str) -> Mount {
    mount(target, MountKind::Volume(name.into()))
}

/// As `docker diff` prints them.
fn changes(files: &mut Files<'_>) -> Vec<String> {
    let line = |change: nacre_runtime::Change| {
        let kind = match change.kind {
            ChangeKind::Added => 'A',
            ChangeKind::Changed => 'C',
            ChangeKind::Deleted => 'D',
        };
        format!("{kind} /{}", String::from_utf8_lossy(&change.path))
    };
    files.changes().unwrap().into_iter().map(line).collect()
}

fn layer(files: &mut Files<'_>) -> Option<Vec<u8>> {
    let memory = Memory::new();
    let layer = files.layer(Compression::None, memory.stage().unwrap()).unwrap()?;
    Some(read_small(&memory, &layer.descriptor, u64::MAX).unwrap())
}

fn entries(tar: &[u8]) -> Vec<Entry> {
    let mut tar = TarReader::new(tar).as_layer();
    std::iter::from_fn(|| tar.next_entry().unwrap()).map(|member| member.entry).collect()
}

fn names(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(Entry::name).collect()
}

fn tar(entries: &[(Entry, &[u8])]) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    for (entry, content) in entries {
        tar.add(entry, &mut &**content).unwrap();
    }
    tar.finish().unwrap()
}

fn export(files: &mut Files<'_>) -> Vec<Entry> {
    let mut out = Vec::new();
    files.export(&mut out).unwrap();
    entries(&out)
}

/// The names in the archive of a path.
fn out(files: &mut Files<'_>, path: &str, follow: bool) -> Vec<String> {
    let mut out = Vec::new();
    files.copy_out(path, follow, &mut out).unwrap();
    names(&entries(&out))
}

fn copy_in(files: &mut Files<'_>, folder: &str, entries: &[(Entry, &[u8])]) -> Result<(), String> {
    files.copy_in(folder, &mut tar(entries).as_slice(), &CopyIn::default()).map_err(|error| error.to_string())
}

#[test]
fn a_layer_has_no_mount_points() {
    if !can_run() {
        return;
    }
    let stopped = Stopped::new(vec![volume("/made/vol", "0"), volume("/srv/vol", "1")]);
    let mut files = stopped.files();
    assert_eq!((changes(&mut files), layer(&mut files)), (Vec::new(), None));
    drop(files);
    // As a program and a killed monitor could have left it.
    let upper = stopped.home().join("upper");
    for folder in ["made/vol", "srv/vol", "etc", "proc", "dev", "sys"] {
        fs::create_dir_all(upper.join(folder)).unwrap();
    }
    for stub in ["etc/hosts", "etc/hostname", "etc/resolv.conf"] {
        fs::write(upper.join(stub), "").unwrap();
    }
    fs::write(upper.join("srv/new"), "new").unwrap();
    mknodat(CWD, upper.join("srv/a"), FileType::CharacterDevice, Mode::empty(), 0).unwrap();
    let mut files = stopped.files();
    assert_eq!(changes(&mut files), ["C /srv", "D /srv/a", "A /srv/new"]);
    let made = layer(&mut files).unwrap();
    let kinds: Vec<_> = entries(&made).iter().map(|entry| (entry.name(), entry.kind)).collect();
    assert_eq!(kinds, [("srv".into(), Kind::Directory), ("srv/a".into(), Kind::Whiteout), ("srv/new".into(), Kind::File)]);
    assert_eq!(layer(&mut files).unwrap(), made, "the same changes make the same layer");
}

#[test]
fn an_export_has_the_folders_of_volumes_but_nothing_in_them() {
    if !can_run() {
        return;
    }
    let stopped = Stopped::new(vec![volume("/home", "0"), volume("/vol", "1"), mount("/tmpfs", MountKind::Tmpfs(0))]);
    let mut files = stopped.files();
    copy_in(&mut files, "/vol", &[file("x", b"in a volume")]).unwrap();
    copy_in(&mut files, "/srv", &[file("x", b"in the root")]).unwrap();
    let names = names(&export(&mut files));
    let own: Vec<_> = names.iter().filter(|name| !name.starts_with("bin/")).map(String::as_str).collect();
    let want = [
        "bin",
        "dev",
        "etc",
        "etc/group",
        "etc/hostname",
        "etc/hosts",
        "etc/passwd",
        "etc/resolv.conf",
        "home",
        "home/diver",
        "proc",
        "srv",
        "srv/a",
        "srv/x",
        "sys",
        "tmp",
        "tmpfs",
        "vol",
    ];
    assert_eq!(own, want);
    // A volume that the image has a folder for begins as a copy of it, and stays.
    assert_eq!(out(&mut files, "/home", false), ["home", "home/diver"]);
    drop(files);
    let mut files = stopped.files();
    assert_eq!(out(&mut files, "/vol", false), ["vol", "vol/x"]);
    assert_eq!(changes(&mut files), ["C /srv", "A /srv/x"]);
    drop(files);
    // What a visit made is gone.
    assert_eq!(fs::read_dir(stopped.home().join("upper/etc")).unwrap().count(), 0);
    assert!(["proc", "dev", "sys", "vol", "tmpfs"].iter().all(|made| !stopped.home().join("upper").join(made).exists()));
    assert_eq!(stopped.bench.left(), [""; 0].map(PathBuf::from));
}

/// A container with links of all kinds.
fn with_links() -> Stopped {
    let mut stopped = Stopped::new(Vec::new());
    let more = [
        folder("srv/sub"),
        file("srv/sub/b", b"b"),
        link("srv/link", "sub"),
        link("srv/flink", "/srv/a"),
        link("srv/dangling", "/no/where"),
        link("srv/up", "../../../../../../etc"),
    ];
    let layer = stopped.bench.layer("more.tar", &more);
    stopped.boot.run.layers.push(layer);
    stopped
}

/// What Docker 20.10 answers to the same.
#[test]
fn paths_mean_what_they_mean_to_docker() {
    if !can_run() {
        return;
    }
    let stopped = with_links();
    let mut files = stopped.files();
    for (path, expected) in [
        ("/srv/sub", &["sub", "sub/b"][..]),
        ("srv/../srv/sub/", &["sub", "sub/b"]),
        ("/srv/sub/.", &["", "b"]),
        ("/srv/a", &["a"]),
        ("/srv/link", &["link"]),
        ("/srv/link/", &["link", "link/b"]),
        ("/srv/link/.", &["", "b"]),
        ("../../srv/link/b", &["b"]),
        ("/srv/dangling", &["dangling"]),
        ("/srv/up/passwd", &["passwd"]),
        ("/proc", &["proc"]),
    ] {
        assert_eq!(out(&mut files, path, false), expected, "{path}");
    }
    assert_eq!(out(&mut files, "/srv/link", true), ["link", "link/b"]);
    assert_eq!(out(&mut files, "/srv/flink", true), ["flink"]);
    for root in ["/", ".", "/."] {
        let all = out(&mut files, root, false);
        assert_eq!(all[..3], ["", "bin", "bin/busybox"], "{root}");
        assert!(all.contains(&"srv/sub/b".into()) && all.contains(&"proc".into()), "{all:?}");
    }
    let stat = |files: &mut Files<'_>, path: &str| {
        let PathStat { name, size, mode, link_target, .. } = files.stat(path).unwrap();
        (name, size, mode & 0o170_000, link_target)
    };
    assert_eq!(stat(&mut files, "/srv/a"), ("a".into(), 6, 0o100_000, String::new()));
    assert_eq!(stat(&mut files, "/srv/link"), ("link".into(), 3, 0o120_000, "/srv/sub".into()));
    assert_eq!(stat(&mut files, "/srv/dangling"), ("dangling".into(), 9, 0o120_000, "/no/where".into()));
    assert_eq!(stat(&mut files, "/srv/up").3, "/etc");
    for (path, name) in [("/srv/link/", "link"), ("/srv/sub/.", "."), ("/", "/"), (".", ".")] {
        let seen = stat(&mut files, path);
        assert_eq!((seen.0.as_str(), seen.2), (name, 0o040_000), "{path}");
    }
    for path in ["/nope", "/srv/nope/x", "/srv/dangling/", "/proc/self", "/dev/null"] {
        assert!(matches!(files.stat(path), Err(Error::NotFound { what }) if what == path), "{path}");
    }
    for path in ["/srv/a/", "/srv/a/x"] {
        let error = files.copy_out(path, false, &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("Not a directory"), "{error}");
    }
}

#[test]
fn what_is_copied_in_is_as_the_archive_says() {
    if !can_run() {
        return;
    }
    let stopped = with_links();
    let mut files = stopped.files();
    let theirs = |path: &str| (Entry { uid: 1000, gid: 1001, mode: 0o4711, ..file(path, b"1234567").0 }, &b"1234567"[..]);
    copy_in(&mut files, "/srv/link", &[theirs("x"), file(".wh.b", b"")]).unwrap();
    // Links that are there lead on in the container.
    copy_in(&mut files, "/srv", &[file("up/y", b"y")]).unwrap();
    let mut gzip = nacre_layer::Codec::Gzip.writer(Vec::new()).unwrap();
    std::io::Write::write_all(&mut gzip, &tar(&[theirs("packed")])).unwrap();
    let packed = gzip.finish().unwrap();
    files.copy_in("/srv", &mut packed.as_slice(), &CopyIn { as_user: true, ..CopyIn::default() }).unwrap();
    let expected = ["C /etc", "A /etc/y", "C /srv", "A /srv/packed", "C /srv/sub", "A /srv/sub/.wh.b", "A /srv/sub/x"];
    assert_eq!(changes(&mut files), expected);
    let meta = fs::metadata(stopped.home().join("upper/srv/sub/x")).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777, meta.mtime(), meta.len()), (1000, 1001, 0o4711, 1_700_000_000, 7));
    assert_eq!(fs::metadata(stopped.home().join("upper/srv/packed")).unwrap().uid(), 1000);
    let refused = |files: &mut Files<'_>, folder: &str, entry| copy_in(files, folder, &[entry]).unwrap_err();
    assert_eq!(refused(&mut files, "/nope", file("x", b"")), "/nope was not found");
    assert_eq!(refused(&mut files, "/srv/flink", file("x", b"")), "extraction point is not a directory");
    let error = refused(&mut files, "/srv", file("sub", b""));
    assert_eq!(error, "cannot overwrite directory \"/srv/sub\" with non-directory \"/srv\"");
    assert_eq!(refused(&mut files, "/srv", folder("a")), "cannot overwrite non-directory \"/srv/a\" with directory \"/srv\"");
    let cut = tar(&[theirs("cut")]);
    assert!(files.copy_in("/srv", &mut &cut[..600], &CopyIn::default()).is_err());
    // It goes on being answered.
    files.copy_in("/srv", &mut tar(&[file("sub", b"")]).as_slice(), &CopyIn { replace: true, ..CopyIn::default() }).unwrap();
    assert_eq!(out(&mut files, "/srv/sub", false), ["sub"]);
    drop(files);
    let mut stopped = stopped;
    stopped.boot.run.user = "diver".into();
    stopped.files().copy_in("/srv", &mut tar(&[theirs("divers")]).as_slice(), &CopyIn { as_user: true, ..CopyIn::default() }).unwrap();
    let meta = fs::metadata(stopped.home().join("upper/srv/divers")).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (1000, 1000));
}

#[test]
fn what_cannot_be_written_is_not() {
    if !can_run() {
        return;
    }
    let host = tempfile::tempdir().unwrap();
    let bind = MountKind::Bind { source: host.path().into(), create: false };
    let readonly = Mount { readonly: true, ..mount("/data", bind) };
    let mut stopped = Stopped::new(vec![readonly, volume("/vol", "0")]);
    stopped.boot.readonly = true;
    fs::write(host.path().join("x"), "of the host").unwrap();
    let mut files = stopped.files();
    assert_eq!(out(&mut files, "/data", false), ["data", "data/x"]);
    assert_eq!(copy_in(&mut files, "/srv", &[file("x", b"")]).unwrap_err(), "container rootfs is marked read-only");
    assert_eq!(copy_in(&mut files, "/data", &[file("y", b"")]).unwrap_err(), "mounted volume is marked read-only");
    copy_in(&mut files, "/vol", &[link("out", "/data"), file("y", b"")]).unwrap();
    let error = copy_in(&mut files, "/vol", &[file("out/y", b"")]).unwrap_err();
    assert!(error.contains("Read-only file system"), "{error}");
    assert_eq!(fs::read_dir(host.path()).unwrap().count(), 1);
}

/// Runs another of these tests in a mount namespace where it cannot have an overlay mount.
fn nested(test: &str, prepare: &str) {
    let script = format!("{prepare}; exec \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", &script, "sh"]).arg(env::current_exe().unwrap()).args(["--exact", "--ignored", test]);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

/// The same in every way of having a root filesystem.
fn check_fallback(warning: &str) {
    let stopped = with_links();
    // The store's root is itself on an overlay mount, which cannot take another one's upper folder.
    let script = "cd \"$1\"; mkdir x; mount -t tmpfs t x; mkdir x/u x/w x/l; cp -a root/. x/u; \
        mount -t overlay o -o lowerdir=x/l,upperdir=x/u,workdir=x/w root";
    assert!(Command::new("sh").args(["-ec", script, "sh"]).arg(stopped.bench.path()).status().unwrap().success());
    let mut files = stopped.files();
    assert!(files.warnings()[0].contains(warning), "{:?}", files.warnings());
    assert_eq!((changes(&mut files), layer(&mut files)), (Vec::new(), None));
    copy_in(&mut files, "/srv/link", &[file("x", b"x"), link("new", "x")]).unwrap();
    drop(files);
    let mut files = stopped.files();
    assert_eq!(changes(&mut files), ["C /srv", "C /srv/sub", "A /srv/sub/new", "A /srv/sub/x"]);
    assert_eq!(names(&entries(&layer(&mut files).unwrap())), ["srv", "srv/sub", "srv/sub/new", "srv/sub/x"]);
    assert!(names(&export(&mut files)).contains(&"srv/sub/x".into()));
    drop(files);
    assert!(Command::new("umount").current_dir(stopped.bench.path()).args(["root", "x"]).status().unwrap().success());
}

#[test]
fn fuse_overlayfs_shows_the_same() {
    if can_run() && nacre_tests::peers::available("fuse-overlayfs") {
        nested("with_fuse_overlayfs", ":");
    }
}

#[test]
fn a_copy_shows_the_same() {
    if can_run() {
        nested(
            "with_a_copy",
            "for p in /usr/bin /bin /usr/local/bin; do [ ! -e $p/fuse-overlayfs ] || mount --bind /dev/null $p/fuse-overlayfs; done",
        );
    }
}

#[test]
#[ignore = "run by another, in a mount namespace"]
fn with_fuse_overlayfs() {
    check_fallback("fuse-overlayfs is used");
}

#[test]
#[ignore = "run by another, in a mount namespace"]
fn with_a_copy() {
    check_fallback("is copied");
}
