//! The author's kit: from `plugin new` to a plugin that is used, in every language; and every example, built, tested,
//! pushed to a registry, installed from there under another root, and used.
//!
//! The languages' tools lie in `target/tools`, where `cargo xtask setup` puts them, or on the path.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use nacre_oci::{Digest, Memory};
use nacre_tests::{
    images::{Recipe, image, layer},
    peers::available_on,
    sandbox::{Output, Sandbox},
};

use crate::{fixture::add, support::place};

const TOOLS: [&str; 2] = ["target/tools/python/bin", "target/tools/js/node_modules/.bin"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The languages' tools, and what else is on the path.
fn path() -> Vec<PathBuf> {
    let inherited = env::var_os("PATH").unwrap_or_default();
    TOOLS.iter().map(|tools| root().join(tools)).chain(env::split_paths(&inherited)).collect()
}

/// A command of an author: with the tools, and what they need of a real home. Nothing is fetched.
fn author(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let mut command: Command = sandbox.command(arguments);
    command.env("PATH", env::join_paths(path()).unwrap()).env("CARGO_NET_OFFLINE", "true");
    command.env("CARGO_TARGET_DIR", root().join("target/guests")).env("ZIG_GLOBAL_CACHE_DIR", root().join("target/tools/zig"));
    for name in ["HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
        env::var_os(name).into_iter().for_each(|value| _ = command.env(name, value));
    }
    sandbox.run(command, b"")
}

/// Whether a language can be built here; where it must be, it is.
fn has(lang: &str) -> bool {
    let program = match lang {
        "python" => "componentize-py",
        "js" => "jco",
        "c" => "python-zig",
        _ => "cargo",
    };
    available_on(program, &env::join_paths(path()).unwrap())
}

/// Makes a project, builds and tests it.
fn begin(sandbox: &Sandbox, name: &str, world: &str, lang: &str) {
    sandbox.nacre(["plugin", "new", &format!("acme/{name}"), "--world", world, "--lang", lang]).ok();
    author(sandbox, &["plugin", "build", name]).ok();
    let tested = sandbox.nacre(["plugin", "test", name]).ok();
    assert!(tested.stdout.starts_with("ok   interfaces\nok   first ("), "{}", tested.stdout);
}

/// A new prune policy is installed and decides.
fn policy_in(lang: &str) {
    if !has(lang) {
        return;
    }
    let sandbox = Sandbox::new();
    begin(&sandbox, "first", "prune-policy", lang);
    sandbox.nacre(["plugin", "install", "first"]).ok();
    fs::remove_dir_all(sandbox.path("first")).unwrap();
    add(&sandbox, &["old:1"], 24 * 50);
    crate::fixture::arrived(&sandbox, &crate::fixture::ids(&sandbox)[0], 24 * 40);
    add(&sandbox, &["new:1"], 24 * 5);
    let pruned = sandbox.nacre(["image", "prune", "--force", "--policy", "first,days=35"]).ok();
    assert!(pruned.stdout.contains("old:1") && !pruned.stdout.contains("new:1"), "{}", pruned.stdout);
}

#[test]
fn a_policy_begun_in_rust() {
    policy_in("rust");
}

#[test]
fn a_policy_begun_in_python() {
    policy_in("python");
}

#[test]
fn a_policy_begun_in_javascript() {
    policy_in("js");
}

#[test]
fn a_policy_begun_in_c() {
    policy_in("c");
}

#[test]
fn every_world_begins_with_something_that_works() {
    for lang in ["c", "js"].into_iter().filter(|lang| has(lang)) {
        for world in ["search-filter", "admission", "import-format", "export-format", "build-frontend", "command"] {
            let sandbox = Sandbox::new();
            if lang == "js" && ["import-format", "export-format"].contains(&world) {
                let said = sandbox.nacre(["plugin", "new", "x", "--world", world, "--lang", lang]).fails(1).stderr;
                assert!(said.contains("use rust, python or c"), "{said}");
                continue;
            }
            begin(&sandbox, "first", world, lang);
        }
    }
}

/// What an example's sources are: a component that was built of the same ones need not be built again.
fn sources(folder: &Path) -> Digest {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files.retain(|file| !file.ends_with("plugin.wasm"));
    let wit = root().join("wit");
    files.extend(fs::read_dir(wit).unwrap().map(|entry| entry.unwrap().path()));
    let contents: Vec<u8> = files.iter().flat_map(|file| fs::read(file).unwrap()).collect();
    Digest::of(&contents)
}

/// Copies a folder's files and folders.
fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_tree(&entry.path(), &target),
            false => _ = fs::copy(entry.path(), target).unwrap(),
        }
    }
}

/// Brings a built example to the sandbox, as `NAME`.
fn example(sandbox: &Sandbox, name: &str) {
    let (source, here) = (root().join("examples").join(name), sandbox.path(name));
    if source.join("Cargo.toml").is_file() {
        // It lies in a workspace beside the SDK, and cargo knows what is fresh.
        author(sandbox, &["plugin", "build", source.to_str().unwrap()]).ok();
        return copy_tree(&source, &here);
    }
    copy_tree(&source, &here);
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples").join(format!("{name}-{}", sources(&source).hex()));
    if !kept.is_file() {
        author(sandbox, &["plugin", "build", name]).ok();
        fs::create_dir_all(kept.parent().unwrap()).unwrap();
        fs::copy(here.join("plugin.wasm"), kept.with_extension("new")).unwrap();
        fs::rename(kept.with_extension("new"), &kept).unwrap();
    }
    fs::copy(kept, here.join("plugin.wasm")).unwrap();
}

/// An example's way from its author to a user, who gets a sandbox of his own; `None` if it cannot be built here.
pub(crate) fn published(name: &str, lang: &str) -> Option<Sandbox> {
    if !has(lang) {
        return None;
    }
    let (author, user) = (Sandbox::new(), Sandbox::new());
    example(&author, name);
    let tested = author.nacre(["plugin", "test", name]).ok().stdout;
    let cases = fs::read_dir(author.path(name).join("cases")).unwrap().count();
    assert_eq!(tested.lines().filter(|line| line.starts_with("ok   ")).count(), cases + 1, "{tested}");
    let server = author.serve();
    let reference = server.name(&format!("plugins/{name}:1"));
    author.nacre(["plugin", "push", name, &reference]).ok();
    user.nacre(["plugin", "install", "--yes", &reference]).ok();
    user.nacre(["plugin", "verify", name]).ok();
    Some(user)
}

/// An image with one file in the sandbox's store, made in 2026.
fn one_image(sandbox: &Sandbox, name: &str) {
    let memory = Memory::new();
    let root = image(&memory, &Recipe { layers: vec![layer("etc/hello", &[b'x'; 3000])], ..Recipe::default() });
    place(sandbox, &memory, &root, name);
}

/// A registry with two repositories, searched by the user.
fn search(user: &Sandbox, filter: &str) -> String {
    let registry = Sandbox::new();
    one_image(&registry, "team/web:1");
    one_image(&registry, "acme/web-tools:1");
    let server = registry.serve();
    user.nacre(["search", "--format", "{{.Name}}", "--filter", filter, &server.name("web")]).ok().stdout
}

#[test]
fn approved_only_shows_what_is_approved() {
    let Some(user) = published("approved-only", "rust") else { return };
    let found = search(&user, "approved=true");
    assert!(found.contains("acme/web-tools") && !found.contains("team/web"), "{found}");
}

#[test]
fn ranker_sorts_by_fit() {
    let Some(user) = published("ranker", "python") else { return };
    let found = search(&user, "rank=fit");
    let at = |name| found.find(name).unwrap_or_else(|| panic!("{found}"));
    assert!(at("team/web") < at("acme/web-tools"), "{found}");
    let wrong = user.nacre(["search", "--filter", "rank=best", "localhost:1/web"]);
    assert_ne!(wrong.code, Some(0));
}

#[test]
fn team_retention_keeps_releases() {
    let Some(user) = published("team-retention", "rust") else { return };
    let builds = add(&user, &["web:ci-1"], 24 * 300);
    crate::fixture::arrived(&user, &builds, 24 * 200);
    add(&user, &["web:v1.0.0"], 24 * 301);
    let pruned = user.nacre(["image", "prune", "--force", "--policy", "team-retention"]).ok().stdout;
    assert!(pruned.contains("web:ci-1") && !pruned.contains("v1.0.0"), "{pruned}");
}

#[test]
fn weekly_keeps_the_newest_of_each_week() {
    let Some(user) = published("weekly", "python") else { return };
    add(&user, &["db:1"], 24 * 90);
    add(&user, &["db:2"], 1);
    let pruned = user.nacre(["image", "prune", "--force", "--policy", "weekly,weeks=2"]).ok().stdout;
    assert!(pruned.contains("db:1") && !pruned.contains("db:2"), "{pruned}");
    // A call that was recorded is a case of its own.
    user.nacre(["image", "prune", "--dry-run", "--policy", "weekly", "--record", "calls"]).ok();
    let input = user.path("calls/acme-weekly-1/input.json");
    let answer: serde_json::Value = serde_json::from_slice(&fs::read(input.with_file_name("output.json")).unwrap()).unwrap();
    let again = user.nacre(["plugin", "run", "weekly", "--input", input.to_str().unwrap()]).ok().stdout;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&again).unwrap(), answer);
    assert_eq!(answer["ok"][0]["action"], "keep");
    let unknown = user.nacre(["image", "prune", "--force", "--policy", "weekly,days=2"]).fails(1).stderr;
    assert!(unknown.contains("unknown option 'days'"), "{unknown}");
}

#[test]
fn ci_tags_takes_names_away() {
    let Some(user) = published("ci-tags", "c") else { return };
    add(&user, &["web:ci-1"], 24 * 9);
    add(&user, &["web:2.0.0"], 24 * 9);
    user.nacre(["image", "prune", "--force", "--policy", "ci-tags"]).ok();
    let left = user.nacre(["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok().stdout;
    assert!(left.contains("web:2.0.0") && !left.contains("ci-1"), "{left}");
}

#[test]
fn no_root_refuses_an_image_of_root() {
    let Some(user) = published("no-root", "rust") else { return };
    let registry = Sandbox::new();
    one_image(&registry, "team/web:1");
    let server = registry.serve();
    let said = user.nacre(["pull", &server.name("team/web:1")]).fails(1).stderr;
    assert!(said.contains("run as root"), "{said}");
    let allow = format!("[plugins.no-root]\nallow = [\"{}/*\"]\n", server.address());
    fs::write(user.config(), allow).unwrap();
    user.nacre(["pull", &server.name("team/web:1")]).ok();
}

#[test]
fn office_hours_close_the_production_registry() {
    let Some(user) = published("office-hours", "js") else { return };
    let registry = Sandbox::new();
    let server = registry.serve();
    let name = server.name("team/web:1");
    one_image(&user, &name);
    let hours = |first: u32, last: u32| {
        let settings = format!("[plugins.office-hours]\nregistry = \"{}\"\nfirst-hour = {first}\nlast-hour = {last}\n", server.address());
        fs::write(user.config(), settings).unwrap();
        user.nacre(["push", &name])
    };
    let closed = hours(0, 0).fails(1).stderr;
    assert!(closed.contains("takes images from Monday to Friday, 0 to 0 UTC"), "{closed}");
    fs::write(user.config(), "").unwrap();
    user.nacre(["push", &name]).ok();
}

#[test]
fn apk_imports_a_package() {
    let Some(user) = published("apk", "rust") else { return };
    let package = root().join("examples/apk/cases/hello/hello.apk");
    user.nacre(["import", package.to_str().unwrap(), "hello:1"]).ok();
    assert_eq!(user.nacre(["cat", "hello:1", "etc/hello.conf"]).ok().stdout, "who=world\n");
    let history = user.nacre(["history", "--no-trunc", "hello:1"]).ok().stdout;
    assert!(history.contains("apk add hello=1.0-r0"), "{history}");
}

#[test]
fn mtree_lists_files() {
    let Some(user) = published("mtree", "rust") else { return };
    one_image(&user, "web:1");
    user.nacre(["save", "--format", "mtree", "-o", "web.mtree", "web:1"]).ok();
    let list = fs::read_to_string(user.path("web.mtree")).unwrap();
    assert!(list.contains("\n./etc/hello type=file mode=0644 uid=0 gid=0 time=0.000000000 size=3000\n"), "{list}");
}

#[test]
fn layer_sizes_is_a_command() {
    let Some(user) = published("layer-sizes", "rust") else { return };
    one_image(&user, "web:1");
    let table = user.nacre(["layer-sizes", "--over", "1kB", "--format", "json"]).ok().stdout;
    assert!(table.contains("docker.io/library/web:1"), "{table}");
}

#[test]
fn a_wrong_answer_is_shown_by_its_place() {
    let Some(user) = published("no-root", "rust") else { return };
    drop(user);
    let sandbox = Sandbox::new();
    example(&sandbox, "no-root");
    let output = sandbox.path("no-root/cases/user/output.json");
    fs::write(&output, "{\"ok\": {\"deny\": []}}").unwrap();
    let failed = sandbox.nacre(["plugin", "test", "no-root"]).fails(1).stdout;
    assert!(failed.contains("FAIL user: .ok: want {\"deny\":[]}, got \"allow\""), "{failed}");
    sandbox.nacre(["plugin", "test", "--update", "no-root"]).ok();
    assert_eq!(fs::read_to_string(&output).unwrap(), "{\n  \"ok\": \"allow\"\n}\n");
    let input = sandbox.path("no-root/cases/root/input.json");
    let answer = sandbox.nacre(["plugin", "run", "no-root", "--world", "admission", "--input", input.to_str().unwrap()]).ok().stdout;
    assert!(answer.contains("run as root"), "{answer}");
    let json = sandbox.nacre(["plugin", "bench", "no-root", "-n", "2", "--format", "json"]).ok().stdout;
    assert_eq!(json.lines().count(), 3, "{json}");
}

#[test]
fn what_is_missing_is_said() {
    let sandbox = Sandbox::new();
    sandbox.nacre(["plugin", "new", "x", "--world", "prune-policy", "--lang", "python"]).ok();
    let mut command = sandbox.command(["plugin", "build", "x"]);
    command.env("PATH", "/nonexistent");
    let said = sandbox.run(command, b"").fails(1).stderr;
    assert_eq!(said, "nacre: componentize-py is not installed: pip install componentize-py==0.25.1\n");
    let said = sandbox.nacre(["plugin", "test", "x"]).fails(1).stderr;
    assert!(said.contains("plugin.wasm"), "{said}");
    let said = sandbox.nacre(["plugin", "build", "."]).fails(1).stderr;
    assert!(said.contains("plugin.toml"), "{said}");
}
