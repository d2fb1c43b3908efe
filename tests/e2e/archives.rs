//! `nacre save` and `nacre load`: what goes out comes back, and what is no archive is refused.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use nacre_oci::Memory;
use nacre_tests::{
    images::{self, Recipe},
    sandbox::Sandbox,
};

use crate::support::{place, place_multi_platform, store, whole};

/// A sandbox with a single image `one:1` that has a label, and its id.
fn with_one(label: &str) -> (Sandbox, String) {
    let (sandbox, memory) = (Sandbox::new(), Memory::new());
    let root = images::image(&memory, &Recipe { labels: &[("made", label)], ..Recipe::default() });
    place(&sandbox, &memory, &root, "one:1");
    (sandbox, root.digest.to_string())
}

#[test]
fn what_was_saved_is_loaded_digest_for_digest() {
    let (sandbox, fresh) = (Sandbox::new(), Sandbox::new());
    let digest = place_multi_platform(&sandbox, "busybox:1");
    let saved = sandbox.nacre(["save", "-o", "out.tar", "busybox:1"]).ok();
    assert_eq!(saved.stdout, "");
    assert!(saved.stderr.contains(": Saved\n"), "{}", saved.stderr);
    assert_eq!(fs::metadata(sandbox.path("out.tar")).unwrap().permissions().mode() & 0o777, 0o600);
    let loaded = fresh.nacre(["load", "-i", sandbox.path("out.tar").to_str().unwrap()]).ok();
    assert_eq!(loaded.stdout, "Loaded image: busybox:1\n");
    assert_eq!(store(&fresh).find("busybox:1").unwrap().image.id, digest);
    let again = fresh.nacre(["load", "-q", "-i", sandbox.path("out.tar").to_str().unwrap()]).ok();
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("Loaded image: busybox:1\n", ""));
    fresh.nacre(["save", "-o", "out.tar", "busybox:1"]).ok();
    assert!(fs::read(sandbox.path("out.tar")).unwrap() == fs::read(fresh.path("out.tar")).unwrap(), "the same image, other bytes");
    whole(&fresh);
    whole(&sandbox);
}

#[test]
fn a_pipe_carries_it_and_compressed_ones_are_read() {
    let (sandbox, _) = with_one("x");
    let shell = |line: &str| {
        let mut command = sandbox.command([""; 0]);
        let nacre = command.get_program().to_owned();
        command = Command::new("sh");
        command.args(["-c", line]).env("NACRE", nacre).current_dir(sandbox.path(""));
        command.env("NACRE_ROOT", sandbox.path("second")).env("NACRE_FIRST", sandbox.root());
        sandbox.run(command, b"").ok()
    };
    for through in ["cat", "gzip", "xz", "bzip2", "zstd"] {
        let loaded = shell(&format!("rm -rf second; $NACRE --root $NACRE_FIRST save one:1 | {through} | $NACRE load"));
        assert_eq!(loaded.stdout, "Loaded image: one:1\n", "{through}");
        shell(&format!("rm -rf second; $NACRE --root $NACRE_FIRST save one:1 | {through} > file; $NACRE load -i file"));
    }
    whole(&sandbox);
}

#[test]
fn names_go_along_as_they_were_given() {
    let (sandbox, id) = with_one("x");
    sandbox.nacre(["tag", "one:1", "one:2"]).ok();
    sandbox.nacre(["tag", "one:1", "example.com/team/other:3"]).ok();
    let load = |images: &[&str]| {
        let fresh = Sandbox::new();
        sandbox.nacre([&["save", "-o", "out.tar"], images].concat()).ok();
        let loaded = fresh.nacre(["load", "-q", "-i", sandbox.path("out.tar").to_str().unwrap()]).ok();
        whole(&fresh);
        loaded.stdout
    };
    assert_eq!(load(&["one:2"]), "Loaded image: one:2\n");
    assert_eq!(load(&["one"]), "Loaded image: one:1\nLoaded image: one:2\n");
    assert_eq!(load(&["example.com/team/other:3", "one:1"]), "Loaded image: example.com/team/other:3\nLoaded image: one:1\n");
    assert_eq!(load(&["one:1", "one:1"]), "Loaded image: one:1\n");
    assert_eq!(load(&[&id]), format!("Loaded image ID: {id}\n"));
    assert_eq!(load(&[&id[7..19]]), format!("Loaded image ID: {id}\n"));
}

#[test]
fn several_images_share_an_archive() {
    let (sandbox, fresh) = (Sandbox::new(), Sandbox::new());
    place_multi_platform(&sandbox, "busybox:1");
    let memory = Memory::new();
    place(&sandbox, &memory, &images::image(&memory, &Recipe { docker: true, ..Recipe::default() }), "other:2");
    sandbox.nacre(["save", "-o", "out.tar", "busybox:1", "other:2"]).ok();
    let loaded = fresh.nacre(["load", "-i", sandbox.path("out.tar").to_str().unwrap()]).ok();
    assert_eq!(loaded.stdout, "Loaded image: busybox:1\nLoaded image: other:2\n");
    let ids = |sandbox: &Sandbox| sandbox.nacre(["images", "-q", "--no-trunc"]).ok().stdout;
    assert_eq!(ids(&fresh), ids(&sandbox));
    whole(&fresh);
}

#[test]
fn one_platform_of_an_index_can_be_saved_and_loaded() {
    let (sandbox, fresh) = (Sandbox::new(), Sandbox::new());
    let digest = place_multi_platform(&sandbox, "busybox:1");
    sandbox.nacre(["save", "--platform", "linux/arm64", "-o", "out.tar", "busybox:1"]).ok();
    fresh.nacre(["load", "-i", sandbox.path("out.tar").to_str().unwrap()]).ok();
    let image = store(&fresh).find("busybox:1").unwrap().image;
    let here: Vec<String> = image.platforms.iter().filter(|(_, present)| *present).map(|(platform, _)| platform.to_string()).collect();
    assert_eq!((image.id, here), (digest, vec!["linux/arm64".to_owned()]));
    let refused = sandbox.nacre(["save", "--platform", "linux/s390x", "-o", "none.tar", "busybox:1"]).fails(1);
    assert!(refused.stderr.contains("linux/s390x") && refused.stderr.contains("linux/amd64, linux/arm64"), "{}", refused.stderr);
    assert!(!sandbox.path("none.tar").exists());
    whole(&fresh);
}

#[test]
fn a_name_that_is_taken_moves_and_the_old_image_stays() {
    let ((first, old), (second, new)) = (with_one("old"), with_one("new"));
    second.nacre(["save", "-o", "out.tar", "one:1"]).ok();
    let loaded = first.nacre(["load", "-i", second.path("out.tar").to_str().unwrap()]).ok();
    let said = format!("The image one:1 already exists, renaming the old one with ID {old} to empty string\nLoaded image: one:1\n");
    assert_eq!(loaded.stdout, said);
    assert_eq!(store(&first).find("one:1").unwrap().image.id.to_string(), new);
    assert!(store(&first).find(&old).unwrap().image.is_dangling());
    whole(&first);
}

#[test]
fn an_archive_that_cannot_be_finished_is_not_there() {
    let (sandbox, _) = with_one("x");
    let missing = sandbox.nacre(["save", "-o", "out.tar", "one:1", "two:2"]).fails(1);
    assert!(missing.stderr.contains("two:2") && missing.stderr.lines().count() == 1, "{}", missing.stderr);
    let nowhere = sandbox.nacre(["save", "-o", "no/such/out.tar", "one:1"]).fails(1);
    assert!(nowhere.stderr.contains("no/such"), "{}", nowhere.stderr);
    fs::write(sandbox.path("kept.tar"), "kept").unwrap();
    let digest = &store(&sandbox).find("one:1").unwrap().image.descriptor;
    let (_, document) = nacre_oci::read_document(&store(&sandbox), digest).unwrap();
    let layer = &document.children()[1].digest;
    fs::remove_file(sandbox.root().join("blobs/sha256").join(layer.hex())).unwrap();
    sandbox.nacre(["save", "-o", "kept.tar", "one:1"]).fails(1);
    assert_eq!(fs::read_to_string(sandbox.path("kept.tar")).unwrap(), "kept");
    let left: Vec<_> = fs::read_dir(sandbox.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("out")), "{left:?}");
    sandbox.nacre(["save"]).fails(2);
}

#[test]
fn what_is_no_archive_is_refused_and_leaves_nothing() {
    let (sandbox, _) = with_one("x");
    let fresh = Sandbox::new();
    sandbox.nacre(["save", "-o", "out.tar", "one:1"]).ok();
    let good = fs::read(sandbox.path("out.tar")).unwrap();
    let mut flipped = good.clone();
    let at = good.windows(6).position(|bytes| bytes == b"hello\n").unwrap();
    flipped[at] ^= 1;
    for (name, bytes) in [("empty", &b""[..]), ("text", b"no archive\n"), ("cut", &good[..good.len() / 2]), ("flipped", &flipped)] {
        fs::write(fresh.path(name), bytes).unwrap();
        let refused = fresh.nacre(["load", "-q", "-i", name]).fails(1);
        assert!(refused.stderr.contains(name) || name == "flipped", "{name}: {}", refused.stderr);
        assert!(refused.stderr.lines().count() == 1 && refused.stdout.is_empty(), "{name}: {}", refused.stderr);
        fresh.run(fresh.command(["load", "-q"]), bytes).fails(1);
        assert!(store(&fresh).images().unwrap().is_empty(), "{name} left an image");
    }
    let missing = fresh.nacre(["load", "-i", "no-such.tar"]).fails(1);
    assert!(missing.stderr.contains("no-such.tar") && missing.stderr.lines().count() == 1, "{}", missing.stderr);
    let left = fs::read_dir(fresh.root().join("ingest")).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file()).count();
    assert_eq!(left, 0, "temporary files were left behind");
    whole(&fresh);
}

#[test]
fn an_interrupted_save_or_load_leaves_nothing() {
    let (sandbox, memory) = (Sandbox::new(), Memory::new());
    let layers = vec![images::layer("large", &images::noise(4 << 20, 5))];
    place(&sandbox, &memory, &images::image(&memory, &Recipe { layers, ..Recipe::default() }), "one:1");
    sandbox.nacre(["save", "-o", "out.tar", "one:1"]).ok();
    let fresh = Sandbox::new();
    // Nothing comes any more after half of it, and nobody reads what is saved.
    let mut load = fresh.command(["load", "-q"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let bytes = fs::read(sandbox.path("out.tar")).unwrap();
    load.stdin.as_mut().unwrap().write_all(&bytes[..bytes.len() / 2]).unwrap();
    Command::new("kill").args(["-INT", &load.id().to_string()]).status().unwrap();
    // Its standard input stays open.
    let stdin = load.stdin.take();
    let ended = load.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(1), "nacre: cancelled\n"));
    drop(stdin);
    assert!(store(&fresh).images().unwrap().is_empty());
    whole(&fresh);
    fresh.nacre(["load", "-q", "-i", sandbox.path("out.tar").to_str().unwrap()]).ok();
    let left = fs::read_dir(fresh.root().join("ingest")).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file()).count();
    assert_eq!(left, 0, "temporary files were left behind");
}
