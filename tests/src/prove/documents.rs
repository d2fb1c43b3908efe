//! Documents that a hostile registry may have: each under its own digest, so that only what is in them is wrong.

use nacre_oci::{Digest, media_type::*};
use serde_json::{Value, json};

use super::{
    registries::Ends::{self, Either, Error, Success},
    scripted::{Documents, Image, Make},
};

/// A name, how a pull of it has to end, and the documents.
pub(super) type Document = (&'static str, Ends, Make);

/// Nobody has it.
const NONE: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
const ESCAPES: &str = "\u{1b}[31mred\u{7}\u{9b}2J\r\n\u{202e}evil\u{0}";

/// The manifest with something at a JSON pointer.
fn with(image: &Image, pointer: &str, value: Value) -> Documents {
    let mut json = image.json();
    *json.pointer_mut(pointer).unwrap() = value;
    written(&json)
}

/// The manifest with one more field.
fn more(image: &Image, key: &str, value: Value) -> Documents {
    let mut json = image.json();
    json[key] = value;
    written(&json)
}

fn written(json: &Value) -> Documents {
    raw(serde_json::to_vec(json).unwrap())
}

fn raw(bytes: impl Into<Vec<u8>>) -> Documents {
    vec![(OCI_MANIFEST.to_owned(), bytes.into())]
}

fn text(image: &Image) -> String {
    String::from_utf8(image.manifest.clone()).unwrap()
}

/// An index over these children.
fn index(children: &Value) -> (String, Vec<u8>) {
    (OCI_INDEX.to_owned(), serde_json::to_vec(&json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children})).unwrap())
}

fn child(kind: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": Digest::of(bytes).to_string(), "size": bytes.len()})
}

fn own(image: &Image) -> Value {
    child(OCI_MANIFEST, &image.manifest)
}

/// Indexes within indexes, the image innermost.
fn nested(image: &Image, levels: usize) -> Documents {
    let mut all = vec![index(&json!([own(image)]))];
    for _ in 1..levels {
        let (kind, bytes) = all.last().unwrap();
        all.push(index(&json!([child(kind, bytes)])));
    }
    all.reverse();
    all
}

/// The image with another config.
fn config(image: &Image, bytes: &[u8]) -> Documents {
    let mut documents = with(image, "/config", child(OCI_CONFIG, bytes));
    documents.push((OCI_CONFIG.to_owned(), bytes.to_vec()));
    documents
}

fn layers(image: &Image, count: usize) -> Documents {
    let layer = |n: usize| json!({"mediaType": OCI_LAYER, "digest": format!("sha256:{n:064x}"), "size": 1});
    with(image, "/layers", (0..count).map(layer).collect())
}

fn sized(image: &Image, pointer: &str, difference: i64) -> Documents {
    let size = image.json().pointer(pointer).and_then(Value::as_i64).unwrap();
    with(image, pointer, json!(size + difference))
}

pub(super) const DOCUMENTS: &[Document] = &[
    ("both manifests and layers", Error, |image| more(image, "manifests", json!([]))),
    ("a key twice", Error, |image| raw(text(image).replacen('{', r#"{"schemaVersion":2,"#, 1))),
    ("a key twice in a layer", Error, |image| raw(text(image).replacen(r#""size":"#, r#""size":1,"size":"#, 1))),
    ("a manifest that calls itself an index", Error, |image| with(image, "/mediaType", json!(OCI_INDEX))),
    ("an index announced as a manifest", Error, |image| raw(index(&json!([own(image)])).1)),
    ("Docker's type in OCI's header", Error, |image| with(image, "/mediaType", json!(DOCKER_MANIFEST))),
    ("no such media type", Error, |image| with(image, "/mediaType", json!("text/plain"))),
    ("no config", Error, |image| with(image, "/config", Value::Null)),
    ("no layers", Error, |image| with(image, "/layers", Value::Null)),
    ("a layer that is null", Error, |image| with(image, "/layers/0", Value::Null)),
    ("a layer without a digest", Error, |image| with(image, "/layers/0/digest", Value::Null)),
    ("a layer without a size", Error, |image| with(image, "/layers/0/size", Value::Null)),
    ("a layer without a media type", Error, |image| with(image, "/layers/0/mediaType", Value::Null)),
    ("null annotations", Either, |image| more(image, "annotations", Value::Null)),
    ("annotations that are no texts", Error, |image| more(image, "annotations", json!({"a": [1]}))),
    ("a subject that is a text", Error, |image| more(image, "subject", json!("x"))),
    ("manifests that are null", Error, |_| vec![index(&Value::Null)]),
    ("an index of nothing", Error, |_| vec![index(&json!([]))]),
    ("an index of null", Error, |_| vec![index(&json!([null]))]),
    ("schema 1", Error, |_| raw(r#"{"schemaVersion":1,"name":"app","tag":"1","fsLayers":[{"blobSum":"sha256:0"}],"history":[]}"#)),
    ("schema 3", Error, |image| with(image, "/schemaVersion", json!(3))),
    ("a schema that is a text", Error, |image| with(image, "/schemaVersion", json!("2"))),
    ("a digest that climbs", Error, |image| with(image, "/layers/0/digest", json!("sha256:../../../../etc/passwd"))),
    ("a config's digest that climbs", Error, |image| with(image, "/config/digest", json!("sha256:../x"))),
    ("an algorithm that climbs", Error, |image| with(image, "/layers/0/digest", json!("../../x:00"))),
    ("a digest in capitals", Error, |image| with(image, "/layers/0/digest", json!(format!("sha256:{}", "A".repeat(64))))),
    ("an unknown algorithm", Error, |image| with(image, "/layers/0/digest", json!("md5:d41d8cd98f00b204e9800998ecf8427e"))),
    ("a short digest", Error, |image| with(image, "/layers/0/digest", json!("sha256:00"))),
    ("a digest with a newline", Error, |image| with(image, "/layers/0/digest", json!(format!("{NONE}\n")))),
    ("a digest with escapes", Error, |image| with(image, "/layers/0/digest", json!(ESCAPES))),
    ("a negative size", Error, |image| with(image, "/layers/0/size", json!(-1))),
    ("a size above all numbers", Error, |image| raw(text(image).replacen(r#""size":"#, r#""size":99999999999999999999"#, 1))),
    ("a fraction of a byte", Error, |image| with(image, "/layers/0/size", json!(1.5))),
    ("a layer of an exbibyte", Error, |image| with(image, "/layers/0/size", json!(1_u64 << 60))),
    ("a layer one byte shorter", Error, |image| sized(image, "/layers/0/size", -1)),
    ("a layer one byte longer", Error, |image| sized(image, "/layers/0/size", 1)),
    ("a config one byte shorter", Error, |image| sized(image, "/config/size", -1)),
    ("a config one byte longer", Error, |image| sized(image, "/config/size", 1)),
    ("a layer of no bytes that has some", Error, |image| with(image, "/layers/0/size", json!(0))),
    ("a layer that is elsewhere too", Success, |image| {
        let mut json = image.json();
        json["layers"][1]["urls"] = json!(["http://192.0.2.1/layer"]);
        written(&json)
    }),
    ("a foreign layer that nobody has", Error, |image| {
        let kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        with(image, "/layers/0", json!({"mediaType": kind, "digest": NONE, "size": 9, "urls": ["http://192.0.2.1/layer"]}))
    }),
    ("a layer that nobody has", Error, |image| with(image, "/layers/0/digest", json!(NONE))),
    ("a layer whose type is an index", Error, |image| with(image, "/layers/0/mediaType", json!(OCI_INDEX))),
    ("escapes in a layer's type", Either, |image| with(image, "/layers/0/mediaType", json!(ESCAPES))),
    ("escapes in annotations", Either, |image| more(image, "annotations", json!({ESCAPES: ESCAPES}))),
    ("escapes in the artifact type", Either, |image| more(image, "artifactType", json!(ESCAPES))),
    ("escapes in the media type", Error, |image| with(image, "/mediaType", json!(ESCAPES))),
    ("escapes in a platform", Error, |image| {
        let mut listed = own(image);
        listed["platform"] = json!({"os": ESCAPES, "architecture": ESCAPES, "variant": ESCAPES});
        vec![index(&json!([listed]))]
    }),
    ("a platform that is null", Either, |image| {
        let mut listed = own(image);
        listed["platform"] = json!({"os": null, "architecture": null});
        vec![index(&json!([listed]))]
    }),
    ("nothing", Error, |_| raw("")),
    ("a page", Error, |_| raw("<!DOCTYPE html><html><body>Sign in</body></html>")),
    ("a list", Error, |_| raw("[]")),
    ("half a manifest", Error, |image| raw(&image.manifest[..image.manifest.len() / 2])),
    ("two manifests", Error, |image| raw([&image.manifest[..], &image.manifest[..]].concat())),
    ("bytes that are no text", Error, |_| raw([0xff, 0xfe, 0x00, 0x7b, 0x9b])),
    ("lists within lists", Error, |_| raw(format!(r#"{{"schemaVersion":2,"config":{}"#, "[".repeat(100_000)))),
    ("5 MiB of spaces", Error, |image| raw([vec![b' '; 5 << 20], image.manifest.clone()].concat())),
    ("a gzip bomb", Error, |_| raw([&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0xec; 4000][..]].concat())),
    ("20,000 layers that nobody has", Error, |image| layers(image, 20_000)),
    ("8 levels of indexes", Either, |image| nested(image, 8)),
    ("20 levels of indexes", Error, |image| nested(image, 20)),
    ("200 levels of indexes", Error, |image| nested(image, 200)),
    ("10,000 times the same child", Either, |image| vec![index(&vec![own(image); 10_000].into())]),
    ("10,000 children that nobody has", Error, |_| {
        let listed = |n: usize| json!({"mediaType": OCI_MANIFEST, "digest": format!("sha256:{n:064x}"), "size": 9});
        vec![index(&(0..10_000).map(listed).collect())]
    }),
    ("5,000 children for other platforms", Error, |image| {
        let listed = |n: usize| {
            let mut listed = own(image);
            listed["platform"] = json!({"os": format!("os{n}"), "architecture": "amd64"});
            listed
        };
        vec![index(&(0..5_000).map(listed).collect())]
    }),
    ("a child one byte longer", Error, |image| {
        let mut listed = own(image);
        listed["size"] = json!(image.manifest.len() + 1);
        vec![index(&json!([listed]))]
    }),
    ("a child of another type", Error, |image| vec![index(&json!([child(DOCKER_MANIFEST, &image.manifest)]))]),
    ("a child of 8 GiB", Error, |_| vec![index(&json!([{"mediaType": OCI_MANIFEST, "digest": NONE, "size": 8_u64 << 30}]))]),
    ("a config that nobody has", Error, |image| with(image, "/config/digest", json!(NONE))),
    ("a config of nothing", Either, |image| config(image, b"{}")),
    ("a config that is null", Error, |image| config(image, b"null")),
    ("a config that is a list", Error, |image| config(image, b"[]")),
    ("a config of nulls", Error, |image| config(image, br#"{"architecture":null,"os":null,"config":null,"rootfs":null,"history":null}"#)),
    ("a config with a key twice", Error, |image| {
        config(image, br#"{"os":"linux","os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}"#)
    }),
    ("a config with escapes", Either, |image| {
        let all = json!({"os": ESCAPES, "architecture": ESCAPES, "author": ESCAPES, "created": ESCAPES, "variant": ESCAPES,
            "config": {"Labels": {ESCAPES: ESCAPES}, "Env": [ESCAPES], "User": ESCAPES},
            "rootfs": {"type": ESCAPES, "diff_ids": []}, "history": [{"created_by": ESCAPES}]});
        config(image, all.to_string().as_bytes())
    }),
    ("a config with a diffID that climbs", Error, |image| {
        config(image, br#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["sha256:../../x"]}}"#)
    }),
    ("a config of 8 GiB", Error, |image| with(image, "/config/size", json!(8_u64 << 30))),
    ("a layer as the config", Error, |image| {
        let layer = image.json()["layers"][0].clone();
        let mut json = image.json();
        json["config"] = json!({"mediaType": OCI_CONFIG, "digest": layer["digest"], "size": layer["size"]});
        written(&json)
    }),
    ("the same layer 5,000 times", Either, |image| {
        let layer = image.json()["layers"][0].clone();
        with(image, "/layers", vec![layer; 5_000].into())
    }),
    ("a text of 3 MiB", Either, |image| more(image, "annotations", json!({"a": "x".repeat(3 << 20)}))),
];
