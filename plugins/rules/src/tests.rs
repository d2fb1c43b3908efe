#![allow(clippy::unwrap_used, reason = "tests")]

use nacre_sdk::Kv;
use nacre_sdk::admission::Operation;

use super::*;

const DAY: u64 = 86_400;

fn request() -> Request {
    Request {
        operation: Operation::Pull,
        name: Some("docker.io/acme/app:1".into()),
        by_digest: false,
        digest: "sha256:00".into(),
        size: 600_000_000,
        created: Some(900 * DAY),
        labels: vec![Kv { key: "team".into(), value: "web".into() }],
        user: String::new(),
        platforms: Vec::new(),
        now: 1_000 * DAY,
        extra: Vec::new(),
    }
}

fn settings(json: &str) -> Settings {
    Settings::parse(json).map_err(|error| format!("{json}: {error:?}")).unwrap()
}

/// The codes and messages of what is denied.
fn denied(json: &str, request: &Request) -> Vec<(String, String)> {
    match decide(&settings(json), request) {
        Decision::Deny(list) => list.into_iter().map(|one| (one.code, one.message)).collect(),
        Decision::Allow => Vec::new(),
        Decision::Warn(_) => panic!("{json} only warns"),
    }
}

fn message(json: &str, request: &Request) -> String {
    denied(json, request).into_iter().map(|(_, message)| message).collect::<Vec<_>>().join(" | ")
}

#[test]
fn without_rules_everything_may_happen() {
    assert!(denied("{}", &request()).is_empty());
    assert!(denied(r#"{"contact": "ask me"}"#, &request()).is_empty());
}

#[test]
fn each_condition_refuses_in_words() {
    let request = request();
    for (json, expected) in [
        (r#"{"allow": ["ghcr.io", "docker.io/library/*"]}"#, "it is none of the allowed images, which are ghcr.io, docker.io/library/*"),
        (r#"{"allow": []}"#, "it is none of the allowed images, which are none"),
        (r#"{"deny": ["docker.io/acme/*"]}"#, "docker.io/acme/* is denied"),
        (r#"{"allow": ["docker.io"], "deny": ["**"]}"#, "** is denied"),
        (r#"{"required-labels": ["team", "source", "team=db"]}"#, "it lacks the labels source, team=db"),
        (r#"{"required-labels": ["source"]}"#, "it lacks the label source"),
        (r#"{"max-size": "500MB"}"#, "it has 600MB, more than 500MB"),
        (r#"{"max-age": "90d"}"#, "it was made 100 days ago, more than 90d"),
        (r#"{"require-digest": true}"#, "it is not named by digest: write NAME@sha256:…"),
        (r#"{"forbid-root": true}"#, "its containers run as root"),
        (r#"{"forbid-root": true, "max-size": "1kB"}"#, "it has 600MB, more than 1kB | its containers run as root"),
    ] {
        assert_eq!(message(json, &request), expected, "{json}");
    }
}

#[test]
fn an_image_that_keeps_the_rules_may_come() {
    let good = Request { by_digest: true, user: "1000:0".into(), ..request() };
    let all = r#"{"allow": ["docker.io/acme/*"], "deny": ["ghcr.io"], "required-labels": ["team=web"], "max-size": "600MB",
        "max-age": "100d", "require-digest": true, "forbid-root": true}"#;
    assert_eq!(message(all, &good), "");
}

#[test]
fn root_goes_by_several_names() {
    for (user, root) in
        [("", true), ("0", true), ("root", true), ("root:staff", true), ("00:0", true), (":5", true), ("1", false), ("app", false)]
    {
        let request = Request { user: user.into(), ..request() };
        assert_eq!(!denied(r#"{"forbid-root": true}"#, &request).is_empty(), root, "{user}");
    }
}

#[test]
fn what_is_not_known_breaks_a_rule_about_it() {
    let request = Request { name: None, created: None, ..request() };
    assert_eq!(message(r#"{"max-age": "1d"}"#, &request), "it does not say when it was made, and may be at most 1d old");
    assert_eq!(message(r#"{"allow": ["**"]}"#, &request), "it has no name, and only named images are allowed: **");
    assert_eq!(message(r#"{"deny": ["**"]}"#, &request), "");
}

#[test]
fn a_digest_is_wanted_where_a_tag_could_move() {
    let of = |operation| Request { operation, ..request() };
    assert_ne!(message(r#"{"require-digest": true}"#, &of(Operation::Pull)), "");
    for operation in [Operation::Push, Operation::Import, Operation::Tag] {
        assert_eq!(message(r#"{"require-digest": true}"#, &of(operation)), "");
    }
    assert_ne!(message(r#"{"rule": [{"require-digest": true, "operations": ["push"]}]}"#, &of(Operation::Push)), "");
}

#[test]
fn a_rule_is_for_its_images_and_operations() {
    let json = r#"{"contact": "ask platform@acme.com", "rule": [{"name": "production", "images": ["docker.io/acme/**"],
        "operations": ["remove"], "deny": ["**"], "message": "CI removes them"}]}"#;
    let remove = Request { operation: Operation::Remove, ..request() };
    assert_eq!(message(json, &remove), "production: ** is denied; CI removes them");
    assert_eq!(message(json, &request()), "");
    assert_eq!(message(json, &Request { name: Some("ghcr.io/acme/app:1".into()), ..remove.clone() }), "");
    assert_eq!(message(json, &Request { name: None, ..remove.clone() }), "");
    assert_eq!(message(r#"{"deny": ["**"]}"#, &remove), "", "only a rule that says so is about removal");
}

#[test]
fn a_refusal_says_whom_to_ask() {
    let help = |json: &str| match decide(&settings(json), &request()) {
        Decision::Deny(list) => list[0].help.clone().unwrap(),
        _ => panic!("{json} denies nothing"),
    };
    assert_eq!(help(r#"{"contact": "ask platform@acme.com", "deny": ["**"]}"#), "ask platform@acme.com");
    assert_eq!(help(r#"{"deny": ["**"]}"#), "whoever looks after 'deny' of [plugins.rules] in nacre's configuration can change it");
}

#[test]
fn a_rule_may_only_warn() {
    let json = r#"{"rule": [{"deny": ["**"], "warn": true}]}"#;
    let Decision::Warn(list) = decide(&settings(json), &request()) else { panic!("it does not warn") };
    assert_eq!(list[0].message, "** is denied");
    assert_eq!(message(r#"{"forbid-root": true, "rule": [{"deny": ["**"], "warn": true}]}"#, &request()), "its containers run as root");
}

#[test]
fn bad_settings_are_an_error() {
    for (json, part) in [
        ("[]", "invalid type"),
        (r#"{"alow": []}"#, "unknown field `alow`"),
        (r#"{"rule": [{"alow": []}]}"#, "unknown field `alow`"),
        (r#"{"operations": ["push"]}"#, "unknown field `operations`"),
        (r#"{"allow": ["nginx"]}"#, "does not begin with a registry"),
        (r#"{"allow": "ghcr.io"}"#, "invalid type"),
        (r#"{"max-size": "big"}"#, "max-size = \"big\": want a size"),
        (r#"{"max-age": "old"}"#, "max-age = \"old\": want a duration"),
        (r#"{"rule": [{"operations": ["run"]}]}"#, "'run' is none of pull"),
        (r#"{"rule": {}}"#, "rule: "),
        (r#"{"contact": 1}"#, "invalid type"),
    ] {
        let Err(Error::Invalid(list)) = Settings::parse(json) else { panic!("{json} was accepted") };
        let said = &list[0].message;
        assert!(said.contains(part) && !said.contains(" at line "), "{json}: {said}");
    }
}
