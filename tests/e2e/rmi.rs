//! `nacre rmi` and `nacre image rm`: Docker's rules, line by line.

use nacre_oci::{Digest, Memory};
use nacre_tests::{
    images::{Recipe, image, layer, multi_platform},
    sandbox::Sandbox,
};

use crate::fixture::{add, assert_whole, ids, put, store};

/// Removes and expects exactly this on standard output, and the exit code that `stderr` asks for.
#[track_caller]
fn removes(sandbox: &Sandbox, arguments: &[&str], stdout: &[String], stderr: &str) {
    let output = sandbox.nacre(["rmi"].iter().chain(arguments)).fails(i32::from(!stderr.is_empty()));
    assert_eq!((output.lines(), output.stderr.as_str()), (stdout.iter().map(String::as_str).collect(), stderr), "{arguments:?}");
    assert_whole(sandbox);
}

fn untagged(name: &str) -> String {
    format!("Untagged: {name}")
}

/// What goes with an image that [`add`] made: it and its one layer.
fn deleted(sandbox: &Sandbox, id: &Digest) -> Vec<String> {
    let image = store(sandbox).image(id).unwrap().unwrap();
    let raw = nacre_oci::read_small(&store(sandbox), &image.descriptor, 1 << 20).unwrap();
    let manifest: nacre_oci::Manifest = serde_json::from_slice(&raw).unwrap();
    vec![format!("Deleted: {id}"), format!("Deleted: {}", manifest.layers[0].digest)]
}

#[test]
fn by_tag_while_others_remain() {
    let sandbox = Sandbox::new();
    let id = add(&sandbox, &["acme/web:1", "acme/web:2", "other:1"], 1);
    let gone = deleted(&sandbox, &id);
    removes(&sandbox, &["acme/web:1"], &[untagged("acme/web:1")], "");
    removes(&sandbox, &["docker.io/library/other:1"], &[untagged("other:1")], "");
    removes(&sandbox, &["acme/web:2"], &[vec![untagged("acme/web:2")], gone].concat(), "");
    assert_eq!(ids(&sandbox), []);
}

#[test]
fn the_last_tag_of_a_repository_takes_its_digest_references() {
    let sandbox = Sandbox::new();
    let id = add(&sandbox, &["acme/web:v1", "acme/web:v2", "other:1"], 1);
    for name in ["acme/web", "other"] {
        store(&sandbox).tag(&format!("{name}@{id}").parse().unwrap(), &id).unwrap();
    }
    removes(&sandbox, &["acme/web:v1"], &[untagged("acme/web:v1")], "");
    removes(&sandbox, &["acme/web:v2"], &[untagged("acme/web:v2"), untagged(&format!("acme/web@{id}"))], "");
    let gone = [vec![untagged("other:1"), untagged(&format!("other@{id}"))], deleted(&sandbox, &id)].concat();
    removes(&sandbox, &["other:1"], &gone, "");
}

#[test]
fn by_id() {
    let sandbox = Sandbox::new();
    let one = add(&sandbox, &["one:1"], 1);
    let gone = [vec![untagged("one:1")], deleted(&sandbox, &one)].concat();
    removes(&sandbox, &[one.short()], &gone, "");

    let two = add(&sandbox, &["two:1", "two:2"], 1);
    let gone = [vec![untagged("two:1"), untagged("two:2")], deleted(&sandbox, &two)].concat();
    let refused =
        format!("nacre: conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories\n", two.short());
    removes(&sandbox, &[two.short()], &[], &refused);
    removes(&sandbox, &[&two.to_string()], &[], &refused);
    removes(&sandbox, &["-f", two.short()], &gone, "");

    let dangling = add(&sandbox, &[], 1);
    let gone = deleted(&sandbox, &dangling);
    removes(&sandbox, &[&dangling.to_string()[..15]], &gone, "");
    assert_eq!(ids(&sandbox), []);
}

#[test]
fn shared_layers_stay() {
    let sandbox = Sandbox::new();
    let memory = Memory::new();
    let shared = layer("shared", b"shared");
    let with = |own: &[u8]| image(&memory, &Recipe { layers: vec![shared.clone(), layer("own", own)], ..Recipe::default() });
    let (a, b) = (with(b"a"), with(b"b"));
    put(&sandbox, &memory, &a, &["a:1"]);
    put(&sandbox, &memory, &b, &["b:1"]);
    let own = Digest::of(&layer("own", b"a"));
    removes(&sandbox, &["a:1"], &[untagged("a:1"), format!("Deleted: {}", a.digest), format!("Deleted: {own}")], "");
    assert_eq!(ids(&sandbox), [b.digest]);
}

#[test]
fn an_index_goes_with_its_parts() {
    let sandbox = Sandbox::new();
    let memory = Memory::new();
    let index = multi_platform(&memory);
    put(&sandbox, &memory, &index, &["app:1"]);
    let output = sandbox.nacre(["image", "rm", "app:1"]).ok();
    assert_eq!(output.lines()[..2], [untagged("app:1"), format!("Deleted: {}", index.digest)]);
    assert_eq!(output.lines().len(), 2 + 3, "three layers: {}", output.stdout);
    assert_eq!(ids(&sandbox), []);
    assert_whole(&sandbox);
}

#[test]
fn what_is_missing() {
    let sandbox = Sandbox::new();
    let id = add(&sandbox, &["here:1"], 1);
    let line = "nacre: image 'ghost' was not found\n";
    removes(&sandbox, &["ghost"], &[], line);
    let forced = sandbox.nacre(["rmi", "-f", "ghost"]).ok();
    assert_eq!((forced.stdout.as_str(), forced.stderr.as_str()), ("", line));
    // The others are tried.
    let gone = [vec![untagged("here:1")], deleted(&sandbox, &id)].concat();
    removes(&sandbox, &["ghost", "here:1"], &gone, line);
    removes(&sandbox, &["BAD"], &[], "nacre: invalid reference 'BAD': the repository must be lower case\n");
}

#[test]
fn pinned_images_stay() {
    let sandbox = Sandbox::new();
    let id = add(&sandbox, &["base:1", "base:2"], 1);
    assert_eq!(sandbox.nacre(["pin", "base:1"]).ok().stdout, "base:1\n");
    removes(&sandbox, &["base:1"], &[untagged("base:1")], "");
    let line = "nacre: conflict: image base:2 is pinned; unpin it first\n";
    for arguments in [&["base:2"][..], &["-f", "base:2"], &["-f", id.short()]] {
        removes(&sandbox, arguments, &[], line);
    }
    assert_eq!(sandbox.nacre(["image", "unpin", id.short()]).ok().lines(), [id.short()]);
    sandbox.nacre(["rmi", "base:2"]).ok();
    assert_eq!(ids(&sandbox), []);
    add(&sandbox, &["new:1"], 1);
    let missing = sandbox.nacre(["pin", "base:2", "new:1"]).fails(1);
    assert_eq!((missing.stdout.as_str(), missing.stderr.as_str()), ("new:1\n", "nacre: image 'base:2' was not found\n"));
}

#[test]
fn short_ids_may_be_ambiguous() {
    let sandbox = Sandbox::new();
    (0..40).for_each(|n| _ = add(&sandbox, &[], n));
    let all = ids(&sandbox);
    let digit = |id: &Digest| id.short()[..1].to_owned();
    let twice = all.iter().map(digit).find(|d| all.iter().filter(|id| digit(id) == *d).count() > 1).unwrap();
    let count = all.iter().filter(|id| digit(id) == twice).count();
    let line = format!("nacre: ambiguous reference '{twice}': {count} images match; use more digits or a name\n");
    removes(&sandbox, &[&twice], &[], &line);
    assert_eq!(ids(&sandbox).len(), 40);
}
