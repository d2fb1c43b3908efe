//! Manifests and indexes: one parser for both, which refuses what could be read as either.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Descriptor, Error, MAX_MANIFEST, Result, media_type, parse_strict};

/// An image manifest, OCI's or Docker's schema 2 (image specification, `manifest.md`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u8,
    /// What the document is.
    pub media_type: String,
    /// The kind of artifact, where it is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The image's config.
    pub config: Descriptor,
    /// The layers, base first.
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is about (signatures, attestations, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free-form, sorted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An image index or a Docker manifest list (image specification, `image-index.md`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u8,
    /// What the document is.
    pub media_type: String,
    /// The kind of artifact, where it is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Manifests and further indexes.
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free-form, sorted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A parsed manifest or index. What is stored and served is always the bytes it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "documents are few and short-lived; a box would only be noise")]
pub enum Document {
    /// Several images or artifacts.
    Index(Index),
    /// One image or artifact.
    Manifest(Manifest),
}

/// The fields that tell the kinds apart, whatever else is there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Option<serde_json::Value>,
    config: Option<serde_json::Value>,
    layers: Option<serde_json::Value>,
    fs_layers: Option<serde_json::Value>,
}

impl Document {
    /// Parses and checks a document. `announced` is the media type of the descriptor or of the HTTP header it came with.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it has the fields of both kinds, if its media type contradicts `announced` or its
    /// fields (CVE-2021-41190), if a digest or a required field is wrong; [`Error::Unsupported`] for Docker's schema 1;
    /// [`Error::TooLarge`] above [`MAX_MANIFEST`].
    pub fn parse(bytes: &[u8], announced: Option<&str>) -> Result<Self> {
        if bytes.len() as u64 > MAX_MANIFEST {
            return Err(Error::TooLarge { what: "the manifest".into(), limit: format!("{} MiB", MAX_MANIFEST >> 20) });
        }
        let shape: Shape = parse_strict(bytes, "the manifest")?;
        let is_index = shape.is_index(announced)?;
        let media_type = shape.media_type(announced, is_index)?;
        if is_index { read_index(bytes, media_type).map(Self::Index) } else { read_manifest(bytes, media_type).map(Self::Manifest) }
    }

    /// What the document is.
    pub fn media_type(&self) -> &str {
        match self {
            Self::Index(index) => &index.media_type,
            Self::Manifest(manifest) => &manifest.media_type,
        }
    }

    /// Everything below: an index's manifests, or a manifest's config and layers.
    pub fn children(&self) -> Vec<&Descriptor> {
        match self {
            Self::Index(index) => index.manifests.iter().collect(),
            Self::Manifest(manifest) => std::iter::once(&manifest.config).chain(&manifest.layers).collect(),
        }
    }

    /// The manifest that this one is about.
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Index(index) => index.subject.as_ref(),
            Self::Manifest(manifest) => manifest.subject.as_ref(),
        }
    }

    /// The kind of artifact, by the referrers rule: `artifactType`, else the config's media type.
    pub fn artifact_type(&self) -> Option<&str> {
        match self {
            Self::Index(index) => index.artifact_type.as_deref(),
            Self::Manifest(manifest) => Some(manifest.artifact_type.as_deref().unwrap_or(&manifest.config.media_type)),
        }
    }

    /// The annotations.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Index(index) => &index.annotations,
            Self::Manifest(manifest) => &manifest.annotations,
        }
    }
}

impl Shape {
    fn is_index(&self, announced: Option<&str>) -> Result<bool> {
        let bad = |why| Err(Error::malformed("the manifest", why));
        if self.schema_version == Some(1) || self.fs_layers.is_some() {
            return Err(Error::Unsupported {
                what: "a Docker schema 1 manifest".into(),
                why: "the format was retired in 2017; push the image again with a current tool".into(),
            });
        }
        if self.schema_version != Some(2) {
            return bad("schemaVersion is not 2");
        }
        let image = self.config.is_some() || self.layers.is_some();
        let empty_index = |t: &str| media_type::is_index(t);
        match (self.manifests.is_some(), image) {
            (true, true) => bad("it has the fields of an index and of an image manifest"),
            (true, false) => Ok(true),
            (false, true) => Ok(false),
            (false, false) if self.media_type.as_deref().or(announced).is_some_and(empty_index) => {
                bad("it is an index without 'manifests'")
            }
            (false, false) => bad("it has neither 'manifests' nor 'config' and 'layers'"),
        }
    }

    /// The document's media type, which has to agree with what announced it and with its fields.
    fn media_type(&self, announced: Option<&str>, is_index: bool) -> Result<String> {
        let bad = |why: String| Err(Error::malformed("the manifest", why));
        let announced = announced.filter(|t| media_type::is_document(t));
        if let (Some(own), Some(announced)) = (self.media_type.as_deref(), announced)
            && own != announced
        {
            return bad(format!("it was announced as {announced} and calls itself {own}"));
        }
        let default = if is_index { media_type::OCI_INDEX } else { media_type::OCI_MANIFEST };
        let media_type = self.media_type.as_deref().or(announced).unwrap_or(default);
        if !media_type::is_document(media_type) {
            return bad(format!("its media type {media_type} is not a manifest's or an index's"));
        }
        if media_type::is_index(media_type) != is_index {
            return bad(format!("its fields contradict its media type {media_type}"));
        }
        Ok(media_type.to_owned())
    }
}

fn read_manifest(bytes: &[u8], media_type: String) -> Result<Manifest> {
    let read = oci_spec::image::ImageManifest::from_reader(bytes).map_err(|e| unread("the manifest", &e))?;
    Ok(Manifest {
        schema_version: 2,
        media_type,
        artifact_type: read.artifact_type().as_ref().map(ToString::to_string),
        config: read.config().try_into()?,
        layers: read.layers().iter().map(Descriptor::try_from).collect::<Result<_>>()?,
        subject: read.subject().as_ref().map(Descriptor::try_from).transpose()?,
        annotations: read.annotations().clone().unwrap_or_default().into_iter().collect(),
    })
}

fn read_index(bytes: &[u8], media_type: String) -> Result<Index> {
    let read = oci_spec::image::ImageIndex::from_reader(bytes).map_err(|e| unread("the index", &e))?;
    Ok(Index {
        schema_version: 2,
        media_type,
        artifact_type: read.artifact_type().as_ref().map(ToString::to_string),
        manifests: read.manifests().iter().map(Descriptor::try_from).collect::<Result<_>>()?,
        subject: read.subject().as_ref().map(Descriptor::try_from).transpose()?,
        annotations: read.annotations().clone().unwrap_or_default().into_iter().collect(),
    })
}

/// What is wrong says the cause: the error itself only that something is.
fn unread(what: &str, error: &dyn std::error::Error) -> Error {
    Error::malformed(what, error.source().unwrap_or(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media_type::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn descriptor(media_type: &str) -> String {
        format!(r#"{{"mediaType":"{media_type}","digest":"{DIGEST}","size":2}}"#)
    }

    fn manifest(extra: &str) -> String {
        let (config, layer) = (descriptor(OCI_CONFIG), descriptor(OCI_LAYER_GZIP));
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer}]{extra}}}"#)
    }

    fn parse(text: &str, announced: Option<&str>) -> Result<Document> {
        Document::parse(text.as_bytes(), announced)
    }

    #[test]
    fn reads_both_families() {
        let document = parse(&manifest(""), Some(DOCKER_MANIFEST)).expect("a Docker manifest without mediaType");
        assert_eq!(document.media_type(), DOCKER_MANIFEST);
        assert_eq!(document.children().len(), 2);
        let child = descriptor(OCI_MANIFEST).replace('}', r#","platform":{"os":"linux","architecture":"arm64","variant":"v8"}}"#);
        let index = parse(&format!(r#"{{"schemaVersion":2,"manifests":[{child}]}}"#), None).expect("an index");
        let platform = index.children()[0].platform.clone().expect("a platform");
        assert_eq!((index.media_type(), platform.to_string().as_str()), (OCI_INDEX, "linux/arm64"));
    }

    #[test]
    fn refuses_confusion_and_damage() {
        let both = manifest(r#","manifests":[]"#);
        let lies = manifest(&format!(r#","mediaType":"{OCI_INDEX}""#));
        let other = manifest(&format!(r#","mediaType":"{OCI_MANIFEST}""#));
        let digest = manifest("").replace("sha256:e3", "sha256:../");
        let negative = manifest("").replace("\"size\":2", "\"size\":-2");
        let null = manifest("").replace(&descriptor(OCI_CONFIG), "null");
        let twice = manifest(r#","schemaVersion":2"#);
        for (text, announced) in [
            (both.as_str(), None),
            (&lies, None),
            (&other, Some(DOCKER_MANIFEST)),
            (&digest, None),
            (&negative, None),
            (&null, None),
            (&twice, None),
            (r#"{"schemaVersion":2}"#, None),
            ("[]", None),
            ("null", None),
            ("", None),
            (r#"{"schemaVersion":2,"manifests":null}"#, Some(OCI_INDEX)),
            (r#"{"schemaVersion":1,"fsLayers":[]}"#, None),
        ] {
            let error = parse(text, announced).expect_err(text).to_string();
            assert!(!error.contains("serde failed"), "{text} is refused without a reason");
        }
    }
}
