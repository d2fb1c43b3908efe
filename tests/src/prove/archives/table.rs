//! The table of hostile archives: a name, and what is wrong with it.

use std::iter;

use nacre_oci::{Digest, media_type};
use serde_json::{Value, json};
use tar::EntryType;

use super::tarball::Tarball;
use crate::images;

/// A name and the archive's bytes.
pub(super) type Case = (String, Vec<u8>);

/// The parts of an honest image, to be put together wrongly.
pub(super) struct Parts {
    pub(super) layer: Vec<u8>,
    pub(super) config: Value,
}

pub(super) fn parts() -> Parts {
    let layer = images::layer("etc/hello", b"hello\n");
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(&layer)]},
    });
    Parts { layer, config }
}

/// An honest docker-archive with this `manifest.json`.
pub(super) fn docker(list: &str) -> Tarball {
    let Parts { layer, config } = parts();
    Tarball::default().json("config.json", &config).file("layer.tar", &layer).file("manifest.json", list.as_bytes())
}

pub(super) const LIST: &str = r#"[{"Config":"config.json","RepoTags":["hostile:1"],"Layers":["layer.tar"]}]"#;

/// An OCI archive with this `index.json`, and these blobs under their digests.
pub(super) fn oci(index: &Value, blobs: &[&[u8]]) -> Tarball {
    let start = Tarball::default().file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#).json("index.json", index);
    blobs.iter().fold(start, |tar, blob| tar.file(&format!("blobs/sha256/{}", Digest::of(blob).hex()), blob))
}

pub(super) fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()})
}

/// The manifest, config and layer of the honest image.
pub(super) fn blobs() -> [Vec<u8>; 3] {
    let Parts { layer, config } = parts();
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": descriptor(media_type::OCI_CONFIG, &config), "layers": [descriptor(media_type::OCI_LAYER, &layer)],
    });
    [manifest.to_string().into_bytes(), config, layer]
}

pub(super) fn index_of(manifest: &[u8]) -> Value {
    json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [descriptor(media_type::OCI_MANIFEST, manifest)]})
}

/// All of the table.
pub(super) fn table() -> Vec<Case> {
    iter::empty()
        .chain(names())
        .chain(lists())
        .chain(kinds())
        .chain(configs())
        .chain(headers())
        .chain(cut())
        .chain(layouts())
        .chain(indexes())
        .chain(floods())
        .collect()
}

fn case(name: impl Into<String>, tar: Tarball) -> Case {
    (name.into(), tar.finish())
}

/// Members and paths that lead out.
fn names() -> impl Iterator<Item = Case> {
    let paths = [
        "../outside/a",
        "/etc/passwd",
        "../../../../../../etc/passwd",
        "a/../../outside/a",
        "a\0b",
        "",
        ".",
        "..",
        "\u{1b}[2J",
        "link",
        "loop",
    ];
    let members = paths.map(|path| case(format!("a member {path:?}"), docker(LIST).file(path, b"x")));
    let layers = paths.map(|path| {
        let list = json!([{"Config": "config.json", "RepoTags": ["hostile:1"], "Layers": [path]}]).to_string();
        case(format!("a layer {path:?}"), around(&list))
    });
    let configs = paths.map(|path| {
        let list = json!([{"Config": path, "RepoTags": ["hostile:1"], "Layers": ["layer.tar"]}]).to_string();
        case(format!("a config {path:?}"), around(&list))
    });
    members.into_iter().chain(layers).chain(configs)
}

/// With links that lead out and in circles.
fn around(list: &str) -> Tarball {
    let link = |tar: Tarball, name: &str, target: &str| tar.member(EntryType::Symlink, name, target, b"");
    link(link(link(docker(list), "link", "../outside/a"), "loop", "pool"), "pool", "loop")
}

/// What `manifest.json` may say wrongly.
fn lists() -> impl Iterator<Item = Case> {
    let deep = "[".repeat(100_000);
    let many = format!("[{}]", vec![r#"{"Config":"config.json","Layers":["layer.tar"]}"#; 15_000].join(","));
    let huge = format!("[{}]", " ".repeat(2 << 20));
    let texts = [
        ("empty", ""),
        ("null", "null"),
        ("a number", "1"),
        ("an object", "{}"),
        ("no image", "[]"),
        ("a null image", "[null]"),
        ("an empty image", "[{}]"),
        ("null fields", r#"[{"Config":null,"RepoTags":null,"Layers":null}]"#),
        ("null layers", r#"[{"Config":"config.json","RepoTags":null,"Layers":null}]"#),
        ("a null layer", r#"[{"Config":"config.json","Layers":[null]}]"#),
        ("null tags", r#"[{"Config":"config.json","RepoTags":[null],"Layers":["layer.tar"]}]"#),
        ("too many layers", r#"[{"Config":"config.json","RepoTags":["hostile:1"],"Layers":["layer.tar","layer.tar"]}]"#),
        ("too few layers", r#"[{"Config":"config.json","RepoTags":["hostile:1"],"Layers":[]}]"#),
        ("a missing layer", r#"[{"Config":"config.json","RepoTags":["hostile:1"],"Layers":["none.tar"]}]"#),
        ("a missing config", r#"[{"Config":"none.json","RepoTags":["hostile:1"],"Layers":["layer.tar"]}]"#),
        ("the config as a layer", r#"[{"Config":"config.json","RepoTags":["hostile:1"],"Layers":["config.json"]}]"#),
        ("the layer as a config", r#"[{"Config":"layer.tar","RepoTags":["hostile:1"],"Layers":["layer.tar"]}]"#),
        ("doubled keys", r#"[{"Config":"config.json","Config":"other","RepoTags":["hostile:1"],"Layers":["layer.tar"]}]"#),
        ("keys that differ by case", r#"[{"Config":"config.json","config":"other","Layers":["layer.tar"]}]"#),
        ("control characters in a tag", r#"[{"Config":"config.json","RepoTags":["a\u001b[2J:1"],"Layers":["layer.tar"]}]"#),
        ("a line break in a tag", r#"[{"Config":"config.json","RepoTags":["a:1\nnacre: fine"],"Layers":["layer.tar"]}]"#),
        ("hidden text in a tag", r#"[{"Config":"config.json","RepoTags":["a\u202e\u200b:1"],"Layers":["layer.tar"]}]"#),
        ("control characters in a path", r#"[{"Config":"config.json","RepoTags":[],"Layers":["\u001b]0;x\u0007\r\n"]}]"#),
        ("a tag that is a digest", r#"[{"Config":"config.json","RepoTags":["a@sha256:00"],"Layers":["layer.tar"]}]"#),
        ("a tag of slips", r#"[{"Config":"config.json","RepoTags":["../../a:1"],"Layers":["layer.tar"]}]"#),
        ("half a list", r#"[{"Config":"config.json","#),
        ("more than a list", "[] []"),
        ("no UTF-8 escape", r#"[{"Config":"\ud800"}]"#),
        ("endless nesting", &deep),
        ("15,000 images of one", &many),
        ("two megabytes", &huge),
    ];
    texts.map(|(name, text)| case(format!("manifest.json: {name}"), docker(text))).into_iter()
}

/// Members of the wrong kind.
fn kinds() -> impl Iterator<Item = Case> {
    let kinds = [
        EntryType::Fifo,
        EntryType::Char,
        EntryType::Block,
        EntryType::Directory,
        EntryType::Symlink,
        EntryType::Link,
        EntryType::new(b'Z'),
    ];
    kinds.into_iter().flat_map(|kind| {
        let Parts { layer, config } = parts();
        ["manifest.json", "config.json", "layer.tar", "oci-layout", "index.json"].map(|name| {
            let last = docker(LIST).member(kind, name, "/etc/passwd", b"");
            let member =
                |tar: Tarball, of: &str, bytes: &[u8]| if of == name { tar.member(kind, of, "../a", b"") } else { tar.file(of, bytes) };
            let only = member(member(Tarball::default(), "config.json", config.to_string().as_bytes()), "layer.tar", &layer);
            let only = member(only, "manifest.json", LIST.as_bytes());
            if name.contains('o') { case(format!("{name} again as {kind:?}"), last) } else { case(format!("{name} as {kind:?}"), only) }
        })
    })
}

/// What a config may say wrongly.
fn configs() -> impl Iterator<Item = Case> {
    let changes: [(&str, Value); 13] = [
        ("/rootfs", Value::Null),
        ("/rootfs", json!({})),
        ("/rootfs/diff_ids", Value::Null),
        ("/rootfs/diff_ids", json!([null])),
        ("/rootfs/diff_ids", json!(["sha256:../../x"])),
        ("/rootfs/diff_ids", json!(["md5:00"])),
        ("/rootfs/diff_ids", json!([Digest::of(b"other")])),
        ("/rootfs/diff_ids/0", json!(7)),
        ("/config", json!(7)),
        ("/os", Value::Null),
        ("/os", json!("\u{1b}[2J")),
        ("/architecture", json!(["amd64"])),
        ("/architecture", json!("x".repeat(1 << 20))),
    ];
    let layer = parts().layer;
    changes.into_iter().map(move |(at, value)| {
        let mut config = parts().config;
        let name = format!("config: {at} is {}", value.to_string().chars().take(40).collect::<String>());
        *config.pointer_mut(at).expect("it is there") = value;
        case(name, Tarball::default().json("config.json", &config).file("layer.tar", &layer).file("manifest.json", LIST.as_bytes()))
    })
}

/// Headers that lie.
fn headers() -> impl Iterator<Item = Case> {
    let start = || docker(LIST);
    let sizes = [1, 511, 1 << 20, (1 << 33) - 1, 1 << 40, u64::MAX / 2, u64::MAX];
    let absurd = sizes.map(|size| case(format!("a size of {size}"), start().claiming(EntryType::Regular, "big", "", size, b"x")));
    let paxes = ["0", "5", "1048576", "9223372036854775807", "18446744073709551616", "-1", "x", ""];
    let paxes = paxes.map(|size| {
        case(
            format!("PAX says a size of {size:?}"),
            start().pax(&[("size", size)]).claiming(EntryType::Regular, "big", "", 512, &[b'x'; 512]),
        )
    });
    let unterminated =
        ["30 path=without its end", "9999999 path=x\n", "0 path=x\n", "99999999999999999999 a=b\n", "path=x\n", "6 a=\0\n", "\n"];
    let unterminated = unterminated
        .map(|text| case(format!("PAX of {text:?}"), start().member(EntryType::XHeader, "pax", "", text.as_bytes()).file("x", b"x")));
    let long =
        case("PAX before a GNU name", start().pax(&[("path", "a")]).member(EntryType::GNULongName, "l", "", b"../b\0").file("c", b"x"));
    let slip = case("PAX that leads out", start().pax(&[("path", "../../outside/a")]).file("c", b"x"));
    let endless = case("a GNU name of megabytes", start().member(EntryType::GNULongName, "l", "", &vec![b'a'; 8 << 20]).file("c", b"x"));
    let last = ("PAX without a member".into(), start().pax(&[("path", "a")]).unfinished());
    let again = case("a layer again with other content", start().file("layer.tar", b"other"));
    absurd.into_iter().chain(paxes).chain(unterminated).chain([long, slip, endless, last, again])
}

/// Archives that end too early, at and inside headers and content.
fn cut() -> impl Iterator<Item = Case> {
    let docker = docker(LIST).finish();
    let [manifest, config, layer] = blobs();
    let oci = oci(&index_of(&manifest), &[&manifest, &config, &layer]).finish();
    [("docker-archive", docker), ("OCI archive", oci)].into_iter().flat_map(|(kind, whole)| {
        let places =
            [0, 1, 100, 511, 512, 513, 700, 1024, 1500, 2048, 2560, 3000, whole.len() - 1600, whole.len() - 1024, whole.len() - 512];
        places.map(|at| (format!("a {kind} of {at} bytes"), whole[..at.min(whole.len())].to_vec()))
    })
}

/// OCI archives with wrong blobs.
fn layouts() -> impl Iterator<Item = Case> {
    let [manifest, config, layer] = blobs();
    let index = index_of(&manifest);
    let all: [&[u8]; 3] = [&manifest, &config, &layer];
    let less = (0..3).map(|left_out| {
        let rest: Vec<&[u8]> = all.iter().enumerate().filter(|(n, _)| *n != left_out).map(|(_, blob)| *blob).collect();
        case(format!("blob {left_out} is missing"), oci(&index, &rest))
    });
    let wrong = all.iter().enumerate().flat_map(|(n, blob)| {
        let name = format!("blobs/sha256/{}", Digest::of(blob).hex());
        let mut flipped = blob.to_vec();
        flipped[blob.len() / 2] ^= 1;
        let longer = [blob, &b"x"[..]].concat();
        let whole = || oci(&index, &all);
        [
            case(format!("blob {n} flipped"), whole().file(&name, &flipped)),
            case(format!("blob {n} longer"), whole().file(&name, &longer)),
            case(format!("blob {n} shorter"), whole().file(&name, &blob[1..])),
            case(format!("blob {n} links out"), whole().member(EntryType::Symlink, &name, "../../../outside/a", b"")),
            case(format!("blob {n} links to itself"), whole().member(EntryType::Symlink, &name, Digest::of(blob).hex(), b"")),
        ]
    });
    let versions = [r#"{"imageLayoutVersion":"2.0.0"}"#, "{}", "null", "", r#"{"imageLayoutVersion":"\u001b[2J"}"#];
    let versions = versions.map(|text| case(format!("oci-layout {text}"), oci(&index, &all).file("oci-layout", text.as_bytes())));
    less.chain(wrong).chain(versions).collect::<Vec<_>>().into_iter()
}

/// Indexes that say too much, nothing, or the same for ever.
fn indexes() -> impl Iterator<Item = Case> {
    let [manifest, config, layer] = blobs();
    let all: Vec<&[u8]> = vec![&manifest, &config, &layer];
    let texts = [
        json!(null),
        json!([]),
        json!({"schemaVersion": 2}),
        json!({"schemaVersion": 2, "manifests": null}),
        json!({"schemaVersion": 2, "manifests": [null]}),
        json!({"schemaVersion": 2, "manifests": []}),
        json!({"schemaVersion": 2, "manifests": [{"mediaType": media_type::OCI_MANIFEST, "digest": "sha256:../x", "size": 1}]}),
        json!({"schemaVersion": 2, "manifests": [{"mediaType": media_type::OCI_MANIFEST, "digest": Digest::of(&manifest), "size": -1}]}),
        json!({"schemaVersion": 2, "manifests": [{"mediaType": media_type::OCI_MANIFEST, "digest": Digest::of(&manifest), "size": 1}]}),
        json!({"schemaVersion": 2, "manifests": [{"mediaType": "\u{1b}[2J", "digest": Digest::of(&manifest), "size": manifest.len()}]}),
        json!({"schemaVersion": 2, "manifests": [{"mediaType": media_type::OCI_INDEX, "digest": Digest::of(&manifest), "size": manifest.len()}]}),
        json!({"schemaVersion": 2, "manifests": [], "layers": [], "config": {}}),
        json!({"schemaVersion": 1, "manifests": []}),
    ];
    let texts = texts.into_iter().enumerate().map(|(n, text)| case(format!("index.json {n}"), oci(&text, &all)));
    let names = ["hostile:1", "a\u{1b}[2J", "a\nnacre: fine", "\u{202e}x:1", "../../x", "", "a:b:c"].map(|name| {
        let mut index = index_of(&manifest);
        index["manifests"][0]["annotations"] = json!({"org.opencontainers.image.ref.name": name, "io.containerd.image.name": name});
        case(format!("an image of the name {name:?}"), oci(&index, &all))
    });
    let deep = [5, 50, 2000].map(|depth| {
        let mut kept = vec![index_of(&manifest).to_string().into_bytes()];
        for n in 0..depth {
            let index =
                json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [descriptor(media_type::OCI_INDEX, &kept[n])]});
            kept.push(index.to_string().into_bytes());
        }
        let top = serde_json::from_slice(kept.last().expect("it has one")).expect("it is JSON");
        let blobs: Vec<&[u8]> = kept.iter().map(Vec::as_slice).chain(all.iter().copied()).collect();
        case(format!("indexes {depth} deep"), oci(&top, &blobs))
    });
    // A digest that it would hold itself cannot be made, so the other of the circle only claims it.
    let claimed = Digest::of(b"circle");
    let circle = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [{"mediaType": media_type::OCI_INDEX, "digest": claimed, "size": 300}]});
    let bytes = circle.to_string();
    let circle = oci(&circle, &[bytes.as_bytes()]).file(&format!("blobs/sha256/{}", claimed.hex()), bytes.as_bytes());
    texts.chain(names).chain(deep).chain([case("indexes in a circle", circle)]).collect::<Vec<_>>().into_iter()
}

/// Too much of everything.
fn floods() -> impl Iterator<Item = Case> {
    let members = (0..100_000).fold(docker(LIST), |tar, n| tar.file(&format!("file-{n}"), b""));
    let same = (0..5_000).fold(docker(LIST), |tar, _| tar.file("layer.tar", b"x"));
    let links = (0..1_000).fold(docker(LIST), |tar, n| tar.member(EntryType::Symlink, &format!("l{n}"), &format!("l{}", n + 1), b""));
    let links = links.file("manifest.json", br#"[{"Config":"l0","Layers":[]}]"#);
    [case("100,000 members", members), case("one member 5,000 times", same), case("1,000 links in a row", links)].into_iter()
}
