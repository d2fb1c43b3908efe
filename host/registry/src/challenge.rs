//! `WWW-Authenticate`: what a registry wants to see before it answers.

use http::{HeaderMap, header::WWW_AUTHENTICATE};
use http_auth::parser::ChallengeParser;
use nacre_oci::{Error, Result};
use url::Url;

use crate::host::{is_internal, is_loopback};

/// A way of showing who one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password with every request (RFC 7617).
    Basic,
    /// A token from the realm (distribution's token authentication).
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// The challenge to take up: Bearer before Basic, `None` if there is neither.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let all: Vec<Self> = texts.flat_map(parse).collect();
        all.iter().find(|challenge| matches!(challenge, Self::Bearer { .. })).or(all.first()).cloned()
    }

    /// The challenge as it holds for every request to a registry: the scope was one request's.
    pub(crate) fn without_scope(self) -> Self {
        match self {
            Self::Bearer { realm, service, .. } => Self::Bearer { realm, service, scope: None },
            Self::Basic => Self::Basic,
        }
    }
}

/// The usable challenges of one header; what comes after a mistake in it is left out.
fn parse(text: &str) -> Vec<Challenge> {
    let usable = |challenge: http_auth::ChallengeRef<'_>| {
        let param = |name: &str| {
            let (_, value) = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            Some(value.to_unescaped()).filter(|value| !value.is_empty())
        };
        match challenge.scheme.to_ascii_lowercase().as_str() {
            "basic" => Some(Challenge::Basic),
            "bearer" => Some(Challenge::Bearer { realm: param("realm")?, service: param("service"), scope: param("scope") }),
            _ => None,
        }
    };
    ChallengeParser::new(text).map_while(Result::ok).filter_map(usable).collect()
}

/// Checks that a token may be asked for at `realm` on behalf of `registry`.
///
/// A registry names its realm itself, so a hostile one could send us (and our password) anywhere: without TLS, to this
/// machine or into the local network it may only name its own host.
pub(crate) fn check_realm(realm: &str, registry: &Url) -> Result<Url> {
    let refuse = |why: &str| {
        let why = format!("it sends us for a token to {realm}, {why}");
        Err(Error::Denied { what: format!("access to {}", crate::host::authority(registry)), why })
    };
    let Ok(url) = Url::parse(realm) else { return refuse("which is not a URL") };
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return refuse("which is not an http or https URL");
    }
    let own = url.host() == registry.host() || (is_loopback(&url) && is_loopback(registry));
    if own && (url.scheme() == "https" || registry.scheme() == "http") {
        return Ok(url);
    }
    if url.scheme() != "https" {
        return refuse("which is not protected by TLS");
    }
    if is_internal(&url) {
        return refuse("an internal address that is not its own");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn challenge(texts: &[&str]) -> Option<Challenge> {
        Challenge::from_headers(&texts.iter().map(|text| (WWW_AUTHENTICATE, text.parse().unwrap())).collect())
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer { realm: realm.into(), service: service.map(Into::into), scope: scope.map(Into::into) })
    }

    #[test]
    fn reads_what_registries_send() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let expected = bearer("https://auth.docker.io/token", Some("registry.docker.io"), Some("repository:a/b:pull,push"));
        assert_eq!(challenge(&[hub]), expected);
        assert_eq!(challenge(&[r#"bearer Realm="https://a/\"t""#]), bearer("https://a/\"t", None, None));
        assert_eq!(challenge(&[r#"Basic realm="Registry Realm""#]), Some(Challenge::Basic));
        assert_eq!(challenge(&[r#"Basic realm="x", Bearer realm="https://a/t",service="s""#]), bearer("https://a/t", Some("s"), None));
        assert_eq!(challenge(&[r#"Basic realm="x""#, r#"Bearer realm="https://a/t""#]), bearer("https://a/t", None, None));
        for text in ["", "Bearer", "Negotiate", r#"Bearer realm="#, r#"Bearer service="x""#, "é", ",,,", "=\"\"", "Digest realm=\"x\""] {
            assert_eq!(challenge(&[text]), None, "{text}");
        }
    }

    #[test]
    fn a_realm_must_not_lead_astray() {
        let check = |realm, registry: &str| check_realm(realm, &Url::parse(registry).unwrap());
        for (realm, registry) in [
            ("https://auth.docker.io/token", "https://registry-1.docker.io/v2/"),
            ("https://10.0.0.1:8443/token", "https://10.0.0.1/v2/"),
            ("http://127.0.0.1:5001/token", "http://127.0.0.1:5000/v2/"),
            ("http://localhost:5001/token", "http://127.0.0.1:5000/v2/"),
            ("http://registry.local/token", "http://registry.local:5000/v2/"),
        ] {
            assert!(check(realm, registry).is_ok(), "{realm} of {registry}");
        }
        for (realm, registry) in [
            ("http://auth.docker.io/token", "https://registry-1.docker.io/v2/"),
            ("http://registry-1.docker.io/token", "https://registry-1.docker.io/v2/"),
            ("https://169.254.169.254/latest", "https://registry.example/v2/"),
            ("http://127.0.0.1/token", "https://registry.example/v2/"),
            ("https://localhost/token", "https://registry.example/v2/"),
            ("https://[::ffff:10.1.2.3]/", "https://registry.example/v2/"),
            ("http://auth.example/token", "http://127.0.0.1:5000/v2/"),
            ("file:///etc/passwd", "https://registry.example/v2/"),
            ("token", "https://registry.example/v2/"),
        ] {
            assert!(check(realm, registry).is_err(), "{realm} of {registry}");
        }
    }
}
