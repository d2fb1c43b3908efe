//! `oci-layout` and `index.json`, which an OCI layout has as a folder and as a tar (image specification,
//! `image-layout.md`).

use nacre_oci::{Descriptor, Document, Error, Reference, Result, media_type, parse_strict};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    IMAGE_NAME, REF_NAME,
    entry::{Entry, is_full},
};

/// Checks the file `oci-layout`.
pub(crate) fn check_version(bytes: &[u8], label: &str) -> Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        image_layout_version: String,
    }
    let version: Version = parse_strict(bytes, &format!("oci-layout in {label}"))?;
    if version.image_layout_version.starts_with("1.") {
        return Ok(());
    }
    let what = format!("version {} of the OCI image layout", version.image_layout_version);
    Err(Error::Unsupported { what, why: format!("{label} has to be of version 1") })
}

/// The images that `index.json` lists, each once, with all their names.
pub(crate) fn entries(bytes: &[u8], label: &str) -> Result<Vec<Entry>> {
    let what = format!("index.json in {label}");
    let document = Document::parse(bytes, Some(media_type::OCI_INDEX)).map_err(|e| Error::malformed(&what, e))?;
    let Document::Index(index) = document else { return Err(Error::malformed(what, "it is no index")) };
    let mut entries: Vec<Entry> = Vec::new();
    for descriptor in index.manifests.into_iter().filter(Descriptor::is_document) {
        let (name, tag) = names(&descriptor);
        let entry = match entries.iter_mut().find(|entry| entry.descriptor.digest == descriptor.digest) {
            Some(entry) => entry,
            None => entries.push_mut(Entry { names: Vec::new(), tags: Vec::new(), descriptor }),
        };
        add_new(&mut entry.names, name);
        add_new(&mut entry.tags, tag);
    }
    Ok(entries)
}

fn add_new<T: PartialEq>(list: &mut Vec<T>, item: Option<T>) {
    list.extend(item.filter(|item| !list.contains(item)));
}

/// The full name and the tag of an entry. Some tools write the full name as `ref.name`.
fn names(descriptor: &Descriptor) -> (Option<Reference>, Option<String>) {
    let full = |text: &String| text.parse::<Reference>().ok().map(Reference::or_latest);
    let tag = descriptor.annotations.get(REF_NAME).filter(|tag| !tag.is_empty());
    let long = descriptor.annotations.get(IMAGE_NAME).or(tag.filter(|tag| is_full(tag)));
    (long.and_then(full), tag.filter(|tag| !is_full(tag) || full(tag).is_none()).cloned())
}

/// An `index.json` as it is edited: whatever else it holds is kept.
pub(crate) struct Listing {
    top: Map<String, Value>,
    manifests: Vec<Value>,
}

impl Listing {
    pub(crate) fn new() -> Self {
        let top = [("schemaVersion", json!(2)), ("mediaType", json!(media_type::OCI_INDEX))];
        Self { top: top.map(|(key, value)| (key.to_owned(), value)).into_iter().collect(), manifests: Vec::new() }
    }

    pub(crate) fn parse(bytes: &[u8], label: &str) -> Result<Self> {
        let what = format!("index.json in {label}");
        let mut top: Map<String, Value> = parse_strict(bytes, &what)?;
        match top.remove("manifests") {
            Some(Value::Array(manifests)) => Ok(Self { top, manifests }),
            _ => Err(Error::malformed(what, "it has no list 'manifests'")),
        }
    }

    /// Gives `target` a name: a tag, or a whole reference, which takes both annotations, as in Docker. What had the name
    /// before is no longer listed. Without a name it is listed unless it is already.
    pub(crate) fn set(&mut self, name: Option<&str>, target: &Descriptor) -> Result<()> {
        let mut descriptor = target.clone();
        descriptor.annotations.retain(|key, _| key != REF_NAME && key != IMAGE_NAME);
        let Some(name) = name else {
            if !self.manifests.iter().any(|entry| entry["digest"] == json!(target.digest)) {
                self.push(&descriptor);
            }
            return Ok(());
        };
        let (key, value) = if is_full(name) {
            let reference = name.parse::<Reference>()?.or_latest();
            descriptor.annotations.extend(reference.tag().map(|tag| (REF_NAME.to_owned(), tag.to_owned())));
            (IMAGE_NAME, reference.to_string())
        } else {
            (REF_NAME, name.to_owned())
        };
        descriptor.annotations.insert(key.to_owned(), value.clone());
        self.manifests.retain(|entry| entry["annotations"][key] != value && !is_unnamed(entry, target));
        self.push(&descriptor);
        Ok(())
    }

    fn push(&mut self, descriptor: &Descriptor) {
        self.manifests.push(serde_json::to_value(descriptor).expect("a descriptor has string keys only"));
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut top = self.top.clone();
        top.insert("manifests".to_owned(), Value::Array(self.manifests.clone()));
        serde_json::to_vec(&top).expect("a value is always JSON")
    }
}

/// Whether `entry` lists `target` without any name: superfluous once it has one.
fn is_unnamed(entry: &Value, target: &Descriptor) -> bool {
    let named = [REF_NAME, IMAGE_NAME].iter().any(|key| entry["annotations"][key].is_string());
    entry["digest"] == json!(target.digest) && !named
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn manifest(content: &[u8]) -> Descriptor {
        Descriptor::of(media_type::OCI_MANIFEST, content)
    }

    #[test]
    fn names_move_and_the_rest_stays() {
        let old = json!({
            "schemaVersion": 2, "x": [1], "annotations": {"a": "b"},
            "manifests": [{"mediaType": "text/x", "digest": manifest(b"0").digest, "size": 1, "annotations": {"k": "v"}, "y": null}],
        });
        let mut listing = Listing::parse(old.to_string().as_bytes(), "x").unwrap();
        listing.set(None, &manifest(b"1")).unwrap();
        listing.set(Some("1.0"), &manifest(b"1")).unwrap();
        listing.set(Some("nginx:1.0"), &manifest(b"2")).unwrap();
        listing.set(Some("alpine:latest"), &manifest(b"2")).unwrap();
        listing.set(Some("alpine:latest"), &manifest(b"3")).unwrap();
        listing.set(None, &manifest(b"3")).unwrap();
        let bytes = listing.to_bytes();
        let written: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(
            (&written["x"], &written["annotations"]["a"], &written["manifests"][0]),
            (&json!([1]), &json!("b"), &old["manifests"][0])
        );
        let entries = entries(&bytes, "x").unwrap();
        let seen: Vec<(String, String)> =
            entries.iter().map(|e| (e.names.iter().map(Reference::familiar).collect(), e.tags.join(","))).collect();
        assert_eq!(seen, [("", "1.0"), ("nginx:1.0", "1.0"), ("alpine:latest", "latest")].map(|(a, b)| (a.into(), b.into())));
        assert_eq!(entries[2].descriptor.digest, manifest(b"3").digest);
        listing.set(Some("1.0"), &manifest(b"4")).unwrap();
        assert_eq!(super::entries(&listing.to_bytes(), "x").unwrap().len(), 2, "a tag is unique, as skopeo and umoci want it");
    }

    #[test]
    fn a_full_name_may_stand_in_either_annotation() {
        let mut own = manifest(b"1");
        own.annotations.insert(REF_NAME.into(), "docker.io/library/nginx:1".into());
        assert_eq!(names(&own), (Some("nginx:1".parse().unwrap()), None));
        own.annotations.insert(REF_NAME.into(), "Not/A:Name".into());
        assert_eq!(names(&own), (None, Some("Not/A:Name".into())));
        own.annotations.insert(IMAGE_NAME.into(), "nginx".into());
        assert_eq!(names(&own).0, Some("nginx:latest".parse().unwrap()));
    }

    #[test]
    fn refuses_what_is_no_layout() {
        for text in ["", "{}", "null", "[]", r#"{"imageLayoutVersion":null}"#, r#"{"imageLayoutVersion":"2.0.0"}"#] {
            assert!(check_version(text.as_bytes(), "x").is_err(), "{text} was accepted");
        }
        for text in ["", "null", "[]", r#"{"schemaVersion":2}"#, r#"{"schemaVersion":2,"manifests":null}"#] {
            assert!(entries(text.as_bytes(), "x").is_err() && Listing::parse(text.as_bytes(), "x").is_err(), "{text} was accepted");
        }
        assert!(entries(br#"{"schemaVersion":2,"manifests":[null]}"#, "x").is_err());
    }
}
