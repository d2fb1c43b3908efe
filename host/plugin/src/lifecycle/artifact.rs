//! Plugins in registries: artifacts in the format of CNCF's Wasm working group ("Wasm OCI Artifact"), which other
//! WebAssembly clients push and pull as well.
//!
//! One layer, the component; a config that lists its imports and exports, so that they are known before it is
//! downloaded. Nacre adds two annotations, and needs neither: `plugin.toml` is in the component too.

use std::collections::BTreeMap;

use nacre_oci::{Descriptor, Document, Error as OciError, Memory, Source, media_type, parse_strict, read_document, read_small};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::check::Surface;
use crate::error::{Error, Fault};
use crate::lifecycle::package::{MAX_SIGNATURE, Package};
use crate::manifest::{self, Manifest};
use crate::plugin::MAX_WASM;

/// The config's media type.
pub const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// The layer's media type.
pub const LAYER: &str = "application/wasm";
/// The annotation that holds the text of the signature file.
pub const SIGNATURE: &str = "dev.nacre.plugin.minisig";
/// The annotation that holds `plugin.toml`, for who looks before the download.
pub const MANIFEST: &str = "dev.nacre.plugin.toml";

/// Bytes that a config may have: the names of imports and exports.
const MAX_CONFIG: u64 = 1 << 20;

/// An artifact of which the component has not been fetched.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preview {
    /// The digest of the artifact's manifest, if it is in a registry.
    pub digest: Option<String>,
    /// The digest of its component.
    pub component: String,
    /// The bytes of its component.
    pub size: u64,
    /// The interfaces that it says it imports.
    pub imports: Vec<String>,
    /// The interfaces that it says it exports.
    pub exports: Vec<String>,
    /// Its `plugin.toml`, if nacre pushed it.
    #[serde(flatten)]
    pub manifest: Option<Manifest>,
    /// Whether it comes with a signature.
    pub signed: bool,
    /// Why it could not be run, as far as that was looked at.
    pub problem: Option<String>,
}

/// The artifact's config.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    component: Option<Component>,
}

#[derive(Default, Deserialize)]
struct Component {
    #[serde(default)]
    imports: Vec<String>,
    #[serde(default)]
    exports: Vec<String>,
}

/// Puts a package as an artifact into memory, from where it can be copied. `created` is the time now (RFC 3339).
///
/// # Errors
/// It is a core module or holds no `plugin.toml`; its component does not fit its manifest.
pub fn pack(package: &Package, created: &str, into: &Memory) -> Result<Descriptor, Fault> {
    let component = package.component()?;
    if package.signature.is_some() && component != package.wasm {
        return Err(Fault::Signature("changes when it is packed: build it with nacre plugin build, and sign that".into()));
    }
    let surface = Surface::read(&component)?;
    let layer = into.add(LAYER, component);
    let config = json!({
        "created": created,
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [layer.digest],
        "component": { "imports": surface.imports, "exports": surface.exports },
    });
    let config = into.add(CONFIG, config.to_string().into_bytes());
    let about = &package.manifest.plugin;
    let described = [("title", &about.name), ("version", &about.version), ("description", &about.description)];
    let described = described.into_iter().filter(|(_, text)| !text.is_empty());
    let mut annotations: BTreeMap<String, &str> =
        described.map(|(key, text)| (format!("org.opencontainers.image.{key}"), text.as_str())).collect();
    annotations.extend(about.license.as_deref().map(|license| ("org.opencontainers.image.licenses".into(), license)));
    annotations.insert(MANIFEST.into(), package.text());
    annotations.extend(package.signature.as_deref().map(|signature| (SIGNATURE.into(), signature)));
    let document = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": config,
        "layers": [layer],
        "annotations": annotations,
    });
    Ok(into.add(media_type::OCI_MANIFEST, document.to_string().into_bytes()))
}

/// What can be known of the artifact at `root` without its component.
///
/// # Errors
/// It is no artifact of this format, or the source's.
pub fn preview(source: &dyn Source, name: &str, root: &Descriptor) -> Result<Preview, Error> {
    let artifact = Artifact::read(source, name, root)?;
    let config = read_small(source, &artifact.config, MAX_CONFIG).map_err(|error| from_oci(name, error))?;
    let config: Config = parse_strict(&config, "the plugin's config").map_err(|error| from_oci(name, error))?;
    let component = config.component.unwrap_or_default();
    let manifest = artifact.annotation(MANIFEST, manifest::MAX_BYTES).map(|text| Manifest::parse(&text)).transpose();
    Ok(Preview {
        digest: Some(artifact.root.digest.to_string()),
        component: artifact.layer.digest.to_string(),
        size: artifact.layer.size,
        imports: component.imports,
        exports: component.exports,
        manifest: manifest.map_err(|fault| fault.of(name))?,
        signed: artifact.annotations.contains_key(SIGNATURE),
        problem: None,
    })
}

/// Fetches the plugin of the artifact at `root`. `name` says in errors, and in the lock file, where that is.
///
/// # Errors
/// It is no artifact of this format, holds no `plugin.toml`, or the source's.
pub fn fetch(source: &dyn Source, name: &str, root: &Descriptor) -> Result<Package, Error> {
    let artifact = Artifact::read(source, name, root)?;
    let wasm = read_small(source, &artifact.layer, MAX_WASM).map_err(|error| from_oci(name, error))?;
    let text = artifact.annotation(MANIFEST, manifest::MAX_BYTES);
    let signature = artifact.annotation(SIGNATURE, MAX_SIGNATURE);
    let mut package = Package::new(wasm, text, signature, name.to_owned()).map_err(|fault| fault.of(name))?;
    package.digest = Some(artifact.root.digest.to_string());
    Ok(package)
}

/// An artifact's manifest, checked to be of this format.
struct Artifact {
    root: Descriptor,
    config: Descriptor,
    layer: Descriptor,
    annotations: BTreeMap<String, String>,
}

impl Artifact {
    /// Reads it; of an index, the one manifest in it.
    fn read(source: &dyn Source, name: &str, root: &Descriptor) -> Result<Artifact, Error> {
        let wrong = |what: &str| Fault::Artifact(what.to_owned()).of(name);
        let (_, document) = read_document(source, root).map_err(|error| from_oci(name, error))?;
        let manifest = match document {
            Document::Manifest(manifest) => manifest,
            Document::Index(index) => match &index.manifests[..] {
                [one] if !matches!(read_document(source, one), Ok((_, Document::Index(_)))) => return Artifact::read(source, name, one),
                _ => return Err(wrong("is an index, not one plugin")),
            },
        };
        if manifest.config.media_type != CONFIG {
            return Err(wrong(&format!("is no plugin: its config is {}, not {CONFIG}", manifest.config.media_type)));
        }
        match &manifest.layers[..] {
            [layer] if layer.media_type == LAYER => {
                let (layer, root) = (layer.clone(), root.clone());
                Ok(Artifact { root, config: manifest.config, layer, annotations: manifest.annotations })
            }
            _ => Err(wrong(&format!("is no plugin: it has to have one layer, of {LAYER}"))),
        }
    }

    fn annotation(&self, key: &str, limit: u64) -> Option<String> {
        self.annotations.get(key).filter(|text| text.len() as u64 <= limit).cloned()
    }
}

fn from_oci(name: &str, source: OciError) -> Error {
    Error::Data { plugin: name.to_owned(), source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::lifecycle::embed;

    const TEXT: &str = "plugin = { name = 'acme/x', version = '1.0.0', api = '0.1', license = 'MIT' }\nprovides = { prune-policy = ['p'] }";

    fn component() -> Vec<u8> {
        wat::parse_str("(component (instance $i) (export \"nacre:plugin/prune@0.1.0\" (instance $i)))").unwrap()
    }

    fn package(signature: Option<&str>) -> Package {
        Package::new(embed::write(&component(), TEXT).unwrap(), None, signature.map(Into::into), "here".into()).unwrap()
    }

    #[test]
    fn what_is_packed_is_fetched() {
        let (memory, package) = (Memory::new(), package(Some("sig")));
        let root = pack(&package, "2026-01-01T00:00:00Z", &memory).unwrap();
        let fetched = fetch(&memory, "reg/x", &root).unwrap();
        assert_eq!((&fetched.wasm, &fetched.manifest, fetched.signature.as_deref()), (&package.wasm, &package.manifest, Some("sig")));
        assert_eq!((fetched.source.as_str(), fetched.digest), ("reg/x", Some(root.digest.to_string())));
        let preview = preview(&memory, "reg/x", &root).unwrap();
        assert_eq!(
            (preview.exports, preview.signed, preview.size),
            (vec!["nacre:plugin/prune@0.1.0".into()], true, package.wasm.len() as u64)
        );
        assert_eq!(preview.manifest.as_ref(), Some(&package.manifest));
    }

    #[test]
    fn a_manifest_beside_the_component_is_embedded_unless_that_breaks_a_signature() {
        let beside =
            |signature: Option<&str>| Package::new(component(), Some(TEXT.into()), signature.map(Into::into), "here".into()).unwrap();
        let memory = Memory::new();
        let root = pack(&beside(None), "2026-01-01T00:00:00Z", &memory).unwrap();
        assert!(fetch(&memory, "x", &root).unwrap().embedded);
        assert!(matches!(pack(&beside(Some("sig")), "now", &memory), Err(Fault::Signature(_))));
    }

    #[test]
    fn what_another_client_pushed_is_a_plugin_if_the_manifest_is_inside() {
        let memory = Memory::new();
        let push = |wasm: Vec<u8>, config: &str| {
            let (layer, config) = (memory.add(LAYER, wasm), memory.add(config, &b"{\"architecture\":\"wasm\",\"os\":\"wasip2\"}"[..]));
            let document = json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": [layer]});
            memory.add(media_type::OCI_MANIFEST, document.to_string().into_bytes())
        };
        let root = push(package(None).wasm, CONFIG);
        assert_eq!(fetch(&memory, "reg/x", &root).unwrap().manifest.plugin.name, "acme/x");
        assert_eq!(preview(&memory, "reg/x", &root).unwrap().manifest, None);
        let bare = push(component(), CONFIG);
        let said = fetch(&memory, "reg/x", &bare).unwrap_err().to_string();
        assert_eq!(said, "plugin reg/x: plugin.toml is missing, and plugin.wasm holds none: build it with nacre plugin build");
        let image = push(package(None).wasm, "application/vnd.oci.image.config.v1+json");
        let said = fetch(&memory, "reg/x", &image).unwrap_err().to_string();
        assert!(said.starts_with("plugin reg/x: is no plugin: its config is application/vnd.oci.image.config.v1+json"), "{said}");
    }
}
