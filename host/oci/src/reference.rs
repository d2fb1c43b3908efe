//! References: Docker's grammar and normalisation (`distribution/reference`).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Digest, Error, Result};

/// The registry of names that do not name one.
pub const DEFAULT_REGISTRY: &str = "docker.io";
/// The tag of names that have neither tag nor digest.
pub const DEFAULT_TAG: &str = "latest";

/// A normalised image name: `docker.io/library/nginx:1.27@sha256:…`, tag and digest each optional.
///
/// `Display` gives the canonical form and [`Reference::familiar`] the one that Docker shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The registry's host and optional port; `docker.io` for Docker Hub.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path within the registry, with `library/` on Docker Hub.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if one is named.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one is named.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Registry and repository: `docker.io/library/nginx`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The name as Docker shows it: `nginx`, `acme/app`, `ghcr.io/acme/app`. It always reads back as the same, so a
    /// repository of Docker Hub that looks like an id or a host keeps what is in front.
    pub fn familiar_name(&self) -> String {
        let looks_like_host = self.repository.split_once('/').is_some_and(|(first, _)| is_host(first));
        if self.registry != DEFAULT_REGISTRY || looks_like_host {
            return self.name();
        }
        let short = self.repository.strip_prefix("library/").filter(|rest| !rest.contains('/') && !is_id(rest));
        short.unwrap_or(&self.repository).to_owned()
    }

    /// The whole reference as Docker shows it.
    pub fn familiar(&self) -> String {
        self.suffixed(self.familiar_name())
    }

    /// With tag `latest` where neither tag nor digest is named.
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.to_owned());
        }
        self
    }

    /// The same repository with this tag and no digest.
    ///
    /// # Errors
    /// If the tag breaks the grammar.
    pub fn with_tag(&self, tag: &str) -> Result<Self> {
        check_tag(tag).map_err(|why| invalid(tag, why))?;
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// The same repository with this digest and no tag.
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The same repository without tag and digest.
    pub fn without_tag(&self) -> Self {
        Self { tag: None, digest: None, ..self.clone() }
    }

    /// What a registry's `/manifests/` path ends in: the digest if there is one, else the tag, else `latest`.
    pub fn selector(&self) -> String {
        let tag = || self.tag.clone().unwrap_or_else(|| DEFAULT_TAG.to_owned());
        self.digest.as_ref().map_or_else(tag, ToString::to_string)
    }

    fn suffixed(&self, mut name: String) -> String {
        if let Some(tag) = &self.tag {
            name = format!("{name}:{tag}");
        }
        if let Some(digest) = &self.digest {
            name = format!("{name}@{digest}");
        }
        name
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if is_id(text) {
            return Err(invalid(text, "64 hex digits are an image's id and cannot be a name"));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse::<Digest>()?)),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag {
            check_tag(tag).map_err(|why| invalid(text, why))?;
        }
        let (registry, repository) = split_registry(name);
        check_registry(registry).map_err(|why| invalid(text, why))?;
        check_repository(&repository).map_err(|why| invalid(text, why))?;
        Ok(Self { registry: registry.to_owned(), repository, tag: tag.map(str::to_owned), digest })
    }
}

/// Docker's `splitDockerDomain`: the first component is a host if it looks like one.
fn split_registry(name: &str) -> (&str, String) {
    let (registry, repository) = match name.split_once('/') {
        Some((first, rest)) if is_host(first) => (first, rest),
        _ => (DEFAULT_REGISTRY, name),
    };
    let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
    if registry == DEFAULT_REGISTRY && !repository.contains('/') {
        return (registry, format!("library/{repository}"));
    }
    (registry, repository.to_owned())
}

fn is_host(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':']) || part.bytes().any(|b| b.is_ascii_uppercase())
}

/// Docker's anchored identifier: a bare image id.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn check_tag(tag: &str) -> Result<(), &'static str> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let rest = |b: u8| word(b) || b == b'.' || b == b'-';
    let valid = tag.len() <= 128 && tag.bytes().next().is_some_and(word) && tag.bytes().all(rest);
    valid.then_some(()).ok_or("a tag is 1 to 128 letters, digits, '_', '.' and '-', not starting with '.' or '-'")
}

fn check_registry(registry: &str) -> Result<(), &'static str> {
    let why = "the registry is not a host name with an optional port";
    let (host, port) = match registry.strip_prefix('[') {
        Some(v6) => {
            let (address, rest) = v6.split_once(']').ok_or(why)?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| why)?;
            ("ipv6", rest.strip_prefix(':').or(rest.is_empty().then_some("0")).ok_or(why)?)
        }
        None => registry.split_once(':').unwrap_or((registry, "0")),
    };
    let label = |part: &str| {
        let inside = part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        !part.is_empty() && inside && !part.starts_with('-') && !part.ends_with('-')
    };
    let valid = host.split('.').all(label) && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    (valid && port.parse::<u16>().is_ok()).then_some(()).ok_or(why)
}

fn check_repository(repository: &str) -> Result<(), &'static str> {
    if repository.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("the repository must be lower case");
    }
    if repository.len() > 255 {
        return Err("the repository is longer than 255 characters");
    }
    let valid = repository.split('/').all(is_path_component);
    valid.then_some(()).ok_or("between slashes stand letters and digits, separated by '.', '_', '__' or dashes")
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(part: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = part.bytes().next().is_some_and(alphanumeric) && part.bytes().last().is_some_and(alphanumeric);
    let separators = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).filter(|s| !s.is_empty());
    ends && separators.into_iter().all(|s| matches!(s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

fn invalid(text: &str, why: impl Into<String>) -> Error {
    Error::InvalidReference { text: text.chars().take(300).collect(), why: why.into() }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.suffixed(self.name()))
    }
}

impl TryFrom<String> for Reference {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn normalises_as_docker_does() {
        for (given, canonical, familiar) in [
            ("nginx", "docker.io/library/nginx", "nginx"),
            ("nginx:1.27", "docker.io/library/nginx:1.27", "nginx:1.27"),
            ("acme/app", "docker.io/acme/app", "acme/app"),
            ("index.docker.io/library/nginx", "docker.io/library/nginx", "nginx"),
            ("docker.io/nginx", "docker.io/library/nginx", "nginx"),
            ("localhost/app:1", "localhost/app:1", "localhost/app:1"),
            ("127.0.0.1:5000/a/b__c:x_Y.z", "127.0.0.1:5000/a/b__c:x_Y.z", "127.0.0.1:5000/a/b__c:x_Y.z"),
            ("[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app"),
            ("Host/app", "Host/app", "Host/app"),
            ("a/b/c", "docker.io/a/b/c", "a/b/c"),
            ("library/a/b", "docker.io/library/a/b", "library/a/b"),
            ("docker.io/a.b/c", "docker.io/a.b/c", "docker.io/a.b/c"),
            (&format!("library/{HEX}"), &format!("docker.io/library/{HEX}"), &format!("library/{HEX}")),
        ] {
            let reference: Reference = given.parse().expect(given);
            assert_eq!((reference.to_string().as_str(), reference.familiar().as_str()), (canonical, familiar));
        }
        let both: Reference = format!("nginx:1@sha256:{HEX}").parse().expect("tag and digest");
        assert_eq!(both.selector(), format!("sha256:{HEX}"));
        assert_eq!("nginx".parse::<Reference>().expect("valid").or_latest().selector(), "latest");
    }

    #[test]
    fn refuses_what_docker_refuses() {
        let long = "a".repeat(256);
        for text in [
            "",
            ":",
            "@",
            "nginx:",
            "nginx@",
            "Nginx",
            "acme/App",
            "a//b",
            "/a",
            "a/",
            "a:b:c",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "a.",
            HEX,
            "nginx@sha256:abc",
            "ho_st.x/a",
            "host:99999/a",
            "nginx:-x",
            "nginx:é",
            "a b",
            &long,
            "host:/a",
        ] {
            assert!(text.parse::<Reference>().is_err(), "'{text}' was accepted");
        }
    }
}
