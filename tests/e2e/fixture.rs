//! Stores with images of any age in them, and what has to hold of every store.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use nacre_oci::{Descriptor, Digest, Memory, Options, Select, Silent, copy};
use nacre_store::Acquired;
use nacre_tests::{
    images::{Recipe, image, layer},
    sandbox::{Output, Sandbox},
};

pub(crate) use crate::support::store;

/// RFC 3339, this many hours before now.
pub(crate) fn hours_ago(hours: i64) -> String {
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    (now - SignedDuration::from_hours(hours)).to_string()
}

/// Adds an image with a layer of its own, made `hours` ago, and returns its id.
pub(crate) fn add(sandbox: &Sandbox, names: &[&str], hours: i64) -> Digest {
    add_labelled(sandbox, names, hours, &[])
}

/// [`add`] with labels.
pub(crate) fn add_labelled(sandbox: &Sandbox, names: &[&str], hours: i64, labels: &[(&str, &str)]) -> Digest {
    let content = format!("{names:?} {hours} {labels:?}");
    let recipe = Recipe { created: &hours_ago(hours), labels, layers: vec![layer("content", content.as_bytes())], ..Recipe::default() };
    let memory = Memory::new();
    let root = image(&memory, &recipe);
    put(sandbox, &memory, &root, names)
}

/// Copies an image from memory into the store, as if it had been loaded.
pub(crate) fn put(sandbox: &Sandbox, memory: &Memory, root: &Descriptor, names: &[&str]) -> Digest {
    let store = store(sandbox);
    let session = store.session(Acquired::Loaded).unwrap();
    let options = Options { select: Select::Present, parallel: 1, progress: &Silent };
    let copied = copy(memory, &session, root, &[], &options).unwrap();
    store.add_image(&copied.root, Acquired::Loaded).unwrap();
    for name in names {
        store.tag(&name.parse().unwrap(), &root.digest).unwrap();
    }
    root.digest.clone()
}

/// Runs the binary for a user in Greenwich.
pub(crate) fn in_utc<S: AsRef<OsStr>>(sandbox: &Sandbox, arguments: impl IntoIterator<Item = S>) -> Output {
    let mut command = sandbox.command(arguments);
    command.env("TZ", "UTC0");
    sandbox.run(command, b"")
}

/// Makes the store believe that an image arrived, and was last used, this many hours ago.
pub(crate) fn arrived(sandbox: &Sandbox, id: &Digest, hours: i64) {
    let at = Timestamp::now().as_second() - hours * 3600;
    let db = rusqlite::Connection::open(sandbox.root().join("meta.db")).unwrap();
    let statement = "UPDATE images SET recorded = ?1, pulled = iif(pulled IS NULL, NULL, ?1), last_used = NULL WHERE digest = ?2";
    assert_eq!(db.execute(statement, rusqlite::params![at, id.to_string()]).unwrap(), 1);
}

/// Every image is there, whole and as its digests say, and there is nothing else.
#[track_caller]
pub(crate) fn assert_whole(sandbox: &Sandbox) {
    crate::support::whole(sandbox);
    let plan = store(sandbox).plan(Vec::new()).unwrap();
    assert_eq!((plan.blobs, plan.bytes), (0, 0), "something is left over");
}

/// Each file of the store with its content's digest, without compiled plugins and SQLite's shared memory.
pub(crate) fn tree(sandbox: &Sandbox) -> BTreeMap<PathBuf, Digest> {
    let mut files = BTreeMap::new();
    let mut open = vec![sandbox.root().to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
            let path = entry.path();
            if entry.file_name() == "cache" || entry.file_name() == "meta.db-shm" {
                continue;
            }
            if path.is_dir() { open.push(path) } else { _ = files.insert(path.clone(), Digest::of(&fs::read(&path).unwrap())) }
        }
    }
    files
}

/// The ids of the images that are there, sorted.
pub(crate) fn ids(sandbox: &Sandbox) -> Vec<Digest> {
    store(sandbox).images().unwrap().into_iter().map(|image| image.id).collect()
}

/// Installs the example plugin `name` as its users would.
pub(crate) fn install_example(sandbox: &Sandbox, name: &str) {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name).join("plugin.toml");
    install(sandbox, name, &fs::read_to_string(manifest).unwrap(), &guest("examples", &name.replace('-', "_")));
}

/// Puts a plugin into the plugins' folder.
pub(crate) fn install(sandbox: &Sandbox, folder: &str, manifest: &str, wasm: &[u8]) {
    let folder = sandbox.plugins().join(folder);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("plugin.toml"), manifest).unwrap();
    fs::write(folder.join("plugin.wasm"), wasm).unwrap();
}

/// The component `name` of the guest workspace `workspace`, a path below the repository.
pub(crate) fn guest(workspace: &str, name: &str) -> Vec<u8> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(workspace);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../guests");
    let built = nacre_bundled::guests::build(OsStr::new(env!("CARGO")), &workspace, &target).unwrap();
    fs::read(built.join(format!("{name}.wasm"))).unwrap()
}
