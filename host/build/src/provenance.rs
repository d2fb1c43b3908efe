//! Provenance: how an image was made, as an attestation beside it (SLSA, in-toto; stored as BuildKit does).

use std::collections::BTreeMap;

use nacre_oci::{Descriptor, Digest, Document, Index, Manifest, Platform, media_type};
use serde_json::{Value, json};

use crate::{Built, BuiltImage, Material, Mode, Result};

/// What an in-toto statement is.
const STATEMENT: &str = "application/vnd.in-toto+json";
/// What the fields of the predicate mean: nacre's own.
const BUILD_TYPE: &str = "urn:nacre:build:v1";

/// Which version of SLSA's predicate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slsa {
    /// 0.2, for older verifiers.
    V02,
    /// 1.
    #[default]
    V1,
}

impl Slsa {
    fn predicate_type(self) -> &'static str {
        match self {
            Self::V02 => "https://slsa.dev/provenance/v0.2",
            Self::V1 => "https://slsa.dev/provenance/v1",
        }
    }
}

/// What the build itself cannot know.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// With [`Mode::Max`] also the parameters and the steps.
    pub mode: Mode,
    /// In which version's terms.
    pub slsa: Slsa,
    /// nacre's version.
    pub version: String,
    /// The frontend's plugin ...
    pub frontend: String,
    /// ... and the digest of its component.
    pub frontend_digest: Digest,
    /// The build's file, as a path in its context.
    pub file: String,
    /// Parameters such as `build-arg:VERSION`. No secrets.
    pub parameters: BTreeMap<String, String>,
    /// When the build began and ended, Unix seconds.
    pub times: (i64, i64),
    /// The image's names.
    pub names: Vec<String>,
}

/// Puts an index over the built images that also has a statement about each. It is what the image is from then on.
///
/// # Errors
/// If the image's own document cannot be read.
pub fn attest(built: &mut Built, provenance: &Provenance) -> Result<()> {
    let mut index = match built.root.document()? {
        Document::Index(index) => index,
        Document::Manifest(_) => Index {
            schema_version: 2,
            media_type: media_type::OCI_INDEX.into(),
            artifact_type: None,
            manifests: built.images.iter().map(listed).collect(),
            subject: None,
            annotations: BTreeMap::new(),
        },
    };
    for image in &built.images {
        index.manifests.push(attestation(built, image, provenance));
    }
    built.root = built.content.put(media_type::OCI_INDEX, bytes(&json!(index)));
    Ok(())
}

fn listed(image: &BuiltImage) -> Descriptor {
    Descriptor { platform: Some(image.platform.clone()), ..image.manifest.descriptor.clone() }
}

/// The manifest of a statement about an image, as it stands in an index.
fn attestation(built: &Built, image: &BuiltImage, provenance: &Provenance) -> Descriptor {
    let statement = built.content.put(STATEMENT, bytes(&statement(built, image, provenance))).descriptor;
    let config = json!({
        "architecture": "unknown", "os": "unknown", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [statement.digest] },
    });
    let manifest = Manifest {
        schema_version: 2,
        media_type: media_type::OCI_MANIFEST.into(),
        artifact_type: None,
        config: built.content.put(media_type::OCI_CONFIG, bytes(&config)).descriptor,
        layers: vec![Descriptor { annotations: one("in-toto.io/predicate-type", provenance.slsa.predicate_type()), ..statement }],
        subject: None,
        annotations: BTreeMap::new(),
    };
    let mut annotations = one("vnd.docker.reference.type", "attestation-manifest");
    annotations.insert("vnd.docker.reference.digest".into(), image.manifest.descriptor.digest.to_string());
    let unknown = || "unknown".to_owned();
    let platform = Platform { os: unknown(), architecture: unknown(), variant: None, os_version: None, os_features: Vec::new() };
    let manifest = built.content.put(media_type::OCI_MANIFEST, bytes(&json!(manifest))).descriptor;
    Descriptor { platform: Some(platform), annotations, ..manifest }
}

fn statement(built: &Built, image: &BuiltImage, provenance: &Provenance) -> Value {
    let digest = &image.manifest.descriptor.digest;
    let digest = json!({ digest.algorithm().name(): digest.hex() });
    let platform = image.platform.to_string().replace('/', "%2F");
    let name = |name: &String| match name.rsplit_once(':') {
        Some((name, tag)) => format!("pkg:docker/{name}@{tag}?platform={platform}"),
        None => format!("pkg:docker/{name}?platform={platform}"),
    };
    let mut names: Vec<String> = provenance.names.iter().map(name).collect();
    if names.is_empty() {
        names.push("_".into());
    }
    let subject: Vec<Value> = names.iter().map(|name| json!({ "name": name, "digest": digest })).collect();
    json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": provenance.slsa.predicate_type(),
        "subject": subject,
        "predicate": predicate(built, provenance),
    })
}

/// What both versions say.
fn predicate(built: &Built, provenance: &Provenance) -> Value {
    let frontend = Material::new(format!("pkg:generic/nacre-plugin/{}", provenance.frontend), &provenance.frontend_digest);
    let all = [&frontend].into_iter().chain(&built.materials);
    let materials: Vec<Value> = all.map(|material| json!({ "uri": material.uri, "digest": material.digest })).collect();
    let frontend = json!({ "name": provenance.frontend, "digest": frontend.digest });
    let max = provenance.mode == Mode::Max;
    let parameters = if max { json!(provenance.parameters) } else { json!({}) };
    let steps: Vec<Value> = built.steps.iter().filter(|_| max).map(step).collect();
    let builder = format!("urn:nacre:builder:{}", provenance.version);
    match provenance.slsa {
        Slsa::V1 => version_1(provenance, &frontend, &parameters, &materials, &steps, &builder),
        Slsa::V02 => version_02(provenance, &frontend, &parameters, &materials, &steps, &builder),
    }
}

/// SLSA's provenance, version 1.
fn version_1(provenance: &Provenance, frontend: &Value, parameters: &Value, materials: &[Value], steps: &[Value], builder: &str) -> Value {
    json!({
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "configSource": { "path": provenance.file }, "frontend": frontend, "parameters": parameters,
            },
            "internalParameters": { "builderPlatform": Platform::host().to_string() },
            "resolvedDependencies": materials,
        },
        "runDetails": {
            "builder": { "id": builder, "version": { "nacre": provenance.version } },
            "metadata": { "startedOn": time(provenance.times.0), "finishedOn": time(provenance.times.1), "steps": steps },
        },
    })
}

/// SLSA's provenance, version 0.2.
fn version_02(provenance: &Provenance, frontend: &Value, parameters: &Value, materials: &[Value], steps: &[Value], builder: &str) -> Value {
    json!({
        "builder": { "id": builder },
        "buildType": BUILD_TYPE,
        "materials": materials,
        "invocation": {
            "configSource": { "entryPoint": provenance.file },
            "parameters": { "frontend": frontend, "args": parameters },
            "environment": { "platform": Platform::host().to_string() },
        },
        "buildConfig": { "steps": steps },
        "metadata": {
            "buildStartedOn": time(provenance.times.0),
            "buildFinishedOn": time(provenance.times.1),
            "completeness": { "parameters": provenance.mode == Mode::Max, "environment": false, "materials": false },
            "reproducible": false,
        },
    })
}

fn time(at: i64) -> String {
    jiff::Timestamp::from_second(at).unwrap_or_default().to_string()
}

fn step(step: &crate::Step) -> Value {
    let layers = step.record.iter().flat_map(|record| &record.layers).map(|layer| json!(layer.diff_id)).collect::<Vec<_>>();
    json!({ "name": step.name, "cached": step.cached, "layers": layers })
}

fn one(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}

fn bytes(value: &Value) -> Vec<u8> {
    // Maps of values are sorted, so the same build says the same.
    value.to_string().into_bytes()
}
