//! The checks of what plugins say, for the targets of `tests/fuzz` and the tests: each function takes any bytes, and panics if
//! what a check lets pass is not what it has to be.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use crate::capability::{Access, Capabilities};
use crate::check::Surface;
use crate::frontend::{self, BuildImage, BuildRequest};
use crate::graph::{ImageName, Operation, Source};
use crate::manifest::Manifest;
use crate::prune::Verdict;
use crate::search::Pick;
use crate::types::{GuestError, Platform};
use crate::{Cell, Decision, Diagnostic, admission, prune, search, terminal};

/// `plugin.toml`: a refusal is one line; what is accepted has a name that is safe as a path, and is the same when it is written
/// and read again.
pub fn manifest(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let manifest = match Manifest::parse(text) {
        Ok(manifest) => manifest,
        Err(fault) => return assert_one_line(&fault.to_string()),
    };
    let commands = manifest.commands.iter().map(|command| &command.name);
    let provided = manifest.provides.kinds().into_iter().flat_map(|(_, names)| names).chain(commands);
    for name in provided.chain([&manifest.plugin.name]) {
        assert!(is_below(name) && !name.starts_with('-'), "{name:?}");
    }
    assert_eq!(Path::new(&manifest.plugin.name).components().count(), manifest.plugin.name.split('/').count());
    let written = serde_json::to_value(&manifest).expect("a manifest is JSON");
    let again: Manifest = serde_json::from_value(written).expect("what was written");
    assert!(again == manifest && again.check().is_ok(), "{again:?} and {manifest:?}");
    capabilities(&manifest.capabilities);
}

/// Whether a path leads nowhere but down.
fn is_below(path: &str) -> bool {
    Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

fn capabilities(asked: &Capabilities) {
    assert!(asked.within(asked).is_ok(), "{asked:?}");
    assert_eq!(asked.is_empty(), asked.within(&Capabilities::default()).is_ok(), "{asked:?}");
    asked.lines().iter().for_each(|line| assert_one_line(line));
    let ceiling = Capabilities { store: Access::Read, context: vec!["src/**".into()], net: vec!["a.example".into()], ..asked.clone() };
    let both = asked.intersect(&ceiling);
    assert!(both.within(asked).is_ok() && both.within(&ceiling).is_ok(), "{asked:?}");
}

#[track_caller]
fn assert_one_line(text: &str) {
    assert!(!text.contains('\n'), "{text:?}");
}

/// Components: what may be compiled imports nothing but inert WASI and what its manifest asks for.
pub fn component(wasm: &[u8]) {
    let surface = match Surface::read(wasm) {
        Ok(surface) => surface,
        Err(fault) => return assert_one_line(&fault.to_string()),
    };
    let plain = "plugin = { name = 'a', version = '1.0.0', api = '0.1' }\nprovides.prune-policy = ['a']\n";
    let plain = Manifest::parse(plain).expect("a manifest");
    let capable = Capabilities { store: Access::Read, ..Capabilities::default() };
    let capable = Manifest { capabilities: capable, ..plain.clone() };
    for (manifest, more) in [(plain, None), (capable, Some("store"))] {
        if let Err(fault) = surface.check(&manifest) {
            assert_one_line(&fault.to_string());
            continue;
        }
        let policy = |name: &String| name == "nacre:plugin/prune" || name.starts_with("nacre:plugin/prune@0.1.");
        assert!(surface.exports.iter().any(policy), "{surface:?}");
        assert!(surface.imports.iter().all(|name| is_free(name, more)), "{surface:?}");
    }
}

/// Whether an interface may be had without a capability, or by the one that stands for the interface `more`.
fn is_free(import: &str, more: Option<&str>) -> bool {
    let name = import.split_once('@').map_or(import, |(name, _)| name);
    match name.split_once('/') {
        Some(("wasi:cli" | "wasi:clocks" | "wasi:filesystem" | "wasi:io" | "wasi:random", _)) => import.contains("@0.2."),
        Some(("nacre:plugin", own)) => {
            ["types", "host", "bytes", "files", "images", "terminal", "graph", "build"].contains(&own) || Some(own) == more
        }
        _ => false,
    }
}

/// What a plugin returned, and what it was asked.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Lifted {
    Search {
        hits: u8,
        picks: Vec<Pick>,
    },
    Prune {
        candidates: u8,
        verdicts: Vec<Verdict>,
    },
    Admission(Decision),
    Build {
        platforms: Vec<Platform>,
        granted: Capabilities,
        images: Vec<BuildImage>,
    },
    /// The names of columns, and how many cells each row has.
    Table {
        columns: Vec<String>,
        rows: Vec<u8>,
    },
    Error(GuestError),
}

/// Values that a plugin returned, written as JSON: what passes the check is about what was asked, bounded, and granted.
pub fn lifted(json: &[u8]) {
    match serde_json::from_slice(json) {
        Err(_) => {}
        Ok(Lifted::Search { hits, picks }) => check_picks(picks, hits.into()),
        Ok(Lifted::Prune { candidates, verdicts }) => check_verdicts(&verdicts, candidates.into()),
        Ok(Lifted::Admission(decision)) => check_decision(&decision),
        Ok(Lifted::Build { platforms, granted, images }) => check_images(platforms, &granted, images),
        Ok(Lifted::Table { columns, rows }) => check_table(&columns, &rows),
        Ok(Lifted::Error(error)) => assert_one_line(&error.to_string()),
    }
}

/// Whether positions are below `count` and none comes twice.
fn are_distinct(mut indices: Vec<u32>, count: usize) -> bool {
    let all = indices.len();
    indices.sort_unstable();
    indices.dedup();
    indices.len() == all && indices.last().is_none_or(|last| (*last as usize) < count)
}

fn check_picks(picks: Vec<Pick>, hits: usize) {
    if search::check(&picks, hits).is_err() {
        return;
    }
    assert!(picks.iter().all(|pick| pick.note.as_ref().is_none_or(|note| note.len() <= 1_000)));
    let (count, scored) = (picks.len(), picks.iter().any(|pick| pick.score.is_some()));
    let order: Vec<u32> = picks.iter().map(|pick| pick.index).collect();
    let sorted = search::sorted(picks);
    let indices: Vec<u32> = sorted.iter().map(|pick| pick.index).collect();
    assert!(sorted.len() == count && (scored || indices == order) && are_distinct(indices, hits));
    let score = |pick: &Pick| pick.score.unwrap_or(f32::NEG_INFINITY);
    assert!(sorted.is_sorted_by(|one, next| score(one) >= score(next)));
}

fn check_verdicts(verdicts: &[Verdict], candidates: usize) {
    if prune::check(verdicts, candidates).is_ok() {
        assert!(are_distinct(verdicts.iter().map(|verdict| verdict.index).collect(), candidates));
        assert!(verdicts.iter().all(|verdict| verdict.reason.len() <= 1_000));
    }
}

fn check_decision(decision: &Decision) {
    let (Decision::Warn(reasons) | Decision::Deny(reasons)) = decision else { return };
    if admission::check(decision).is_ok() {
        let shown = |reason: &Diagnostic| !reason.message.trim().is_empty() && reason.message.len() <= 1_000;
        assert!((1..=100).contains(&reasons.len()) && reasons.iter().all(shown));
    }
}

fn check_table(columns: &[String], rows: &[u8]) {
    let rows: Vec<Vec<Cell>> = rows.iter().map(|cells| vec![Cell::None; usize::from(*cells)]).collect();
    match terminal::check(columns, &rows) {
        Ok(()) => {
            let distinct: BTreeSet<&String> = columns.iter().collect();
            assert!(distinct.len() == columns.len() && rows.iter().all(|row| row.len() == columns.len()));
            assert!(columns.iter().all(|name| !name.is_empty() && name.chars().all(char::is_alphanumeric)));
        }
        Err(error) => assert_one_line(&error.to_string()),
    }
}

fn check_images(platforms: Vec<Platform>, granted: &Capabilities, images: Vec<BuildImage>) {
    let request = BuildRequest { platforms, ..BuildRequest::default() };
    let images = match frontend::answer(images, &request, granted) {
        Ok(images) => images,
        Err(fault) => return assert_one_line(&fault.to_string()),
    };
    assert_eq!(images.len(), request.platforms.len().max(1));
    assert!(request.platforms.iter().zip(&images).all(|(wanted, image)| image.platform == *wanted));
    for image in &images {
        let config: Map<String, Value> = serde_json::from_str(&image.config).expect("a configuration is a JSON object");
        assert!(!config.contains_key("rootfs"));
        image.definition.vertices.iter().for_each(|vertex| check_source(&vertex.operation, granted));
    }
}

/// Every source is of a registry or host that was granted by its very name.
fn check_source(operation: &Operation, granted: &Capabilities) {
    let Operation::Source(source) = operation else { return };
    match source {
        Source::Image(image) => {
            let ImageName::Reference(name) = &image.name else { return };
            let name: nacre_oci::Reference = name.parse().expect("a reference");
            assert!(granted.registries.iter().any(|host| host == "*" || host == name.registry()), "{name}");
        }
        Source::Http(http) => {
            let url = Url::parse(&http.url).expect("a URL");
            assert_granted(url.host_str().unwrap_or_default(), granted);
        }
        Source::Git(git) => assert_granted(written_host(&git.remote), granted),
        Source::Scratch | Source::Folder(_) => {}
    }
}

/// The host as RFC 3986, and git and curl with it, read a URL, or as git reads `user@host:path`.
fn written_host(remote: &str) -> &str {
    let authority = match remote.split_once("://") {
        Some((_, rest)) => rest.split(['/', '?', '#']).next().unwrap_or_default(),
        None => remote.split_once(':').map_or("", |(authority, _)| authority),
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port = host.rfind(':').filter(|at| host[at + 1..].bytes().all(|b| b.is_ascii_digit()));
    port.map_or(host, |at| &host[..at])
}

/// Whether the host is granted, with any port.
fn assert_granted(host: &str, granted: &Capabilities) {
    let host = host.to_lowercase();
    assert!(!host.is_empty() && !host.starts_with('-'), "{host:?}");
    let named = |entry: &String| entry == "*" || entry.strip_prefix(&host).is_some_and(|port| port.is_empty() || port.starts_with(':'));
    assert!(granted.net.iter().any(named), "{host:?} by {:?}", granted.net);
}

#[cfg(test)]
mod tests {
    use nacre_tests::mutated::{mutated, seeds};

    #[test]
    fn any_plugin_toml_is_a_manifest_or_refused_in_one_line() {
        mutated("plugin_manifest", super::manifest);
    }

    #[test]
    fn any_component_that_passes_imports_only_what_it_may() {
        mutated("component", super::component);
    }

    #[test]
    fn any_answer_that_passes_is_bounded_and_granted() {
        for (name, seed) in seeds("lifted") {
            serde_json::from_slice::<super::Lifted>(&seed).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        mutated("lifted", super::lifted);
    }
}
