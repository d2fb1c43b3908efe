//! Admission rules: they are asked before anything happens to an image, one denial is enough, and what fails denies.

use std::fs;

use nacre_oci::read_document;
use nacre_tests::sandbox::{Output, Sandbox};

use crate::{
    fixture::{add, add_labelled, assert_whole, ids, install, tree},
    support::{store, whole},
    trees::shell,
};

/// A sandbox with an image `app:1` that was made a day ago, and a configuration.
fn with(config: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    add(&sandbox, &["app:1"], 24);
    configure(&sandbox, config);
    sandbox
}

fn configure(sandbox: &Sandbox, config: &str) {
    fs::write(sandbox.config(), config).unwrap();
}

/// The command fails in this one line, and the store is as it was.
#[track_caller]
fn denied(sandbox: &Sandbox, arguments: &[&str], line: &str) {
    let before = tree(sandbox);
    let output: Output = sandbox.nacre(arguments).fails(1);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", format!("nacre: {line}\n").as_str()), "{arguments:?}");
    assert_eq!(tree(sandbox), before, "{arguments:?} changed something");
}

const ONLY_ACME: &str = "[plugins.rules]\nallow = [\"ghcr.io/acme/*\"]\ncontact = \"ask platform@acme.com\"\n";
const WHY: &str = "denied by nacre/rules: it is none of the allowed images, which are ghcr.io/acme/* (ask platform@acme.com)";

#[test]
fn without_rules_nobody_is_asked() {
    let sandbox = with("");
    sandbox.nacre(["tag", "app:1", "other:1"]).ok();
    sandbox.nacre(["rmi", "other:1"]).ok();
    assert!(!sandbox.root().join("cache").exists(), "a plugin was compiled");
}

#[test]
fn a_pull_is_denied_before_a_layer_moves() {
    let (remote, sandbox) = (with(""), with(ONLY_ACME));
    let server = remote.serve();
    let name = server.name("app:1");
    denied(&sandbox, &["pull", "-q", &name], &format!("pulling {name} is {WHY}"));
    denied(&sandbox, &["copy", "-q", &format!("docker://{name}"), "oci:out"], &format!("pulling {name} is {WHY}"));
    // Of each only the config.
    assert_eq!(server.log().matches("GET /v2/app/blobs/").count(), 2, "{}", server.log());
    let (_, document) = read_document(&store(&remote), &store(&remote).find("app:1").unwrap().image.descriptor).unwrap();
    assert!(!server.log().contains(document.children()[1].digest.hex()), "{}", server.log());
    configure(&sandbox, &format!("[plugins.rules]\nallow = [\"{}/*\"]\nmax-age = \"2d\"\n", server.address()));
    sandbox.nacre(["pull", "-q", &name]).ok();
    whole(&sandbox);
}

#[test]
fn a_push_is_denied_before_a_layer_moves() {
    let (remote, sandbox) = (Sandbox::new(), with(""));
    let server = remote.serve();
    let name = server.name("app:1");
    sandbox.nacre(["tag", "app:1", &name]).ok();
    configure(&sandbox, ONLY_ACME);
    denied(&sandbox, &["push", "-q", &name], &format!("pushing {name} is {WHY}"));
    denied(&sandbox, &["copy", "-q", "app:1", &format!("docker://{name}")], &format!("pushing {name} is {WHY}"));
    assert_eq!(server.log().lines().count(), 1, "{}", server.log());
}

#[test]
fn names_that_are_given_are_reviewed() {
    let sandbox = with("");
    sandbox.nacre(["save", "-o", "app.tar", "app:1"]).ok();
    // The formats are compiled.
    sandbox.nacre(["import", "-q", "app.tar", "first:1"]).ok();
    configure(&sandbox, ONLY_ACME);
    denied(&sandbox, &["tag", "app:1", "other:1"], &format!("tagging docker.io/library/other:1 is {WHY}"));
    denied(&sandbox, &["load", "-q", "-i", "app.tar"], &format!("loading docker.io/library/app:1 is {WHY}"));
    denied(&sandbox, &["copy", "-q", "docker-archive:app.tar", "b:1"], &format!("loading docker.io/library/b:1 is {WHY}"));
    denied(&sandbox, &["copy", "-q", "app:1", "b:1"], &format!("tagging docker.io/library/b:1 is {WHY}"));
    shell(&sandbox, "echo x > x; tar -cf x.tar x");
    denied(&sandbox, &["import", "-q", "x.tar", "x:1"], &format!("importing docker.io/library/x:1 is {WHY}"));
    sandbox.nacre(["tag", "app:1", "ghcr.io/acme/app:1"]).ok();
    sandbox.nacre(["import", "-q", "x.tar", "ghcr.io/acme/x:1"]).ok();
    let nameless = sandbox.nacre(["import", "-q", "x.tar"]).fails(1);
    assert!(nameless.stderr.contains("it has no name, and only named images are allowed"), "{}", nameless.stderr);
}

#[test]
fn each_rule_is_checked_against_the_image_itself() {
    let sandbox = with("");
    add_labelled(&sandbox, &["good:1"], 1, &[("team", "web")]);
    for (rules, app, good) in [
        ("required-labels = [\"team=web\"]", "it lacks the label team=web", true),
        ("max-age = \"12h\"", "it was made 1 day ago, more than 12h", true),
        ("max-size = \"1kB\"", "more than 1kB", false),
        ("forbid-root = true", "its containers run as root", false),
    ] {
        configure(&sandbox, &format!("[plugins.rules]\n{rules}\n"));
        let refused = sandbox.nacre(["tag", "app:1", "copy:1"]).fails(1);
        assert!(refused.stderr.contains(app) && refused.stderr.lines().count() == 1, "{rules}: {}", refused.stderr);
        assert_eq!(sandbox.nacre(["tag", "good:1", "copy:2"]).code, Some(i32::from(!good)), "{rules}");
    }
}

#[test]
fn a_digest_is_demanded_of_a_pull() {
    let (remote, sandbox) = (with(""), with("[plugins.rules]\nrequire-digest = true\n"));
    let server = remote.serve();
    let name = server.name("app:1");
    let tagged = sandbox.nacre(["pull", "-q", &name]).fails(1);
    assert!(tagged.stderr.contains("it is not named by digest: write NAME@sha256:"), "{}", tagged.stderr);
    let digest = store(&remote).find("app:1").unwrap().image.id;
    sandbox.nacre(["pull", "-q", &format!("{}@{digest}", server.name("app"))]).ok();
}

#[test]
fn a_rule_about_removal_keeps_images() {
    let rule = "[[plugins.rules.rule]]\nname = \"production\"\nimages = [\"docker.io/library/app\"]\noperations = [\"remove\"]\ndeny = [\"**\"]\nmessage = \"CI removes them\"\n";
    let sandbox = with(&format!("[plugins.rules]\ncontact = \"ask CI\"\n{rule}"));
    let id = add(&sandbox, &["other:1"], 48);
    let why = "denied by nacre/rules: production: ** is denied; CI removes them (ask CI)";
    denied(&sandbox, &["rmi", "app:1"], &format!("removing app:1 is {why}"));
    denied(&sandbox, &["rmi", "-f", "app:1"], &format!("removing app:1 is {why}"));
    let plan = sandbox.nacre(["image", "prune", "-a", "--dry-run"]).ok();
    assert!(plan.stdout.contains("keep") && plan.stdout.contains(why), "{}", plan.stdout);
    configure(&sandbox, "");
    sandbox.nacre(["image", "prune", "-a", "--plan", "plan.json"]).ok();
    configure(&sandbox, &format!("[plugins.rules]\ncontact = \"ask CI\"\n{rule}"));
    let applied = sandbox.nacre(["image", "prune", "-f", "--apply", "plan.json"]).ok();
    assert!(applied.stderr.contains(why), "{}", applied.stderr);
    assert!(applied.stdout.contains(&format!("deleted: {id}")), "{}", applied.stdout);
    assert_eq!(ids(&sandbox).len(), 1);
    assert_whole(&sandbox);
}

#[test]
fn a_damaged_image_can_still_be_removed() {
    let sandbox = with("[plugins.rules]\nforbid-root = true\n[[plugins.rules.rule]]\noperations = [\"remove\"]\nmax-size = \"1GB\"\n");
    let image = store(&sandbox).find("app:1").unwrap().image;
    fs::remove_file(sandbox.root().join("blobs/sha256").join(image.id.hex())).unwrap();
    sandbox.nacre(["rmi", "app:1"]).ok();
}

#[test]
fn what_is_required_and_missing_denies() {
    let sandbox = with("[admission]\nrequired = [\"rules\", \"scanner\"]\n");
    let text = "denied because the admission plugin 'scanner', which the configuration requires, is not there or cannot be read (see 'nacre plugin ls')";
    denied(&sandbox, &["tag", "app:1", "b:1"], &format!("tagging docker.io/library/b:1 is {text}"));
    denied(&sandbox, &["rmi", "app:1"], &format!("removing app:1 is {text}"));
    configure(&sandbox, "[admission]\nrequired = [\"rules\"]\n");
    sandbox.nacre(["tag", "app:1", "b:1"]).ok();
}

#[test]
fn settings_that_cannot_be_read_deny() {
    let sandbox = with("[plugins.rules]\nalow = [\"ghcr.io\"]\n");
    let refused = sandbox.nacre(["tag", "app:1", "b:1"]).fails(1);
    let part = "denied because a rule could not be asked: plugin nacre/rules: ";
    assert!(refused.stderr.contains(part) && refused.stderr.contains("unknown field `alow`"), "{}", refused.stderr);
    assert_eq!(refused.stderr.lines().count(), 1);
}

#[test]
fn a_rule_may_warn_and_another_deny() {
    let sandbox = with("[[plugins.rules.rule]]\nname = \"latest\"\ndeny = [\"**:latest\"]\nwarn = true\n");
    let warned = sandbox.nacre(["tag", "app:1", "b"]).ok();
    let what = "tagging docker.io/library/b:latest";
    let help = "whoever looks after 'deny' of [plugins.rules] in nacre's configuration can change it";
    assert_eq!(warned.stderr, format!("nacre: nacre/rules warns about {what}: latest: **:latest is denied ({help})\n"));
    assert!(store(&sandbox).find("b").is_ok());
    let manifest = "plugin = { name = \"acme/never\", version = \"1.0.0\", api = \"0.1\" }\nprovides = { admission = [\"never\"] }\n";
    // It exports nothing of the kind.
    let (_, wasm) = nacre_bundled::PLUGINS.iter().find(|(text, _)| text.contains("\"nacre/standard-prune\"")).unwrap();
    install(&sandbox, "never", manifest, wasm);
    let refused = sandbox.nacre(["tag", "app:1", "c:1"]).fails(1);
    assert!(refused.stderr.contains("denied because a rule could not be asked: plugin acme/never: "), "{}", refused.stderr);
}
