//! `nacre save --format`: what plugins write, and that it comes back as the same tree.

use std::fs;

use nacre_tests::{peers::available, sandbox::Sandbox};

use crate::{
    fixture::tree,
    support::{peer, place_multi_platform, whole},
    trees::{self, entries, expected, shell, tar_entries},
};

/// A sandbox with a tree and an image `app:1` of it.
fn with_image() -> Sandbox {
    let sandbox = Sandbox::new();
    trees::make(&sandbox);
    shell(&sandbox, "tar --sort=name -C tree -cf tree.tar .");
    sandbox.nacre(["import", "-q", "-c", "CMD [\"/bin/run\"]", "tree.tar", "app:1"]).ok();
    sandbox
}

#[test]
fn what_is_saved_in_a_format_comes_back_as_the_same_tree() {
    let sandbox = with_image();
    let wanted = expected(&sandbox);
    for (format, options) in [
        ("tarball", &[][..]),
        ("tarball", &["--opt", "compress=zstd"]),
        ("cpio", &[]),
        ("cpio", &["--opt", "compress=gzip"]),
        ("squashfs", &[]),
        ("squashfs", &["--opt", "compress=gzip"]),
        ("squashfs", &["--opt", "compress=xz"]),
        ("squashfs", &["--opt", "compress=lz4"]),
    ] {
        let save = |file: &str| sandbox.nacre([&["save", "--format", format, "-o", file, "app:1"], options].concat()).ok();
        let said = save("saved");
        assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", ""));
        save("again");
        assert!(fs::read(sandbox.path("saved")).unwrap() == fs::read(sandbox.path("again")).unwrap(), "{format} {options:?}: other bytes");
        sandbox.nacre(["import", "-q", "saved", "back:1"]).ok();
        assert_eq!(entries(&sandbox, "back:1"), wanted, "{format} {options:?}");
    }
    whole(&sandbox);
}

#[test]
fn other_programs_read_what_was_saved() {
    let sandbox = with_image();
    let wanted = expected(&sandbox);
    sandbox.nacre(["save", "--format", "tarball", "-o", "out.tar", "app:1"]).ok();
    assert_eq!(tar_entries(&fs::read(sandbox.path("out.tar")).unwrap()), wanted);
    for (tool, format, unpack) in [
        ("cpio", "cpio", "mkdir back && cd back && cpio --quiet -id --no-absolute-filenames < ../out.cpio"),
        ("unsquashfs", "squashfs", "unsquashfs -q -n -d back out.squashfs"),
    ] {
        if available(tool) {
            sandbox.nacre(["save", "--format", format, "-o", &format!("out.{format}"), "app:1"]).ok();
            shell(&sandbox, &format!("rm -rf back && ({unpack}) && diff -r --no-dereference tree back"));
        }
    }
}

#[test]
fn a_pipe_gets_the_same_bytes_as_a_file() {
    let sandbox = with_image();
    let nacre = sandbox.command([""; 0]).get_program().to_owned();
    sandbox.nacre(["save", "--format", "cpio", "-o", "file", "app:1"]).ok();
    let line = "\"$NACRE\" save --format cpio app:1 > pipe && cmp file pipe";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", line]).env("NACRE", nacre).env("NACRE_ROOT", sandbox.root()).env("HOME", sandbox.path("home"));
    command.current_dir(sandbox.path(""));
    sandbox.run(command, b"").ok();
}

#[test]
fn the_hosts_own_formats_have_names() {
    let sandbox = with_image();
    sandbox.nacre(["save", "-o", "default.tar", "app:1"]).ok();
    sandbox.nacre(["save", "--format", "docker-archive", "-o", "docker.tar", "app:1"]).ok();
    assert!(fs::read(sandbox.path("default.tar")).unwrap() == fs::read(sandbox.path("docker.tar")).unwrap());
    sandbox.nacre(["save", "--format", "oci-archive", "-o", "oci.tar", "app:1"]).ok();
    let fresh = Sandbox::new();
    fresh.nacre(["load", "-q", "-i", sandbox.path("oci.tar").to_str().unwrap()]).ok();
    assert_eq!(fresh.nacre(["images", "-q"]).ok().stdout, sandbox.nacre(["images", "-q"]).ok().stdout);
    if available("skopeo") {
        peer(&sandbox, "skopeo", &["inspect", "oci-archive:oci.tar"]);
    }
}

#[test]
fn one_platform_of_an_index_is_written() {
    let sandbox = Sandbox::new();
    place_multi_platform(&sandbox, "multi:1");
    sandbox.nacre(["save", "--format", "tarball", "--platform", "linux/arm64", "-o", "out.tar", "multi:1"]).ok();
    let found = tar_entries(&fs::read(sandbox.path("out.tar")).unwrap());
    assert_eq!(found.keys().filter(|path| !["bin", "etc"].contains(&path.as_str())).collect::<Vec<_>>(), ["bin/program", "etc/shared"]);
    let refused = sandbox.nacre(["save", "--format", "tarball", "--platform", "linux/s390x", "-o", "none.tar", "multi:1"]).fails(1);
    assert!(refused.stderr.contains("linux/s390x"), "{}", refused.stderr);
}

#[test]
fn what_cannot_be_saved_ends_in_one_line_and_leaves_no_file() {
    let sandbox = with_image();
    fs::write(sandbox.path("out"), "kept").unwrap();
    let known = "cpio, docker-archive, oci-archive, squashfs, tarball";
    for (arguments, part) in [
        (&["--format", "zip", "app:1"][..], format!("unknown export format 'zip': known are {known}")),
        (&["--format", "cpio", "app:1", "app:1"], "takes one image for one platform".into()),
        (&["--format", "cpio", "--all-platforms", "app:1"], "takes one image for one platform".into()),
        (&["--format", "cpio", "no-such:1"], "no-such:1".into()),
        (&["--format", "cpio", "--opt", "level=1", "app:1"], "unknown option 'level'".into()),
        (&["--format", "cpio", "--opt", "compress=rar", "app:1"], "compress".into()),
        (&["--opt", "compress=gzip", "app:1"], "the format docker-archive has none".into()),
    ] {
        let before = tree(&sandbox);
        let failed = sandbox.nacre([&["save", "-o", "out"], arguments].concat()).fails(1);
        assert!(failed.stderr.contains(&part) && failed.stderr.lines().count() == 1, "{arguments:?}: {}", failed.stderr);
        assert_eq!((failed.stdout.as_str(), tree(&sandbox)), ("", before), "{arguments:?}");
        assert_eq!(fs::read_to_string(sandbox.path("out")).unwrap(), "kept", "{arguments:?}");
    }
    let left =
        fs::read_dir(sandbox.path("")).unwrap().filter(|one| one.as_ref().unwrap().file_name().to_string_lossy().starts_with(".out"));
    assert_eq!(left.count(), 0, "temporary files were left behind");
}
