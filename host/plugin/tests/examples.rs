//! The third parties' plugins in `examples/`, put into a plugins directory as their users would.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;
use std::path::Path;

use nacre_plugin::{Action, Hit, Summary};
use serde_json::json;
use support::{Sandbox, guest};

const DAY: u64 = 86_400;

fn example(name: &str) -> Sandbox {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name).join("plugin.toml");
    Sandbox::new(&fs::read_to_string(manifest).unwrap(), &guest("examples", &name.replace('-', "_")))
}

#[test]
fn approved_only_reads_its_settings() {
    let sandbox = example("approved-only");
    let hits = ["nginx", "evil/nginx", "acme/web", "redis"].map(|name| Hit { name: name.into(), ..Hit::default() });
    let shown = |settings: serde_json::Value, value: &str| {
        let plugins = sandbox.plugins_with(&[("acme/approved-only", settings)]);
        let plugin = plugins.search_filter("approved").unwrap();
        let picks = plugin.filter("web", &[nacre_plugin::Kv::new("approved", value)], &hits);
        picks.map(|picks| picks.iter().map(|pick| pick.index).collect::<Vec<_>>()).map_err(|error| error.to_string())
    };
    assert_eq!(shown(json!({}), "true").unwrap(), [0, 2, 3]);
    assert_eq!(shown(json!({}), "false").unwrap(), [1]);
    assert_eq!(shown(json!({"allow": ["redis"]}), "true").unwrap(), [3]);
    let said = shown(json!({"allow": "redis"}), "true").unwrap_err();
    assert!(said.starts_with("plugin acme/approved-only: the settings are wrong: invalid type: string"), "{said}");
}

#[test]
fn team_retention_keeps_releases() {
    let sandbox = example("team-retention");
    let image = |tag: &str| Summary { names: vec![format!("acme.example/web:{tag}")], last_used: Some(0), ..Summary::default() };
    let images = [image("v1.2.0"), image("ci-77"), image("latest"), Summary { pinned: true, ..image("ci-78") }];
    let plugins = sandbox.plugins();
    let verdicts = plugins.prune_policy("team-retention").unwrap().decide("team-retention", 30 * DAY, &[], &images).unwrap();
    let said: Vec<_> = verdicts.iter().map(|verdict| (verdict.index, verdict.action, verdict.reason.as_str())).collect();
    assert_eq!(said, [(0, Action::Keep, "a release"), (1, Action::Delete, "build unused for 30 days")]);
}
