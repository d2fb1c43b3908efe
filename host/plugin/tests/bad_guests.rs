//! Every way a plugin can be bad ends in one exact line that names it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use nacre_plugin::{Level, Pick, Plugin, Summary};
use support::{MANIFEST, Sandbox, doing, guest, hits};

fn filter(plugin: &Plugin, what: &str) -> Result<Vec<Pick>, String> {
    plugin.filter("term", &doing(what), &hits(3)).map_err(|error| error.to_string())
}

/// What a plugin with this component says when it is called.
fn refusal(manifest: &str, wasm: &[u8]) -> String {
    let sandbox = Sandbox::new(manifest, wasm);
    let plugins = sandbox.plugins();
    if let Some(broken) = plugins.broken().next() {
        return broken.error.to_string();
    }
    filter(plugins.get("acme/bad").unwrap(), "nothing").unwrap_err()
}

fn text(component: &str) -> String {
    refusal(MANIFEST, &wat::parse_str(component).unwrap())
}

/// A component with the exports that the manifest promises, and `body` beside them.
fn with_exports(body: &str) -> String {
    format!(
        r#"(component {body} (instance $none)
            (export "nacre:plugin/search@0.1.0" (instance $none)) (export "nacre:plugin/prune@0.1.0" (instance $none)))"#
    )
}

/// A component whose core module is `module`, instantiated at its start.
fn with_module(module: &str) -> String {
    with_exports(&format!("(core module $m {module}) (core instance (instantiate $m))"))
}

/// A component that makes timers at its start and never gives one back.
const HOARDER: &str = r#"(component
    (import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
        (alias outer 1 $pollable (type $timer))
        (export "subscribe-duration" (func (param "when" u64) (result (own $timer))))))
    (core func $lowered (canon lower (func $clock "subscribe-duration")))
    (core module $m
        (import "" "subscribe" (func $subscribe (param i64) (result i32)))
        (func $hoard (loop (drop (call $subscribe (i64.const 0))) (br 0)))
        (start $hoard))
    (core instance (instantiate $m (with "" (instance (export "subscribe" (func $lowered))))))
    (instance $none)
    (export "nacre:plugin/search@0.1.0" (instance $none)) (export "nacre:plugin/prune@0.1.0" (instance $none)))"#;

const REPORT: &str = "report it to its author";

#[test]
fn what_a_filter_does_wrong() {
    let sandbox = Sandbox::new(MANIFEST, &guest("tests/guests", "misbehave"));
    let plugins = sandbox.plugins();
    let plugin = plugins.search_filter("do").unwrap();
    let unused = format!("nothing of its answer was used; {REPORT}");
    for (what, line) in [
        ("memory", format!("needs more than 64 MiB: raise [limits] memory in its plugin.toml or {REPORT}")),
        ("recursion", format!("crashed: it used memory that is not there, as recursion without end does; {REPORT}")),
        ("panic", format!("crashed: index 7 is out of cheese; {REPORT}")),
        ("abort", format!("crashed: wasm trap: wasm `unreachable` instruction executed; {REPORT}")),
        ("exit", format!("crashed: it called exit(1); {REPORT}")),
        ("unknown-index", format!("returned index 3 for 3 inputs; {unused}")),
        ("twice", format!("returned index 1 twice; {unused}")),
        ("flood", format!("returned 10000 results for 3 inputs; {unused}")),
        ("endless-flood", format!("returned more data than fits an answer; {unused}")),
        ("nan", format!("returned a score that is no finite number; {unused}")),
        ("long-note", format!("returned a note of 1001 bytes, more than 1000; {unused}")),
        ("huge-note", format!("returned more data than fits an answer; {unused}")),
        ("error", "no\u{1b}[31m luck".to_owned()),
        ("huge-error", format!("returned more data than fits an answer; {unused}")),
    ] {
        assert_eq!(filter(plugin, what).unwrap_err(), format!("plugin acme/bad: {line}"), "{what}");
        assert_eq!(filter(plugin, "nothing").unwrap(), [], "the plugin can be called again after {what}");
    }
}

#[test]
fn what_a_policy_does_wrong() {
    let sandbox = Sandbox::new(MANIFEST, &guest("tests/guests", "misbehave"));
    let plugins = sandbox.plugins();
    let plugin = plugins.prune_policy("bad").unwrap();
    let images = [Summary::default(), Summary::default()];
    for (what, line) in [
        ("unknown-index", "returned index 4294967295 for 2 inputs"),
        ("twice", "returned index 0 twice"),
        ("long-reason", "returned a reason of 1001 bytes, more than 1000"),
    ] {
        let said = plugin.decide("bad", 0, &doing(what), &images).unwrap_err().to_string();
        assert_eq!(said, format!("plugin acme/bad: {line}; nothing of its answer was used; {REPORT}"));
    }
    let said = plugin.decide("good", 0, &[], &images).unwrap_err().to_string();
    assert_eq!(said, "plugin acme/bad: does not provide the prune policy 'good'");
}

#[test]
fn what_never_ends() {
    let hasty = MANIFEST.replace("20s", "100ms");
    let line = format!("plugin acme/bad: took longer than 100 ms: raise [limits] time in its plugin.toml or {REPORT}");
    let sandbox = Sandbox::new(&hasty, &guest("tests/guests", "misbehave"));
    let plugins = sandbox.plugins();
    let plugin = plugins.get("acme/bad").unwrap();
    assert_eq!(filter(plugin, "loop").unwrap_err(), line);
    assert_eq!(plugin.decide("bad", 0, &doing("loop"), &[]).unwrap_err().to_string(), line);
    let at_start = with_module("(func $f (loop br 0)) (start $f)");
    assert_eq!(refusal(&hasty, &wat::parse_str(at_start).unwrap()), line);
}

/// The epoch that ends one call is shared by all, so the others must go on.
#[test]
fn one_calls_deadline_is_not_anothers() {
    let wasm = guest("tests/guests", "misbehave");
    let sandbox = Sandbox::new(MANIFEST, &wasm);
    sandbox.add("hasty", &MANIFEST.replace("20s", "1ms").replace("acme/bad", "acme/hasty"), &wasm);
    let plugins = sandbox.plugins();
    let (calm, hasty) = (plugins.get("acme/bad").unwrap(), plugins.get("acme/hasty").unwrap());
    filter(calm, "nothing").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..50).for_each(|_| assert!(filter(hasty, "loop").unwrap_err().contains("took longer than 1 ms"))));
        (0..5).for_each(|_| assert_eq!(filter(calm, "log-flood").unwrap().len(), 1));
    });
}

#[test]
fn floods_and_waits_do_no_harm() {
    let sandbox = Sandbox::new(MANIFEST, &guest("tests/guests", "misbehave"));
    let plugins = sandbox.plugins();
    let plugin = plugins.get("acme/bad").unwrap();

    assert_eq!(filter(plugin, "log-flood").unwrap().len(), 1);
    let log = plugin.take_log();
    assert_eq!((log.entries.len(), log.dropped), (1_000, 99_000));
    assert_eq!((log.entries[0].level, log.entries[0].message.as_str()), (Level::Warn, "flood"));
    assert_eq!(plugin.take_log().entries, []);

    assert_eq!(filter(plugin, "print-flood").unwrap().len(), 1);
    assert_eq!(plugin.take_log().entries.len(), 1_000);

    let note = |what| filter(plugin, what).unwrap()[0].note.clone().unwrap();
    assert_eq!(note("sleep"), "slept");
    let seen = note("look-around");
    assert!(seen.starts_with("now Ok(0) for 0ns, env 0, args 0, files 0, written false, order "), "{seen}");
    assert_eq!(note("look-around"), seen);
}

/// WASI waits on tokio, which does not allow it on a thread that already runs a task.
#[test]
fn a_plugin_may_print_when_called_from_a_task() {
    let sandbox = Sandbox::new(MANIFEST, &guest("tests/guests", "misbehave"));
    let plugins = sandbox.plugins();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let said = runtime.block_on(async { filter(plugins.get("acme/bad").unwrap(), "panic").unwrap_err() });
    assert_eq!(said, format!("plugin acme/bad: crashed: index 7 is out of cheese; {REPORT}"));
}

#[test]
fn what_is_no_component() {
    let good = guest("tests/guests", "misbehave");
    assert_eq!(
        refusal(MANIFEST, b"\0asm\x01\0\0\0"),
        "plugin acme/bad: plugin.wasm is a core module, not a component: build it for the target wasm32-wasip2"
    );
    let truncated = refusal(MANIFEST, &good[..good.len() / 2]);
    assert!(truncated.starts_with("plugin acme/bad: plugin.wasm is damaged: "), "{truncated}");
    let empty = refusal(MANIFEST, b"");
    assert!(empty.starts_with("plugin acme/bad: plugin.wasm is damaged: "), "{empty}");
    let garbage = refusal(MANIFEST, b"#!/bin/sh\necho hello\n");
    assert!(garbage.starts_with("plugin acme/bad: plugin.wasm is damaged: "), "{garbage}");

    let sandbox = Sandbox::new(MANIFEST, &good);
    filter(sandbox.plugins().get("acme/bad").unwrap(), "nothing").unwrap();
    let mut cached = sandbox.cache().read_dir().unwrap().map(|entry| entry.unwrap().path());
    let compiled = cached.find(|path| path.extension().is_some_and(|end| end == "cwasm")).unwrap();
    assert_eq!(
        refusal(MANIFEST, &std::fs::read(compiled).unwrap()),
        "plugin acme/bad: plugin.wasm is already compiled, which cannot be checked: ship the component itself"
    );
}

#[test]
fn what_does_not_fit_the_manifest() {
    assert_eq!(
        text(&with_exports(
            r#"(import "wasi:sockets/tcp@0.2.0" (instance)) (import "acme:gpu/run" (instance)) (import "wasi:io/poll@0.2.0" (instance))"#
        )),
        "plugin acme/bad: imports acme:gpu/run, wasi:sockets/tcp@0.2.0, which no capability in its plugin.toml allows: nothing of it was run"
    );
    let version = "this nacre has 0.1: use a version of the plugin made for 0.1, or another nacre";
    assert_eq!(
        text(r#"(component (instance $i) (export "nacre:plugin/search@0.2.0" (instance $i)))"#),
        format!("plugin acme/bad: is made for plugin API 0.2.0, {version}")
    );
    assert_eq!(refusal(&MANIFEST.replace("\"0.1\"", "\"0.3\""), b""), format!("plugin it: is made for plugin API 0.3, {version}"));
    assert_eq!(
        text("(component)"),
        "plugin acme/bad: plugin.toml says that it provides search-filter, but plugin.wasm does not export nacre:plugin/search@0.1.0"
    );
    assert_eq!(
        text(r#"(component (instance $i) (export "nacre:plugin/search@0.1.0" (instance $i)))"#),
        "plugin acme/bad: plugin.toml says that it provides prune-policy, but plugin.wasm does not export nacre:plugin/prune@0.1.0"
    );
    assert_eq!(text(&with_exports("")), "plugin acme/bad: cannot be called: nacre:plugin/search@0.1.0 has no function filter");
    let unknown = refusal(&format!("{MANIFEST}[capabilities]\nenv = [\"HOME\"]\n"), b"");
    assert!(unknown.starts_with("plugin it: plugin.toml: line 14: unknown field `env`"), "{unknown}");
}

#[test]
fn what_goes_wrong_before_the_call() {
    assert_eq!(
        text(&with_module("(func $f unreachable) (start $f)")),
        format!("plugin acme/bad: crashed: wasm trap: wasm `unreachable` instruction executed; {REPORT}")
    );
    assert_eq!(
        text(&with_module("(func $f call $f) (start $f)")),
        format!("plugin acme/bad: ran out of stack: it calls itself without end; {REPORT}")
    );
    assert_eq!(
        text(&with_module("(memory 1025)")),
        format!("plugin acme/bad: needs more than 64 MiB: raise [limits] memory in its plugin.toml or {REPORT}")
    );
    assert_eq!(text(&with_module("(table 200001 funcref)")), format!("plugin acme/bad: uses too many table elements; {REPORT}"));
    assert_eq!(text(HOARDER), format!("plugin acme/bad: uses too many handles; {REPORT}"));
    let instances = "(core instance (instantiate $m))".repeat(250);
    let many = with_exports(&format!("(core module $m) {instances}"));
    assert_eq!(text(&many), format!("plugin acme/bad: uses too many instances, tables or memories; {REPORT}"));
    let invalid = text(&with_module("(func (result i32))"));
    assert!(invalid.starts_with("plugin acme/bad: cannot be compiled: "), "{invalid}");
}
