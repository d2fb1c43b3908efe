//! The bundled plugins, called as the command line calls them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;

use nacre_plugin::{Action, Hit, Kv, Plugins, Summary};

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

fn bundled(cache: &Path) -> Plugins {
    Plugins::discover(&[], nacre_bundled::PLUGINS, cache, &BTreeMap::new())
}

fn opts<const N: usize>(opts: [(&str, &str); N]) -> Vec<Kv> {
    opts.map(|(key, value)| Kv::new(key, value)).to_vec()
}

fn hit(name: &str, stars: u32, official: bool) -> Hit {
    Hit { name: name.into(), stars, official, registry: "docker.io".into(), ..Hit::default() }
}

fn image(name: &str, created: u64) -> Summary {
    let names = if name.is_empty() { Vec::new() } else { vec![format!("docker.io/library/{name}")] };
    Summary { id: format!("sha256:{name}"), dangling: names.is_empty(), names, created, size: 100, ..Summary::default() }
}

#[test]
fn every_bundled_plugin_is_sound() {
    let cache = tempfile::tempdir().unwrap();
    let plugins = bundled(&cache.path().join("cache"));
    assert_eq!(plugins.broken().map(|broken| broken.error.to_string()).collect::<Vec<_>>(), [""; 0]);
    let names: Vec<&str> = plugins.list().map(nacre_plugin::Plugin::name).collect();
    assert!(names.len() >= 14 && names.is_sorted() && names.iter().all(|name| name.starts_with("nacre/")), "{names:?}");
    for plugin in plugins.list() {
        let seen = plugin.inspect().unwrap();
        assert_eq!(seen.problem, None);
        // A language takes more than a format.
        let most = if plugin.name() == "nacre/dockerfile" { 650_000 } else { 250_000 };
        assert!(seen.size < most, "{} has {} bytes", plugin.name(), seen.size);
        assert!(!seen.imports.iter().any(|name| name.contains("clocks") || name.contains("random")), "{:?}", seen.imports);
    }
    assert!(!cache.path().join("cache").exists(), "inspecting compiles nothing");
}

#[test]
fn search_filters_pick() {
    let cache = tempfile::tempdir().unwrap();
    let plugins = bundled(&cache.path().join("cache"));
    let plugin = plugins.search_filter("stars").unwrap();
    let hits = [hit("nginx", 100, true), hit("a/nginx", 10, false), hit("b/nginx", 1, false)];
    let picks = plugin.filter("nginx", &opts([("stars", "10")]), &hits).unwrap();
    assert_eq!(picks.iter().map(|pick| pick.index).collect::<Vec<_>>(), [0, 1]);
    let error = plugin.filter("nginx", &opts([("stars", "many")]), &hits).unwrap_err();
    assert_eq!(error.to_string(), "plugin nacre/hub-filters: invalid filter 'stars=many'");
    let error = plugin.filter("nginx", &opts([("moons", "1")]), &hits).unwrap_err();
    assert_eq!(error.to_string(), "plugin nacre/hub-filters: does not provide the search filter 'moons'");
}

#[test]
fn policies_decide_with_reasons() {
    let cache = tempfile::tempdir().unwrap();
    let plugins = bundled(&cache.path().join("cache"));
    let images = [image("", NOW - 40 * DAY), image("nginx:1", NOW - 2 * DAY), image("nginx:2", NOW - DAY)];
    let decide = |policy: &str, opts: &[Kv]| {
        let verdicts = plugins.prune_policy(policy).unwrap().decide(policy, NOW, opts, &images).unwrap();
        assert!(verdicts.iter().all(|verdict| verdict.action == Action::Delete));
        verdicts.into_iter().map(|verdict| (verdict.index, verdict.reason)).collect::<Vec<_>>()
    };
    let reason = "dangling, created 40 days ago, before until=30d";
    assert_eq!(decide("standard", &opts([("until", "30d")])), [(0, reason.to_owned())]);
    assert_eq!(decide("standard", &opts([("all", "true")])).len(), 3);
    let reasons = ["dangling, in no repository", "not among the newest 1 of docker.io/library/nginx"];
    assert_eq!(decide("keep-last", &opts([("keep", "1")])), [(0, reasons[0].to_owned()), (1, reasons[1].to_owned())]);
    let reason = "unused for 40 days, all images take more than 200B";
    assert_eq!(decide("least-recently-used", &opts([("budget", "200")])), [(0, reason.to_owned())]);
}

#[test]
fn an_unknown_option_names_what_exists_and_runs_nothing() {
    let cache = tempfile::tempdir().unwrap();
    let plugins = bundled(&cache.path().join("cache"));
    let error = plugins.prune_policy("keep-last").unwrap().decide("keep-last", NOW, &opts([("kep", "1")]), &[]).unwrap_err();
    assert_eq!(error.to_string(), "unknown option 'kep' of prune policy 'keep-last': known are by, keep");
    assert!(!cache.path().join("cache").exists());
}

#[test]
fn a_recorded_call_replays_to_the_same_bytes() {
    let images: Vec<Summary> = (0..500).map(|i| image(&format!("app{}:1.{i}", i % 7), NOW - i * DAY / 3)).collect();
    let replay = || {
        let cache = tempfile::tempdir().unwrap();
        let plugins = bundled(&cache.path().join("cache"));
        let policy = plugins.prune_policy("keep-last").unwrap();
        let opts = opts([("keep", "3"), ("by", "semver")]);
        // Compiled here, loaded from the cache there.
        [(); 2].map(|()| format!("{:?}", policy.decide("keep-last", NOW, &opts, &images).unwrap()))
    };
    let [first, again] = replay();
    assert_eq!(first.matches("Delete").count(), 500 - 3 * 7);
    assert_eq!(first, again);
    assert_eq!([first.clone(), first], replay());
}
