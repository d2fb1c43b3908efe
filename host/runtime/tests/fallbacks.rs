//! Where the kernel refuses an overlay mount. Skipped without root, runc and a static busybox.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use nacre_layer::Kind;
use nacre_runtime::{Exec, TreeLayer};
use nacre_tests::peers::available;
use support::{Bench, can_run, prepared};

/// The store's root is itself on an overlay mount, which cannot take another one's upper folder.
const NESTED: &str = "cd \"$1\"; mkdir -p x; mount -t tmpfs t x; mkdir -p keep x/u x/w x/l; \
    mount -t overlay o -o lowerdir=x/l,upperdir=x/u,workdir=x/w root; cd /";

/// The same result in two runs, the second of which stands on the first.
fn check(bench: &Bench, prepare: &str, warning: &str) {
    let first =
        bench.script("echo new > /srv/b; rm /srv/a; mkdir -m 0750 /data; chown 5:6 /data; ln /srv/b /srv/c; chmod 4755 /bin/busybox");
    let output = prepared(bench, prepare, &bench.command("first", first)).output().unwrap();
    let first = bench.ended("first", output);
    first.text();
    assert!(first.report["warnings"].to_string().contains(warning), "{}", first.report);
    assert_eq!(first.paths(), ["bin", "bin/busybox", "data", "srv", "srv/a", "srv/b", "srv/c"]);
    let of = |path: &str| first.layer.iter().find(|entry| entry.name() == path).unwrap();
    assert_eq!(of("srv/a").kind, Kind::Whiteout);
    assert_eq!(of("srv/c").kind, Kind::Hardlink);
    assert_eq!((of("data").uid, of("data").gid, of("data").mode), (5, 6, 0o750));
    let mut second = bench.script("cat /srv/b; ls /srv; stat -c '%a %u:%g' /data /bin/busybox");
    second.layers.push(TreeLayer { blob: bench.path().join("first/layer"), ..first.tree });
    let output = prepared(bench, prepare, &bench.command("second", second)).output().unwrap();
    let second = bench.ended("second", output);
    assert_eq!(second.text(), "new\nb\nc\n750 5:6\n4755 0:0\n");
    assert!(second.layer.is_empty(), "{:?}", second.layer);
    lives(bench, prepare, warning);
}

/// What a container has written is there when it is started again.
fn lives(bench: &Bench, prepare: &str, warning: &str) {
    let boot = bench.container(&"c".repeat(64), "test -e /srv/n || exec sleep 1000; cat /srv/n; ls /srv");
    let exec = Exec { args: ["sh", "-c", "echo new > /srv/n; rm /srv/a"].map(String::from).into(), ..Exec::default() };
    // What the mounts hide is not seen there.
    let prepare = format!("{prepare}; mkdir -p \"$1/root/containers/{id}\"; touch \"$1/root/containers/{id}/lock\"", id = boot.id);
    let output = prepared(bench, &prepare, &bench.lives("lives", &boot, exec)).output().unwrap();
    let ended = bench.ended("lives", output);
    assert!(ended.report["warnings"].to_string().contains(warning), "{}", ended.report);
    assert_eq!(ended.text(), "new\nn\n");
}

#[test]
fn fuse_overlayfs_does_it_more_slowly() {
    if !can_run() || !available("fuse-overlayfs") {
        return;
    }
    check(&Bench::new(), NESTED, "fuse-overlayfs is used");
}

#[test]
fn a_copy_does_it_everywhere() {
    if !can_run() {
        return;
    }
    let hidden = format!(
        "{NESTED}; for p in /usr/bin /bin /usr/local/bin; do [ ! -e $p/fuse-overlayfs ] || mount --bind /dev/null $p/fuse-overlayfs; done"
    );
    check(&Bench::new(), &hidden, "is copied");
}
