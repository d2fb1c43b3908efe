//! `nacre search`: at `nacre serve`, by the catalog of Debian's docker-registry, and through plugins.

use std::fs;

use nacre_oci::Memory;
use nacre_tests::{
    images::{self, Recipe},
    peers::{Options, Registry},
    sandbox::{Sandbox, Server},
};

use crate::{
    fixture::install_example,
    support::{place, place_multi_platform},
};

const DESCRIPTION: &str = "org.opencontainers.image.description";

/// A server with `nginx` (official), `acme/nginx` and `evil/nginx`, the last with a long description with escapes in it.
fn serving() -> (Sandbox, Server) {
    let (origin, memory) = (Sandbox::new(), Memory::new());
    let long = format!("\u{1b}[2Jbad {}", "long ".repeat(20));
    for (name, text) in [("nginx:1", "A web server"), ("acme/nginx:1", "Ours"), ("evil/nginx:1", &long)] {
        place(&origin, &memory, &images::image(&memory, &Recipe { labels: &[(DESCRIPTION, text)], ..Recipe::default() }), name);
    }
    let server = origin.serve();
    (origin, server)
}

/// The names that a search finds, without the server's address.
fn names(sandbox: &Sandbox, server: &Server, arguments: &[&str]) -> Vec<String> {
    let found = sandbox.nacre([&["search", "--format", "{{.Name}}", &server.name("nginx")], arguments].concat()).ok();
    found.lines().iter().map(|name| name.strip_prefix(&server.name("")).unwrap().to_owned()).collect()
}

#[test]
fn the_table_is_dockers() {
    let (_origin, server) = serving();
    let found = Sandbox::new().nacre(["search", &server.name("nginx")]).ok();
    let lines = found.lines();
    let words: Vec<Vec<&str>> = lines.iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]);
    assert_eq!(words[1], [&server.name("nginx"), "A", "web", "server", "0", "[OK]"]);
    assert_eq!(words[2], [&server.name("acme/nginx"), "Ours", "0"]);
    assert!(lines[3].contains('…') && !found.stdout.contains('\u{1b}'), "{}", found.stdout);
    assert_eq!(found.stderr, "");
    let whole = Sandbox::new().nacre(["search", "--no-trunc", &server.name("nginx")]).ok();
    assert!(!whole.stdout.contains('…') && !whole.stdout.contains('\u{1b}'), "{}", whole.stdout);
    let json = Sandbox::new().nacre(["search", "--format", "json", &server.name("nginx")]).ok();
    let first: serde_json::Value = serde_json::from_str(json.lines()[0]).unwrap();
    assert_eq!((&first["Name"], &first["IsOfficial"]), (&server.name("nginx").into(), &"true".into()));
    let none = Sandbox::new().nacre(["search", &server.name("no-such")]).ok();
    assert_eq!(none.lines().len(), 1, "{}", none.stdout);
}

#[test]
fn what_was_found_can_be_pulled() {
    let (origin, server) = serving();
    // A name that no client can ask this server for.
    origin.nacre(["tag", "nginx:1", "localhost:5000/nginx:1"]).ok();
    let sandbox = Sandbox::new();
    for name in names(&sandbox, &server, &[]) {
        let tags = sandbox.nacre(["search", "--list-tags", "--format", "{{.Name}}:{{.Tag}}", &server.name(&name)]).ok();
        sandbox.nacre(["pull", "-q", tags.stdout.trim()]).ok();
    }
}

#[test]
fn filters_are_plugins() {
    let (_origin, server) = serving();
    let sandbox = Sandbox::new();
    let found = |filters: &[&str]| names(&sandbox, &server, &filters.iter().flat_map(|text| ["--filter", text]).collect::<Vec<_>>());
    assert_eq!(found(&["is-official=true"]), ["nginx"]);
    assert_eq!(found(&["is-official=false"]), ["acme/nginx", "evil/nginx"]);
    assert_eq!(found(&["stars=0"]).len(), 3);
    assert_eq!(found(&["stars=0", "stars=1"]).len(), 0);
    assert_eq!(found(&["is-automated=true"]).len(), 0);
    assert_eq!(found(&["is-automated=false", "is-official=1"]), ["nginx"]);
    for (filter, said) in [
        ("colour=red", "is-automated, is-official, stars"),
        ("stars=many", "stars"),
        ("is-official=maybe", "is-official"),
        ("stars", "name=value"),
    ] {
        let refused = sandbox.nacre(["search", "--filter", filter, &server.name("nginx")]).fails(1);
        assert!(refused.stderr.contains(said) && refused.stderr.lines().count() == 1, "{filter}: {}", refused.stderr);
    }
    let unknown = sandbox.nacre(["search", "--filter", "colour=red", "127.0.0.1:1/nginx"]).fails(1);
    assert!(unknown.stderr.contains("colour") && !unknown.stderr.contains("refused"), "nobody is asked: {}", unknown.stderr);
}

#[test]
fn a_third_partys_filter_is_used_like_a_built_in_one() {
    let (_origin, server) = serving();
    let sandbox = Sandbox::new();
    install_example(&sandbox, "approved-only");
    assert_eq!(names(&sandbox, &server, &["--filter", "approved=true"]), ["nginx", "acme/nginx"]);
    assert_eq!(names(&sandbox, &server, &["-f", "approved=false"]), ["evil/nginx"]);
    assert_eq!(names(&sandbox, &server, &["-f", "approved=true", "-f", "is-official=false"]), ["acme/nginx"]);
    fs::write(sandbox.config(), "[plugins.approved-only]\nallow = ['evil/nginx']\n").unwrap();
    assert_eq!(names(&sandbox, &server, &["-f", "approved=true"]), ["evil/nginx"]);
    fs::write(sandbox.config(), "[search]\nfilters = ['approved=true']\n").unwrap();
    assert_eq!(names(&sandbox, &server, &[]), ["nginx", "acme/nginx"]);
    assert_eq!(names(&sandbox, &server, &["-f", "is-official=true"]), ["nginx"]);
    let unknown = sandbox.nacre(["search", "-f", "no=1", &server.name("nginx")]).fails(1);
    assert!(unknown.stderr.contains("approved, is-automated"), "{}", unknown.stderr);
}

#[test]
fn a_filter_that_always_applies_cannot_be_talked_out_of() {
    let (_origin, server) = serving();
    let sandbox = Sandbox::new();
    install_example(&sandbox, "approved-only");
    fs::write(sandbox.config(), "[search]\nfilters = ['approved=true']\n").unwrap();
    let given = sandbox.nacre(["search", "--format", "{{.Name}}", "-f", "approved=false", &server.name("nginx")]);
    assert!(!given.stdout.contains("evil"), "{}", given.stdout);
    fs::remove_file(sandbox.plugins().join("approved-only/plugin.wasm")).unwrap();
    let broken = sandbox.nacre(["search", &server.name("nginx")]).fails(1);
    assert!(broken.stderr.contains("approved") && broken.stdout.is_empty(), "{}", broken.stderr);
}

#[test]
fn limits_are_dockers() {
    let (_origin, server) = serving();
    let sandbox = Sandbox::new();
    assert_eq!(names(&sandbox, &server, &["--limit", "2"]).len(), 2);
    for limit in ["0", "101", "-1", "many"] {
        let refused = sandbox.nacre(["search", &format!("--limit={limit}"), &server.name("nginx")]).fails(2);
        assert!(refused.stderr.contains("limit"), "{}", refused.stderr);
    }
    let address = sandbox.nacre(["search", "https://example.org/nginx"]).fails(1);
    assert!(address.stderr.contains("HOST/TERM"), "{}", address.stderr);
    let gone = sandbox.nacre(["search", "127.0.0.1:1/nginx"]).fails(1);
    assert!(gone.stderr.contains("127.0.0.1:1") && gone.stderr.lines().count() == 1, "{}", gone.stderr);
    assert!(!sandbox.root().join("meta.db").exists(), "a store was made for nothing");
}

#[test]
fn a_registry_without_search_is_searched_by_its_catalog() {
    let Some(registry) = Registry::start(&Options::default()) else { return };
    let (sandbox, host) = (Sandbox::new(), registry.address());
    for name in ["team/busybox:1", "team/busybox:2", "other:1"] {
        place_multi_platform(&sandbox, &format!("{host}/{name}"));
        sandbox.nacre(["push", "-q", &format!("{host}/{name}")]).ok();
    }
    let found = sandbox.nacre(["search", "--format", "{{.Name}}", &format!("{host}/busy")]).ok();
    assert_eq!(found.stdout, format!("{host}/team/busybox\n"));
    let tags = sandbox.nacre(["search", "--list-tags", &format!("{host}/team/busybox")]).ok();
    let words: Vec<Vec<&str>> = tags.lines().iter().map(|line| line.split_whitespace().collect()).collect();
    let name = format!("{host}/team/busybox");
    assert_eq!(words, [["NAME", "TAG"], [&name, "1"], [&name, "2"]]);
    let missing = sandbox.nacre(["search", "--list-tags", &format!("{host}/no/such")]).fails(1);
    assert!(missing.stderr.contains("no/such") && missing.stderr.contains("not found"), "{}", missing.stderr);
    let one = sandbox.nacre(["search", "--list-tags", "--limit", "1", &name]).ok();
    assert_eq!(one.lines().len(), 2);
}

#[test]
fn inspect_remote_shows_what_a_pull_would_bring() {
    let (origin, sandbox) = (Sandbox::new(), Sandbox::new());
    let digest = place_multi_platform(&origin, "busybox:1");
    let server = origin.serve();
    let name = server.name("busybox:1");
    let shown = sandbox
        .nacre(["inspect", "--remote", "-f", "{{.Id}} {{.Architecture}} {{json .Platforms}}", "--platform", "linux/arm64", &name])
        .ok();
    assert_eq!(shown.stdout, format!("{digest} arm64 [\"linux/amd64\",\"linux/arm64\"]\n"));
    assert!(!sandbox.root().exists(), "a store was made for nothing");
    sandbox.nacre(["pull", "-q", "--all-platforms", &name]).ok();
    let fields = "{{json .RepoTags}} {{json .RepoDigests}} {{.Created}} {{json .Config}} {{json .RootFS}} {{.Size}} {{json .Layers}}";
    let remote = sandbox.nacre(["inspect", "--remote", "-f", fields, &name]).ok();
    assert_eq!(remote.stdout, sandbox.nacre(["inspect", "-f", fields, &name]).ok().stdout);
    let missing = sandbox.nacre(["inspect", "--remote", &server.name("no:1"), &name]).fails(1);
    assert!(missing.stderr.contains(&server.name("no:1")) && missing.stdout.contains(&digest.to_string()), "{}", missing.stderr);
}
