//! Admission rules: what they may answer.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use nacre_plugin::{Decision, Diagnostic, Kv, Operation, Platform, Request};
use support::data::{hasty, plugin, sandbox};

fn request(name: &str) -> Request {
    Request {
        operation: Operation::Import,
        name: Some(name.into()),
        by_digest: false,
        digest: "sha256:0".into(),
        size: 1,
        created: Some(5),
        labels: vec![Kv::new("a", "b")],
        user: String::new(),
        platforms: vec![Platform { os: "linux".into(), arch: "amd64".into(), variant: None }],
        now: 7,
        extra: Vec::new(),
    }
}

fn because(message: &str) -> Vec<Diagnostic> {
    vec![Diagnostic { code: "rule".into(), message: message.into(), help: Some("ask".into()), at: None }]
}

#[test]
fn a_rule_allows_warns_or_denies() {
    let sandbox = sandbox();
    let plugins = sandbox.plugins();
    assert_eq!(plugins.admission().map(nacre_plugin::Plugin::name).collect::<Vec<_>>(), ["acme/data"]);
    let review = |name: &str| plugin(&plugins).review(&request(name)).unwrap();
    assert_eq!(review("allow"), Decision::Allow);
    assert_eq!(review("warn"), Decision::Warn(because("careful")));
    assert_eq!(review("deny"), Decision::Deny(because("no Operation::Import of sha256:0")));
    assert_eq!(review("now"), Decision::Warn(because("7 Some(5) 1")));
}

#[test]
fn what_cannot_be_shown_is_no_answer() {
    let sandbox = sandbox();
    let plugins = sandbox.plugins();
    let unused = "nothing of its answer was used; report it to its author";
    for (name, line) in [
        ("deny-why", format!("returned a denial without a reason; {unused}")),
        ("shout", format!("returned a diagnostic with 1001 bytes, more than 1000; {unused}")),
        ("flood", format!("returned 101 diagnostics, more than 100; {unused}")),
        ("fail", "I cannot".to_owned()),
    ] {
        let said = plugin(&plugins).review(&request(name)).unwrap_err().to_string();
        assert_eq!(said, format!("plugin acme/data: {line}"), "{name}");
    }
}

#[test]
fn a_rule_has_its_time() {
    let sandbox = hasty();
    let plugins = sandbox.plugins();
    let said = plugin(&plugins).review(&request("spin")).unwrap_err().to_string();
    assert!(said.starts_with("plugin acme/data: took longer than 200 ms"), "{said}");
}
