//! Image names as `FROM` takes them (the grammar and the short forms of `distribution/reference`).

use std::fmt;

/// An image's name in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<String>,
}

const HUB: &str = "docker.io";

impl Reference {
    /// Reads a name; without a registry it is Docker Hub's.
    pub fn parse(text: &str) -> Result<Reference, String> {
        if text.len() == 64 && text.bytes().all(|b| matches!(b, b'a'..=b'f' | b'0'..=b'9')) {
            return Err(format!("invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"));
        }
        let (domain, remainder) = split_domain(text);
        let (name, digest) = cut(&remainder, '@');
        let (path, tag) = cut(name, ':');
        if path.chars().any(char::is_uppercase) {
            return Err(format!("invalid reference format: repository name ({path}) must be lowercase"));
        }
        let read = Reference { domain, path: path.into(), tag: tag.map(Into::into), digest: digest.map(Into::into) };
        match read.is_valid() {
            true if read.domain.len() + 1 + read.path.len() > 255 => Err("repository name must not be more than 255 characters".into()),
            true => Ok(read),
            false => Err("invalid reference format".into()),
        }
    }

    /// The name as people write it, without a registry or a tag that go without saying.
    pub fn familiar(&self) -> String {
        let full = self.to_string();
        let hub = full.strip_prefix("docker.io/");
        let short = hub.map(|rest| rest.strip_prefix("library/").filter(|rest| !rest.contains('/')).unwrap_or(rest));
        let short = short.unwrap_or(&full);
        short.strip_suffix(":latest").unwrap_or(short).into()
    }

    /// With the tag `latest`, if it says neither tag nor digest.
    pub fn or_latest(mut self) -> Reference {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".into());
        }
        self
    }

    /// With this digest.
    pub fn with_digest(mut self, digest: &str) -> Reference {
        self.digest = Some(digest.into());
        self
    }

    fn is_valid(&self) -> bool {
        is_domain(&self.domain)
            && self.path.split('/').all(is_component)
            && self.tag.as_deref().is_none_or(is_tag)
            && self.digest.as_deref().is_none_or(is_digest)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.path)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// The first part is a registry if it cannot be a part of a Hub's name.
fn split_domain(text: &str) -> (String, String) {
    let is_registry = |part: &str| part.contains(['.', ':']) || part == "localhost" || part.chars().any(char::is_uppercase);
    let (domain, path) = text.split_once('/').filter(|(first, _)| is_registry(first)).unwrap_or((HUB, text));
    let domain = if domain == "index.docker.io" { HUB } else { domain };
    match domain == HUB && !path.contains('/') {
        true => (domain.into(), format!("library/{path}")),
        false => (domain.into(), path.into()),
    }
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => (address, None),
        Some((address, port)) => (address, Some(port.strip_prefix(':').unwrap_or("x"))),
        None => cut(domain, ':'),
    };
    let is_address = domain.starts_with('[') && host.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') && !host.is_empty();
    let port = port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    port && (is_address || host.split('.').all(is_label))
}

fn is_label(label: &str) -> bool {
    let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
}

/// Letters and digits, with `.`, `_`, `__` or dashes between them.
fn is_component(part: &str) -> bool {
    let words = part.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit());
    let separators = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).filter(|text| !text.is_empty());
    let separated = |text: &str| matches!(text, "." | "_" | "__") || text.bytes().all(|b| b == b'-');
    let ends = |part: &str| part.starts_with(['.', '_', '-']) || part.ends_with(['.', '_', '-']);
    words.into_iter().any(|word| !word.is_empty()) && separators.into_iter().all(separated) && !ends(part)
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= 128 && tag.bytes().next().is_some_and(word) && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

fn is_digest(digest: &str) -> bool {
    check_digest(digest).is_ok()
}

/// Checks a digest as `opencontainers/go-digest` does, in its words.
pub(super) fn check_digest(digest: &str) -> Result<(), &'static str> {
    let Some((algorithm, hex)) = digest.split_once(':').filter(|(algorithm, hex)| !algorithm.is_empty() && !hex.is_empty()) else {
        return Err("invalid checksum digest format");
    };
    if !digest.bytes().all(|b| b.is_ascii_alphanumeric() || b":._+=-".contains(&b)) {
        return Err("invalid checksum digest format");
    }
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return Err("unsupported digest algorithm"),
    };
    match hex.bytes().all(|b| matches!(b, b'a'..=b'f' | b'0'..=b'9')) {
        _ if hex.len() != length => Err("invalid checksum digest length"),
        true => Ok(()),
        false => Err("invalid checksum digest format"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn short_forms_in_full_and_back() {
        let both = |text: &str| {
            let name = Reference::parse(text).unwrap().or_latest();
            (name.to_string(), name.familiar())
        };
        assert_eq!(both("busybox"), ("docker.io/library/busybox:latest".into(), "busybox".into()));
        assert_eq!(both("me/it:1"), ("docker.io/me/it:1".into(), "me/it:1".into()));
        assert_eq!(both("localhost:5000/a/b"), ("localhost:5000/a/b:latest".into(), "localhost:5000/a/b".into()));
        assert_eq!(both("[::1]:5000/a").0, "[::1]:5000/a:latest");
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(both(&format!("a@{digest}")).0, format!("docker.io/library/a@{digest}"));
        assert_eq!(Reference::parse("a:1").unwrap().with_digest(&digest).to_string(), format!("docker.io/library/a:1@{digest}"));
    }

    #[test]
    fn mistakes() {
        let wrong = |text: &str| Reference::parse(text).unwrap_err();
        assert_eq!(wrong("Base"), "invalid reference format: repository name (library/Base) must be lowercase");
        for bad in ["", "a b", "odd_-name1", "a..b", "a/", "-a", "a:", "a@sha256:12", "a___b"] {
            assert_eq!(wrong(bad), "invalid reference format", "{bad}");
        }
        for good in ["a__b", "a--b", "a.b-c_d"] {
            assert!(Reference::parse(good).is_ok(), "{good}");
        }
    }
}
