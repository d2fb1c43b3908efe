//! Layouts as folders in which something is not what it should be.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use nacre_oci::Digest;

use super::table;

/// A name and what it does to an honest layout.
pub(super) type Spoil = (&'static str, fn(&Path));

/// The manifest, config and layer; each is spoilt in each way.
pub(super) const FOLDERS: &[Spoil] = &[
    ("honest", |_| {}),
    ("the manifest is a link out", |at| link_out(&blob(at, 0))),
    ("the config is a link out", |at| link_out(&blob(at, 1))),
    ("the layer is a link out", |at| link_out(&blob(at, 2))),
    ("the layer is a link to itself, elsewhere", |at| {
        fs::rename(blob(at, 2), at.join("kept")).unwrap();
        symlink("../../kept", blob(at, 2)).unwrap();
    }),
    ("the manifest is a FIFO", |at| fifo(&blob(at, 0))),
    ("the config is a FIFO", |at| fifo(&blob(at, 1))),
    ("the layer is a FIFO", |at| fifo(&blob(at, 2))),
    ("the layer is a folder", |at| folder(&blob(at, 2))),
    ("the layer is /dev/zero", |at| link(&blob(at, 2), "/dev/zero")),
    ("the layer is gone", |at| fs::remove_file(blob(at, 2)).unwrap()),
    ("the layer is empty", |at| fs::write(blob(at, 2), "").unwrap()),
    ("the layer is longer", |at| fs::write(blob(at, 2), vec![0; 1 << 20]).unwrap()),
    ("the manifest is endless", |at| sparse(&blob(at, 0))),
    ("the layer is endless", |at| sparse(&blob(at, 2))),
    ("blobs is a link", |at| moved(at, "blobs")),
    ("sha256 is a link", |at| moved(at, "blobs/sha256")),
    ("index.json is a FIFO", |at| fifo(&at.join("index.json"))),
    ("index.json is a link out", |at| link_out(&at.join("index.json"))),
    ("index.json is endless", |at| sparse(&at.join("index.json"))),
    ("oci-layout is a FIFO", |at| fifo(&at.join("oci-layout"))),
    ("oci-layout is a folder", |at| folder(&at.join("oci-layout"))),
    ("oci-layout is endless", |at| sparse(&at.join("oci-layout"))),
    ("oci-layout is a device", |at| link(&at.join("oci-layout"), "/dev/zero")),
];

/// Writes an honest layout.
pub(super) fn honest(at: &Path) {
    fs::create_dir_all(at.join("blobs/sha256")).unwrap();
    let blobs = table::blobs();
    fs::write(at.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    fs::write(at.join("index.json"), table::index_of(&blobs[0]).to_string()).unwrap();
    blobs.iter().for_each(|bytes| fs::write(at.join("blobs/sha256").join(Digest::of(bytes).hex()), bytes).unwrap());
}

fn blob(at: &Path, number: usize) -> PathBuf {
    at.join("blobs/sha256").join(Digest::of(&table::blobs()[number]).hex())
}

fn link(path: &Path, target: &str) {
    fs::remove_file(path).unwrap();
    symlink(target, path).unwrap();
}

fn link_out(path: &Path) {
    link(path, "../outside/a");
}

fn fifo(path: &Path) {
    fs::remove_file(path).unwrap();
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn folder(path: &Path) {
    fs::remove_file(path).unwrap();
    fs::create_dir(path).unwrap();
}

/// A terabyte that takes no room.
fn sparse(path: &Path) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(1 << 40).unwrap();
}

fn moved(at: &Path, name: &str) {
    fs::rename(at.join(name), at.join("elsewhere")).unwrap();
    symlink(at.join("elsewhere"), at.join(name)).unwrap();
}
