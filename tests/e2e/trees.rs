//! Trees of files that become images, and what images hold: read by other programs than nacre.

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Read, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use nacre_oci::{Descriptor, Digest, Document, read_document};
use nacre_tests::sandbox::Sandbox;

use crate::support::store;

/// When every file of the tree was changed last.
pub(crate) const MTIME: i64 = 1_700_000_000;

/// Makes the folder `tree` with files, folders, links and modes, all of them as old as [`MTIME`].
pub(crate) fn make(sandbox: &Sandbox) {
    let root = sandbox.path("tree");
    let file = |path: &str, content: &[u8], mode: u32| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    };
    file("bin/run", b"#!/bin/sh\necho hi\n", 0o755);
    file("etc/passwd", b"root:x:0:0::/root:/bin/sh\n", 0o644);
    file("etc/empty", b"", 0o600);
    file("usr/share/a name with blanks and \u{e9}", &nacre_tests::images::noise(300_000, 7), 0o644);
    file("usr/share/zeros", &vec![0; 200_000], 0o4711);
    symlink("../etc/passwd", root.join("bin/link")).unwrap();
    fs::hard_link(root.join("bin/run"), root.join("bin/same")).unwrap();
    fs::create_dir_all(root.join("var/empty")).unwrap();
    fs::set_permissions(root.join("var/empty"), PermissionsExt::from_mode(0o1777)).unwrap();
    shell(sandbox, &format!("find tree -depth -exec touch -h -d @{MTIME} {{}} +"));
}

/// Runs a line of shell in the sandbox's folder.
#[track_caller]
pub(crate) fn shell(sandbox: &Sandbox, line: &str) {
    let output = Command::new("sh").args(["-c", line]).current_dir(sandbox.path("")).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The manifest's layers of a single image.
pub(crate) fn layers(sandbox: &Sandbox, name: &str) -> Vec<Descriptor> {
    let (store, image) = (store(sandbox), store(sandbox).find(name).unwrap().image);
    let (_, Document::Manifest(manifest)) = read_document(&store, &image.descriptor).unwrap() else { panic!("{name} is an index") };
    manifest.layers
}

/// A blob's bytes, decompressed by the program for its media type.
pub(crate) fn plain(sandbox: &Sandbox, layer: &Descriptor) -> Vec<u8> {
    let bytes = fs::read(sandbox.root().join("blobs/sha256").join(layer.digest.hex())).unwrap();
    match layer.media_type.rsplit_once('+') {
        None => bytes,
        Some((_, "gzip")) => through("gzip", &["-dc"], bytes),
        Some((_, "zstd")) => through("zstd", &["-dc", "-q"], bytes),
        Some((_, other)) => panic!("a layer compressed with {other}"),
    }
}

fn through(program: &str, arguments: &[&str], input: Vec<u8>) -> Vec<u8> {
    let mut child = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{program} failed");
    output.stdout
}

/// What the image's only layer holds: for each path its kind, mode, owner, time, link and content.
pub(crate) fn entries(sandbox: &Sandbox, name: &str) -> BTreeMap<String, String> {
    let layers = layers(sandbox, name);
    assert_eq!(layers.len(), 1, "{name} has several layers");
    tar_entries(&plain(sandbox, &layers[0]))
}

/// The same of a tar archive. Of several names of one file the order does not matter, and the root itself is left out.
pub(crate) fn tar_entries(tar: &[u8]) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(Cursor::new(tar));
    let (mut found, mut contents) = (BTreeMap::new(), BTreeMap::new());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = tidy(&entry.path().unwrap());
        let header = entry.header().clone();
        let link = entry.link_name().unwrap().map(|link| link.to_string_lossy().into_owned());
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let kind = header.entry_type();
        let mut text = format!(
            "{:o} {}:{} {}",
            header.mode().unwrap() & 0o7777,
            header.uid().unwrap(),
            header.gid().unwrap(),
            header.mtime().unwrap()
        );
        if kind.is_hard_link() {
            // The same file as the one that came before.
            let first: &String = &contents[&tidy(Path::new(&link.unwrap()))];
            text = first.clone();
        } else if kind.is_symlink() {
            text = format!("link {} {}", link.unwrap(), text.split_once(' ').unwrap().1);
        } else if kind.is_dir() {
            text = format!("folder {text}");
        } else {
            text = format!("file {text} {} {}", content.len(), Digest::of(&content).short());
            contents.insert(path.clone(), text.clone());
        }
        if !path.is_empty() {
            found.insert(path, text);
        }
    }
    found
}

fn tidy(path: &Path) -> String {
    path.to_string_lossy().trim_start_matches("./").trim_matches('/').trim_start_matches('.').to_owned()
}

/// What the tree itself holds, by GNU tar.
pub(crate) fn expected(sandbox: &Sandbox) -> BTreeMap<String, String> {
    shell(sandbox, "tar --sort=name -C tree -cf expected.tar .");
    tar_entries(&fs::read(sandbox.path("expected.tar")).unwrap())
}
