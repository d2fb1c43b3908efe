//! What the official conformance suite pushes: images, indexes and artifacts of every shape, as bytes.

use std::collections::BTreeMap;

use nacre_oci::{Algorithm, Digest, Hasher, media_type};
use nacre_tests::images::noise;
use serde_json::{Value, json};

pub(crate) const EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub(crate) const KIND: &str = "application/vnd.example.kind";
const OTHER_KIND: &str = "application/vnd.example.other";

/// Something to push, in the order in which clients do: blobs, documents, tags.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    algorithm: Algorithm,
    pub(crate) blobs: BTreeMap<Digest, Vec<u8>>,
    pub(crate) documents: Vec<Pushed>,
    /// A tag for the last document, where it can have one: a tag stands for a SHA-256.
    pub(crate) tag: Option<&'static str>,
}

/// A manifest or index.
pub(crate) struct Pushed {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) json: Value,
}

pub(crate) fn digest(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.digest()
}

impl Sample {
    fn new(name: &'static str, algorithm: Algorithm) -> Self {
        let tag = (algorithm == Algorithm::Sha256).then_some(name);
        Self { name, algorithm, blobs: BTreeMap::new(), documents: Vec::new(), tag }
    }

    /// Adds a blob and returns its descriptor.
    fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = digest(self.algorithm, bytes);
        self.blobs.insert(digest.clone(), bytes.to_vec());
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    /// Adds a document and returns its descriptor.
    fn document(&mut self, media_type: &str, fields: &Value, more: &Value) -> Value {
        let mut json = json!({ "schemaVersion": 2, "mediaType": media_type });
        for fields in [fields, more] {
            json.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        }
        let bytes = serde_json::to_vec_pretty(&json).unwrap();
        let digest = digest(self.algorithm, &bytes);
        let descriptor = json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() });
        self.documents.push(Pushed { digest, media_type: media_type.into(), bytes, json });
        descriptor
    }

    /// An image of two layers; `seed` tells it from others.
    fn image(&mut self, seed: u64, more: &Value) -> Value {
        let layers: Vec<Value> = (0..2).map(|n| self.blob(media_type::OCI_LAYER, &noise(2000, seed * 10 + n))).collect();
        let config =
            json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [] }, "author": seed.to_string() });
        let config = self.blob(media_type::OCI_CONFIG, config.to_string().as_bytes());
        self.document(media_type::OCI_MANIFEST, &json!({ "config": config, "layers": layers }), more)
    }

    /// An artifact of one blob.
    fn artifact(&mut self, seed: u64, more: &Value) -> Value {
        let (config, layer) = (self.blob(EMPTY, b"{}"), self.blob("application/octet-stream", &noise(500, seed)));
        self.document(media_type::OCI_MANIFEST, &json!({ "config": config, "layers": [layer] }), more)
    }

    fn index(&mut self, children: &[Value], more: &Value) -> Value {
        self.document(media_type::OCI_INDEX, &json!({ "manifests": children }), more)
    }

    /// What the list of a subject's referrers has to say about each document that names it.
    pub(crate) fn referrers(&self, subject: &Digest) -> Vec<Value> {
        let about = |one: &&Pushed| one.json["subject"]["digest"].as_str() == Some(&subject.to_string());
        let mut found: Vec<Value> = self.documents.iter().filter(about).map(Pushed::referrer).collect();
        found.sort_by_key(|one| one["digest"].as_str().unwrap().to_owned());
        found
    }
}

impl Pushed {
    pub(crate) fn subject(&self) -> Option<Digest> {
        self.json["subject"]["digest"].as_str().map(|digest| digest.parse().unwrap())
    }

    /// Its descriptor in a list of referrers: a manifest without an artifact type has its config's media type, an index none.
    fn referrer(&self) -> Value {
        let mut descriptor = json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len() });
        let kind = self.json.get("artifactType").or_else(|| self.json.pointer("/config/mediaType"));
        for (field, value) in [("artifactType", kind), ("annotations", self.json.get("annotations"))] {
            if let Some(value) = value {
                descriptor[field] = value.clone();
            }
        }
        descriptor
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Sample> {
    [plain(), indexes(), artifacts(), about(), odd()].into_iter().flatten().collect()
}

fn made(name: &'static str, make: impl FnOnce(&mut Sample)) -> Sample {
    let mut sample = Sample::new(name, Algorithm::Sha256);
    make(&mut sample);
    sample
}

fn plain() -> Vec<Sample> {
    // Almost the four megabytes that a registry should take.
    let notes: BTreeMap<String, String> = (0..390).map(|n| (format!("large-annotation-{n}"), "A".repeat(10_000))).collect();
    let no_layers = |sample: &mut Sample| {
        let config = sample.blob(media_type::OCI_CONFIG, b"{\"os\":\"linux\"}");
        sample.document(media_type::OCI_MANIFEST, &json!({ "config": config, "layers": [] }), &json!({}));
    };
    vec![
        made("image", |sample| drop(sample.image(1, &json!({})))),
        made("large-manifest", |sample| drop(sample.image(2, &json!({ "annotations": notes })))),
        made("no-layers", no_layers),
    ]
}

/// An index of two images.
fn pair(sample: &mut Sample, seed: u64, more: &Value) -> Value {
    let children = [sample.image(seed, &json!({})), sample.image(seed + 1, &json!({}))];
    sample.index(&children, more)
}

fn indexes() -> Vec<Sample> {
    let nested = |sample: &mut Sample| {
        let inner = [pair(sample, 20, &json!({})), pair(sample, 22, &json!({}))];
        sample.index(&inner, &json!({}));
    };
    let sparse = |sample: &mut Sample| {
        let here = sample.image(24, &json!({}));
        let missing = json!({ "mediaType": media_type::OCI_MANIFEST, "digest": Digest::of(b"not pushed"), "size": 1024,
                              "platform": { "os": "linux", "architecture": "arm64" } });
        sample.index(&[here, missing], &json!({}));
    };
    let mut sha512 = Sample::new("sha512", Algorithm::Sha512);
    pair(&mut sha512, 28, &json!({}));
    vec![
        made("index", |sample| drop(pair(sample, 26, &json!({})))),
        made("nested-index", nested),
        made("empty-index", |sample| drop(sample.index(&[], &json!({})))),
        made("sparse-index", sparse),
        sha512,
    ]
}

fn artifacts() -> Vec<Sample> {
    let index = |sample: &mut Sample| {
        let children = [sample.artifact(40, &json!({ "artifactType": KIND })), sample.artifact(41, &json!({ "artifactType": KIND }))];
        sample.index(&children, &json!({ "artifactType": KIND }));
    };
    let bare = |sample: &mut Sample| {
        let empty = sample.blob(EMPTY, b"{}");
        sample.document(media_type::OCI_MANIFEST, &json!({ "config": empty, "layers": [empty] }), &json!({ "artifactType": KIND }));
    };
    vec![
        made("artifact", |sample| drop(sample.artifact(42, &json!({ "artifactType": KIND })))),
        made("artifact-index", index),
        made("artifact-without-layers", bare),
    ]
}

/// With subjects.
fn about() -> Vec<Sample> {
    let note =
        |kind: &str, subject: &Value| json!({ "artifactType": kind, "subject": subject, "annotations": { "org.example.note": kind } });
    let manifests = |sample: &mut Sample| {
        let image = sample.image(60, &json!({}));
        // Its kind is its config's.
        sample.image(61, &json!({ "subject": image }));
        sample.artifact(62, &note(KIND, &image));
        sample.artifact(63, &note(OTHER_KIND, &image));
    };
    let indexes = |sample: &mut Sample| {
        let index = pair(sample, 64, &json!({}));
        let child = sample.artifact(66, &json!({ "artifactType": KIND }));
        // One without a kind, which the list must not give one.
        sample.index(std::slice::from_ref(&child), &json!({ "subject": index }));
        sample.index(&[child], &note(KIND, &index));
    };
    let missing = json!({ "mediaType": media_type::OCI_MANIFEST, "digest": Digest::of(b"missing subject"), "size": 123 });
    vec![
        made("artifacts-with-subject", manifests),
        made("index-with-subject", indexes),
        made("missing-subject", |sample| drop(sample.artifact(68, &note(KIND, &missing)))),
    ]
}

/// With what is rare.
fn odd() -> Vec<Sample> {
    let data = |sample: &mut Sample| {
        let mut config = sample.blob(EMPTY, b"{}");
        config["data"] = json!("e30=");
        sample.document(media_type::OCI_MANIFEST, &json!({ "config": config, "layers": [config] }), &json!({ "artifactType": KIND }));
    };
    let foreign = |sample: &mut Sample| {
        let config = sample.blob(media_type::OCI_CONFIG, b"{\"architecture\":\"amd64\",\"os\":\"linux\"}");
        let elsewhere = |kind: &str, seed: &[u8]| {
            let digest = Digest::of(seed);
            let url = format!("https://store.example.com/blobs/{digest}");
            json!({ "mediaType": kind, "digest": digest, "size": 12345, "urls": [url] })
        };
        let layers = [
            elsewhere("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", b"one"),
            elsewhere("application/vnd.oci.image.layer.nondistributable.v1.tar", b"two"),
            sample.blob(media_type::OCI_LAYER, b"here"),
        ];
        sample.document(media_type::OCI_MANIFEST, &json!({ "config": config, "layers": layers }), &json!({}));
    };
    let custom = |sample: &mut Sample| {
        let child = sample.image(80, &json!({ "org.example.custom": "7f3a" }));
        sample.index(&[child], &json!({ "org.example.custom": { "nested": [1, 2] } }));
    };
    vec![made("data-field", data), made("non-distributable-layers", foreign), made("custom-fields", custom)]
}
