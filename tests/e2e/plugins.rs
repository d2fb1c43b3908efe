//! `nacre plugin`, and what a bad plugin does to a command: one line that names it, and nothing else.

use std::fs;

use nacre_tests::sandbox::{Output, Sandbox};
use serde_json::Value;

use crate::fixture::{add, assert_whole, guest, install, install_example, tree};

const MANIFEST: &str = r#"
plugin = { name = "acme/bad", version = "1.0.0", api = "0.1" }
provides = { search-filter = ["do"], prune-policy = ["bad"] }
options = { do = "what to do wrong" }
limits = { time = "1s" }
settings = { colour = "red" }
"#;

const REPORT: &str = "report it to its author";

/// The refused and failing end of a command: one line, nothing on standard output, the store as it was.
#[track_caller]
fn refused(sandbox: &Sandbox, run: impl FnOnce() -> Output, line: &str) {
    let before = tree(sandbox);
    let output = run().fails(1);
    assert_eq!((output.stdout.as_str(), output.stderr), ("", format!("nacre: {line}\n")));
    assert_eq!(tree(sandbox), before, "{}", output.command);
}

fn with_misbehave() -> Sandbox {
    let sandbox = Sandbox::new();
    install(&sandbox, "bad", MANIFEST, &guest("tests/guests", "misbehave"));
    (1..=3).for_each(|n| _ = add(&sandbox, &[&format!("web{n}:1")], n));
    sandbox
}

#[test]
fn bundled_plugins_are_listed_and_shown() {
    let sandbox = Sandbox::new();
    let output = sandbox.nacre(["plugin", "ls", "--format", "{{.Name}} {{.Provides}} {{.Origin}}"]).ok();
    let bundled = nacre_bundled::PLUGINS.len();
    assert_eq!(output.lines().len(), bundled);
    for expected in [
        "nacre/cpio import-format cpio, export-format cpio bundled",
        "nacre/hub-filters search-filter is-official, search-filter stars, search-filter is-automated bundled",
        "nacre/keep-last prune-policy keep-last bundled",
        "nacre/rules admission rules bundled",
        "nacre/tree command tree bundled",
    ] {
        assert!(output.lines().contains(&expected), "{expected}");
    }
    let table = sandbox.nacre(["plugin", "list"]).ok();
    assert!(table.stdout.starts_with("NAME  ") && table.lines().len() == bundled + 1, "{}", table.stdout);

    let all: Value = serde_json::from_str(&sandbox.nacre(["plugin", "inspect", "keep-last"]).ok().stdout).unwrap();
    assert_eq!((&all[0]["plugin"]["name"], &all[0]["origin"]), (&"nacre/keep-last".into(), &"bundled".into()));
    assert_eq!(all[0]["exports"], Value::from(vec!["nacre:plugin/prune@0.1.0"]));
    assert_eq!((&all[0]["limits"]["time"], &all[0]["problem"]), (&"20 s".into(), &Value::Null));
    let digest = all[0]["digest"].as_str().unwrap();
    let shown = sandbox.nacre(["plugin", "inspect", "-f", "{{.digest}} {{.options.keep}}", "nacre/keep-last"]).ok();
    assert_eq!(shown.stdout, format!("{digest} how many of each repository to keep (default 5)\n"));
    assert!(!sandbox.root().exists(), "nothing was compiled, no store was made");
}

#[test]
fn unknown_plugins_are_named_and_the_others_shown() {
    let sandbox = Sandbox::new();
    let output = sandbox.nacre(["plugin", "inspect", "-f", "{{.plugin.name}}", "ghost", "keep-last"]).fails(1);
    assert_eq!(output.stdout, "nacre/keep-last\n");
    let said = output.stderr;
    assert!(said.starts_with("nacre: unknown plugin 'ghost': known are nacre/") && said.contains(", nacre/keep-last, "), "{said}");
}

#[test]
fn a_folder_without_a_plugin_stops_no_other() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.plugins().join("broken")).unwrap();
    fs::write(sandbox.plugins().join("broken/plugin.toml"), "plugin = 1\n").unwrap();
    install_example(&sandbox, "team-retention");
    let output = sandbox.nacre(["plugin", "ls", "--format", "{{.Name}} {{.Version}}"]).ok();
    assert_eq!((output.lines()[0], output.lines().len()), ("acme/team-retention 1.0.0", nacre_bundled::PLUGINS.len() + 1));
    assert!(output.stderr.starts_with("nacre: plugin broken: plugin.toml: line 1: "), "{}", output.stderr);
    assert_eq!(output.stderr.lines().count(), 1);
    sandbox.nacre(["image", "prune", "-f", "--policy", "team-retention"]).ok();
    let unknown = sandbox.nacre(["image", "prune", "-f", "--policy", "x"]).fails(1);
    assert!(
        unknown.stderr.ends_with("standard, team-retention; one plugin could not be read: see nacre plugin ls\n"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn a_policy_that_misbehaves() {
    let sandbox = with_misbehave();
    let unused = format!("nothing of its answer was used; {REPORT}");
    for (what, line) in [
        ("unknown-index", format!("returned index 4294967295 for 3 inputs; {unused}")),
        ("twice", format!("returned index 0 twice; {unused}")),
        ("long-reason", format!("returned a reason of 1001 bytes, more than 1000; {unused}")),
        ("loop", format!("took longer than 1 s: raise [limits] time in its plugin.toml or {REPORT}")),
    ] {
        let prune = || sandbox.nacre(["image", "prune", "-f", "--policy", "keep-last,keep=0", "--policy", &format!("bad,do={what}")]);
        refused(&sandbox, prune, &format!("plugin acme/bad: {line}"));
    }
    assert_whole(&sandbox);
}

#[test]
fn a_filter_that_misbehaves() {
    let sandbox = with_misbehave();
    let server = sandbox.serve();
    let search = |what: &str| sandbox.nacre(["search", &server.name("web"), "--filter", &format!("do={what}")]);
    let unused = format!("nothing of its answer was used; {REPORT}");
    for (what, line) in [
        ("loop", format!("took longer than 1 s: raise [limits] time in its plugin.toml or {REPORT}")),
        ("memory", format!("needs more than 64 MiB: raise [limits] memory in its plugin.toml or {REPORT}")),
        ("recursion", format!("crashed: it used memory that is not there, as recursion without end does; {REPORT}")),
        ("panic", format!("crashed: index 7 is out of cheese; {REPORT}")),
        ("exit", format!("crashed: it called exit(1); {REPORT}")),
        ("unknown-index", format!("returned index 3 for 3 inputs; {unused}")),
        ("flood", format!("returned 10000 results for 3 inputs; {unused}")),
        ("nan", format!("returned a score that is no finite number; {unused}")),
        ("huge-note", format!("returned more data than fits an answer; {unused}")),
        ("error", "no\\x1b[31m luck".into()),
    ] {
        refused(&sandbox, || search(what), &format!("plugin acme/bad: {line}"));
    }
    let calm = search("log-flood").ok();
    assert_eq!((calm.lines().len(), calm.stderr.as_str()), (2, ""));
}

#[test]
fn what_cannot_be_run() {
    let sandbox = Sandbox::new();
    add(&sandbox, &[], 1);
    let prune = || sandbox.nacre(["image", "prune", "-f", "--policy", "bad"]);
    let broken =
        "unknown prune policy 'bad': known are keep-last, least-recently-used, standard; one plugin could not be read: see nacre plugin ls";
    let imports = r#"(component (import "wasi:sockets/tcp@0.2.0" (instance)) (instance $i)
        (export "nacre:plugin/search@0.1.0" (instance $i)) (export "nacre:plugin/prune@0.1.0" (instance $i)))"#;
    let text = |text: &str| wat::parse_str(text).unwrap();
    for (manifest, wasm, line) in [
        (
            MANIFEST.to_owned(),
            text(imports),
            "plugin acme/bad: imports wasi:sockets/tcp@0.2.0, which no capability in its plugin.toml allows: nothing of it was run",
        ),
        (
            MANIFEST.to_owned(),
            text("(module)"),
            "plugin acme/bad: plugin.wasm is a core module, not a component: build it for the target wasm32-wasip2",
        ),
        (MANIFEST.replace("0.1\"", "0.9\""), text("(component)"), broken),
        (format!("{MANIFEST}capabilities = {{ net = [\"*\"] }}"), text("(component)"), broken),
    ] {
        install(&sandbox, "bad", &manifest, &wasm);
        refused(&sandbox, prune, line);
    }
    let said = sandbox.nacre(["plugin", "ls"]).ok().stderr;
    assert!(said.starts_with("nacre: plugin bad: plugin.toml: net = \"*\": only a build frontend can ask for all hosts"), "{said}");
    install(&sandbox, "bad", MANIFEST, &text(imports));
    let problem = sandbox.nacre(["plugin", "inspect", "-f", "{{.problem}} {{json .imports}}", "acme/bad"]).ok();
    assert!(problem.stdout.starts_with("imports wasi:sockets/tcp@0.2.0, which no capability"), "{}", problem.stdout);
    fs::remove_file(sandbox.plugins().join("bad/plugin.wasm")).unwrap();
    let missing = prune().fails(1);
    assert!(missing.stderr.starts_with("nacre: plugin acme/bad: cannot read "), "{}", missing.stderr);
}

#[test]
fn the_configurations_settings_reach_plugins() {
    let sandbox = with_misbehave();
    let server = sandbox.serve();
    let show = || {
        let search = ["search", &server.name("web"), "--filter", "do=settings", "--format", "{{.Note}}"];
        (sandbox.nacre(search).ok().stdout, sandbox.nacre(["plugin", "inspect", "-f", "{{json .settings}}", "acme/bad"]).ok().stdout)
    };
    assert_eq!(show(), ("{\"colour\":\"red\"}\n".into(), "{\"colour\":\"red\"}\n".into()));
    fs::write(sandbox.config(), "[plugins.\"acme/bad\"]\ncolour = \"blue\"\nmore = [1, 2]\n").unwrap();
    let blue = "{\"colour\":\"blue\",\"more\":[1,2]}\n";
    assert_eq!(show(), (blue.into(), blue.into()));
}

#[test]
fn debug_shows_what_a_plugin_logs() {
    let sandbox = with_misbehave();
    let server = sandbox.serve();
    let search = ["search", &server.name("web"), "--filter", "do=log-flood"];
    let output = sandbox.nacre(search.iter().chain(&["--debug"])).ok();
    assert!(output.stderr.starts_with("nacre: plugin acme/bad: warn: flood i=0\n"), "{:.200}", output.stderr);
    let end: Vec<&str> = output.stderr.lines().rev().take(2).collect();
    assert_eq!(end[1], "nacre: plugin acme/bad: 99000 more log entries were dropped");
    assert!(end[0].starts_with("nacre: plugin acme/bad: filter: ") && end[0].contains(" of its own, "), "{}", end[0]);
    assert_eq!(sandbox.nacre(search).ok().stderr, "");
}
