//! The images that an archive or a layout lists, and finding one of them.

use nacre_oci::{Descriptor, Digest, Error, Reference, Result};

/// One image of an archive or layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its full names; empty if it has none.
    pub names: Vec<Reference>,
    /// The texts of its `org.opencontainers.image.ref.name` annotations that are no full names, usually tags.
    pub tags: Vec<String>,
    /// Its manifest or index.
    pub descriptor: Descriptor,
}

/// Whether `name` is meant as a whole reference and not as a mere tag.
pub(crate) fn is_full(name: &str) -> bool {
    name.contains(['/', ':', '@'])
}

/// The entry that `name` asks for: nothing for the only one, `@N` for the Nth (from 0, as in skopeo), a digest, a tag or
/// other text as it stands there, a reference in any spelling.
pub(crate) fn find<'e>(entries: &'e [Entry], name: &str, label: &str) -> Result<&'e Entry> {
    let matching: Vec<&Entry> = if name.is_empty() {
        entries.iter().collect()
    } else if let Some(index) = name.strip_prefix('@').and_then(|text| text.parse::<usize>().ok()) {
        entries.get(index).into_iter().collect()
    } else if let Ok(digest) = name.parse::<Digest>() {
        entries.iter().filter(|entry| entry.descriptor.digest == digest).collect()
    } else {
        by_name(entries, name)
    };
    match matching[..] {
        [] => Err(Error::not_found(if name.is_empty() { format!("an image in {label}") } else { format!("image '{name}' in {label}") })),
        [entry] => Ok(entry),
        _ => Err(Error::Ambiguous { text: name.to_owned(), count: matching.len() }),
    }
}

fn by_name<'e>(entries: &'e [Entry], name: &str) -> Vec<&'e Entry> {
    let tagged: Vec<&Entry> = entries.iter().filter(|entry| entry.tags.iter().any(|tag| tag == name)).collect();
    if !tagged.is_empty() {
        return tagged;
    }
    let Ok(reference) = name.parse::<Reference>().map(Reference::or_latest) else { return Vec::new() };
    entries.iter().filter(|entry| entry.names.contains(&reference)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn entry(names: &[&str], tags: &[&str], content: &[u8]) -> Entry {
        Entry {
            names: names.iter().map(|name| name.parse().unwrap()).collect(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            descriptor: Descriptor::of(nacre_oci::media_type::OCI_MANIFEST, content),
        }
    }

    #[test]
    fn finds_by_every_spelling() {
        let entries =
            [entry(&["nginx:1", "ghcr.io/a/b:v2"], &["1", "v2"], b"1"), entry(&["alpine:1"], &["1"], b"2"), entry(&[], &["my tag"], b"3")];
        let digest = entries[1].descriptor.digest.to_string();
        for (name, at) in
            [("nginx:1", 0), ("docker.io/library/nginx:1", 0), ("ghcr.io/a/b:v2", 0), ("v2", 0), ("@1", 1), (&digest, 1), ("my tag", 2)]
        {
            assert_eq!(find(&entries, name, "x").unwrap(), &entries[at], "{name}");
        }
        for name in ["1", ""] {
            assert!(matches!(find(&entries, name, "x"), Err(Error::Ambiguous { .. })), "{name}");
        }
        for name in ["nginx", "nginx:2", "@3", "@x", "no such", &Digest::of(b"4").to_string()] {
            assert!(matches!(find(&entries, name, "x"), Err(Error::NotFound { .. })), "{name}");
        }
        assert_eq!(find(&entries[..1], "", "x").unwrap(), &entries[0]);
        assert!(matches!(find(&[], "", "x"), Err(Error::NotFound { .. })));
    }
}
