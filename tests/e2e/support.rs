//! What several modules need: images in a sandbox's store, whether it is whole, and what skopeo says of a place.

use std::process::{Command, Stdio};

use nacre_oci::{Descriptor, Digest, Memory, Select, copy, validate};
use nacre_store::{Acquired, Store};
use nacre_tests::{conformance::everything, images, sandbox::Sandbox};

/// The sandbox's store, opened beside whatever runs in it.
pub(crate) fn store(sandbox: &Sandbox) -> Store {
    Store::open(sandbox.root()).unwrap()
}

/// Puts an image into the sandbox's store under a name.
pub(crate) fn place(sandbox: &Sandbox, from: &Memory, root: &Descriptor, name: &str) {
    let store = store(sandbox);
    let session = store.session(Acquired::Loaded).unwrap();
    let copied = copy(from, &session, root, &[], &everything()).unwrap();
    store.add_tagged(&name.parse().unwrap(), &copied.root, Acquired::Loaded).unwrap();
}

/// Puts an image for amd64 and arm64 into the sandbox's store; returns the digest of its index.
pub(crate) fn place_multi_platform(sandbox: &Sandbox, name: &str) -> Digest {
    let memory = Memory::new();
    let root = images::multi_platform(&memory);
    place(sandbox, &memory, &root, name);
    root.digest
}

/// Every image of the store has to be there to the last byte, as far as it was fetched.
#[track_caller]
pub(crate) fn whole(sandbox: &Sandbox) {
    let store = store(sandbox);
    for image in store.images().unwrap() {
        validate(&store, &image.descriptor, &Select::Present).unwrap_or_else(|e| panic!("{}: {e}", image.id));
    }
}

/// Runs a peer in the sandbox's folder, with nobody's credentials, and returns what it printed.
#[track_caller]
pub(crate) fn peer(sandbox: &Sandbox, program: &str, arguments: &[&str]) -> Vec<u8> {
    let (home, auth) = (sandbox.path("peer"), sandbox.path("peer/auth.json"));
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(&auth, "{}").unwrap();
    let mut command = Command::new(program);
    command.args(arguments).current_dir(sandbox.path("")).stdin(Stdio::null());
    command.env("HOME", &home).env("TMPDIR", &home).env("REGISTRY_AUTH_FILE", &auth);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The digest of the document that skopeo finds at a place such as `docker://HOST/NAME`.
#[track_caller]
pub(crate) fn skopeo_digest(sandbox: &Sandbox, place: &str) -> Digest {
    Digest::of(&peer(sandbox, "skopeo", &["inspect", "--raw", "--tls-verify=false", place]))
}
