//! What a path below `/v2/` means. Repository names hold slashes, so paths are read from their end.

use nacre_oci::{Digest, Reference};

use crate::failure::{Code, Failure};

/// A repository and what is asked of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The repository, without tag and digest.
    pub(crate) repository: Reference,
    /// The repository as the client spells it, for `Location` and `Link`.
    pub(crate) path: String,
    /// The rest of the path.
    pub(crate) target: Target,
}

/// The end points of a repository (distribution specification, "Endpoints").
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Blob(Digest),
    Uploads,
    Upload(String),
    Manifest(Selector),
    Tags,
    Referrers(Digest),
}

/// How a manifest is named. A tag is checked where it is used: an impossible one is only unknown to a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selector {
    Tag(String),
    Digest(Digest),
}

/// Reads what follows `/v2/`, percent-decoded.
pub(crate) fn parse(path: &str) -> Result<Route, Failure> {
    let (name, target) = split(path)?;
    Ok(Route { repository: repository(name)?, path: name.to_owned(), target })
}

fn split(path: &str) -> Result<(&str, Target), Failure> {
    let none = || Failure::new(Code::NameUnknown, "there is no such end point");
    if let Some(name) = path.strip_suffix("/tags/list") {
        return Ok((name, Target::Tags));
    }
    if let Some(name) = path.strip_suffix("/blobs/uploads/").or_else(|| path.strip_suffix("/blobs/uploads")) {
        return Ok((name, Target::Uploads));
    }
    let (head, last) = path.rsplit_once('/').ok_or_else(none)?;
    let (name, kind) = head.rsplit_once('/').ok_or_else(none)?;
    match kind {
        "manifests" => Ok((name, Target::Manifest(selector(last)?))),
        "blobs" => Ok((name, Target::Blob(last.parse()?))),
        "referrers" => Ok((name, Target::Referrers(last.parse()?))),
        "uploads" => {
            let name = name.strip_suffix("/blobs").ok_or_else(none)?;
            Ok((name, Target::Upload(last.to_owned())))
        }
        _ => Err(none()),
    }
}

fn selector(text: &str) -> Result<Selector, Failure> {
    if text.contains(':') { Ok(Selector::Digest(text.parse()?)) } else { Ok(Selector::Tag(text.to_owned())) }
}

/// A repository's path is a reference in Docker's grammar: `busybox` is `docker.io/library/busybox`.
pub(crate) fn repository(name: &str) -> Result<Reference, Failure> {
    let reference: Reference = name.parse().map_err(|e: nacre_oci::Error| Failure::new(Code::NameInvalid, e.to_string()))?;
    if reference.tag().is_some() || reference.digest().is_some() {
        return Err(Failure::new(Code::NameInvalid, format!("invalid repository name '{name}': a tag or digest has no place in it")));
    }
    Ok(reference)
}

/// The repositories as Docker shows them, of those names that a client can ask for: a host with a port has no place in a
/// repository's name.
pub(crate) fn shown(names: &[String]) -> impl Iterator<Item = Reference> {
    let reachable = |name: &Reference| format!("localhost/{}", name.familiar_name()).parse::<Reference>().is_ok();
    names.iter().filter_map(|name| name.parse().ok()).filter(reachable)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn reads_every_end_point_with_slashes_in_names() {
        let digest: Digest = DIGEST.parse().unwrap();
        for (path, canonical, target) in [
            ("busybox/tags/list".to_owned(), "docker.io/library/busybox", Target::Tags),
            ("a/b/c/manifests/1.0".into(), "docker.io/a/b/c", Target::Manifest(Selector::Tag("1.0".into()))),
            (format!("team/app/manifests/{DIGEST}"), "docker.io/team/app", Target::Manifest(Selector::Digest(digest.clone()))),
            (format!("ghcr.io/o/r/blobs/{DIGEST}"), "ghcr.io/o/r", Target::Blob(digest.clone())),
            (format!("localhost:5000/r/referrers/{DIGEST}"), "localhost:5000/r", Target::Referrers(digest)),
            ("a/b/blobs/uploads/".into(), "docker.io/a/b", Target::Uploads),
            ("a/b/blobs/uploads".into(), "docker.io/a/b", Target::Uploads),
            ("a/b/blobs/uploads/x-1".into(), "docker.io/a/b", Target::Upload("x-1".into())),
            ("blobs/blobs/uploads/x".into(), "docker.io/library/blobs", Target::Upload("x".into())),
            ("a/manifests/manifests/latest".into(), "docker.io/a/manifests", Target::Manifest(Selector::Tag("latest".into()))),
        ] {
            let route = parse(&path).unwrap();
            assert_eq!((route.repository.to_string().as_str(), route.target), (canonical, target), "{path}");
        }
    }

    #[test]
    fn shows_what_clients_can_ask_for() {
        let names = ["docker.io/library/a", "ghcr.io/o/r", "localhost:5000/r", "127.0.0.1:1/r"].map(str::to_owned);
        let shown: Vec<String> = shown(&names).map(|name| name.familiar_name()).collect();
        assert_eq!(shown, ["a", "ghcr.io/o/r"]);
    }

    #[test]
    fn refuses_what_is_no_path_or_no_name() {
        for path in [
            "",
            "a",
            "a/b",
            "a/b/c",
            "a/blobs/x",
            "a/blobs/sha256:../x",
            "A/tags/list",
            "a:b/tags/list",
            "../a/tags/list",
            "/tags/list",
            "x/uploads/1",
        ] {
            assert!(parse(path).is_err(), "'{path}' was accepted");
        }
    }
}
