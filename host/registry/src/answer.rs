//! Answers: bodies with a limit, and errors in words.

use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use nacre_oci::{Error, Result};
use oci_distribution::errors::{OciEnvelope, OciErrorCode};
use reqwest::Response;
use serde_json::Value;

use crate::retry::{Again, Failure, retry_after};

/// The most bytes of a token answer or an error (CVE-2020-1702 and its kin).
pub(crate) const MAX_SMALL: u64 = 1 << 20;
/// What follows a refusal.
pub(crate) const LOGIN_HINT: &str = "; log in with";
/// A small body may take so many stalls' time in all: one that drips never stalls.
const DRIP: u32 = 10;
/// The most characters of a registry's own words that go into an error.
const MAX_WORDS: usize = 300;

/// What a request is about, for errors.
#[derive(Clone, Debug)]
pub(crate) struct About {
    /// The verb: `fetch`.
    pub(crate) doing: &'static str,
    /// The object: `blob sha256:… of host/name`.
    pub(crate) what: String,
    /// The registry as the user writes it.
    pub(crate) registry: String,
}

impl About {
    pub(crate) fn transport(&self, why: impl Into<String>) -> Error {
        Error::Transport { doing: format!("{} {}", self.doing, self.what), why: why.into() }
    }

    fn denied(&self, why: &str) -> Error {
        let why = format!("{why}{LOGIN_HINT} 'nacre login {}'", self.registry);
        Error::Denied { what: format!("{} {}", self.doing, self.what), why }
    }

    /// What to make of an answer that is not the one hoped for.
    pub(crate) async fn refused(&self, response: Response, stall: Duration) -> Failure {
        let status = response.status();
        let wait = retry_after(response.headers(), Timestamp::now());
        let limited = status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE;
        let again = match (wait, status) {
            (Some(wait), _) if limited => Again::After(wait),
            _ if limited || is_passing(status) => Again::Soon,
            _ => Again::Never,
        };
        let body = body(response, MAX_SMALL, &self.what, stall).await.unwrap_or_default();
        Failure { error: self.error(status, &body), again }
    }

    fn error(&self, status: StatusCode, body: &[u8]) -> Error {
        let (codes, words) = words(body);
        let name = status.canonical_reason().unwrap_or("an unknown status");
        let said = |otherwise: &str| words.clone().unwrap_or_else(|| otherwise.to_owned());
        match status {
            StatusCode::UNAUTHORIZED => self.denied(&said("the registry wants to know who asks")),
            StatusCode::FORBIDDEN => self.denied(&said("the registry forbids it")),
            StatusCode::NOT_FOUND => Error::not_found(&self.what),
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => self.unsupported(said("the registry does not offer it")),
            StatusCode::PAYLOAD_TOO_LARGE => Error::TooLarge { what: self.what.clone(), limit: "the registry's own".into() },
            _ if codes.contains(&OciErrorCode::Unsupported) => self.unsupported(said("the registry does not offer it")),
            _ => {
                let words = words.map(|words| format!(": {words}")).unwrap_or_default();
                self.transport(format!("the registry answered {} {name}{words}", status.as_u16()))
            }
        }
    }

    fn unsupported(&self, why: String) -> Error {
        Error::Unsupported { what: format!("{} {}", self.doing, self.what), why }
    }

    /// What to make of no answer.
    pub(crate) fn unanswered(&self, error: &reqwest::Error) -> Failure {
        let causes = causes(error);
        let tls = causes.contains("certificate") || causes.contains("InvalidContentType") || causes.contains("TLS");
        if tls {
            let hint = format!("use --insecure-registry {} only if you trust the network", self.registry);
            return self.transport(format!("TLS: {causes}; {hint}")).into();
        }
        let why = if error.is_timeout() && error.is_connect() { "no connection within the time limit".into() } else { causes };
        let passing = !error.is_builder() && !why.contains("refused") && !why.contains("dns error");
        let error = self.transport(why);
        if passing { Failure::passing(error) } else { error.into() }
    }
}

/// Whether a status says that the same request may succeed later.
fn is_passing(status: StatusCode) -> bool {
    use StatusCode as S;
    matches!(status, S::REQUEST_TIMEOUT | S::INTERNAL_SERVER_ERROR | S::BAD_GATEWAY | S::GATEWAY_TIMEOUT)
}

/// The innermost causes say what happened; the outer ones only that something did.
///
/// The error's own text is left out: it may hold a URL with a signature in it.
pub(crate) fn causes(error: &reqwest::Error) -> String {
    let mut texts = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        texts.push(cause.to_string());
        next = cause.source();
    }
    let last = texts.pop().unwrap_or_else(|| "the request could not be made".to_owned());
    match texts.iter().find(|text| text.contains("dns error")) {
        Some(_) => format!("dns error: {last}"),
        None => last,
    }
}

/// The registry's error codes and its message, on one line and not too long.
fn words(body: &[u8]) -> (Vec<OciErrorCode>, Option<String>) {
    let (codes, text) = match serde_json::from_slice::<OciEnvelope>(body) {
        Ok(envelope) => {
            let text: Vec<String> = envelope.errors.iter().map(said).collect();
            (envelope.errors.into_iter().map(|error| error.code).collect(), text.join("; "))
        }
        Err(_) => (Vec::new(), other_words(body)),
    };
    let html = text.trim_start().starts_with('<');
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_WORDS).collect();
    (codes, Some(line).filter(|line| !line.is_empty() && !html))
}

/// What token servers and proxies say in forms of their own.
fn other_words(body: &[u8]) -> String {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let field =
        |json: &Value| ["error_description", "details", "message"].iter().find_map(|key| json.get(key)?.as_str().map(str::to_owned));
    json.as_ref().and_then(field).unwrap_or_else(|| String::from_utf8_lossy(body).into_owned())
}

fn said(error: &oci_distribution::errors::OciError) -> String {
    let code = serde_json::to_value(&error.code).ok().and_then(|code| code.as_str().map(str::to_owned)).unwrap_or_default();
    let detail = error.detail.as_str().unwrap_or_default();
    [error.message.as_str(), detail].into_iter().find(|text| !text.is_empty()).unwrap_or(&code).to_owned()
}

/// Reads a body that is small by its nature.
///
/// # Errors
/// [`Error::TooLarge`] above `limit` bytes, at the latest when they came; [`Error::Transport`] if it breaks off, stalls, or
/// drips in without an end.
pub(crate) async fn body(response: Response, limit: u64, what: &str, stall: Duration) -> Result<Vec<u8>> {
    let drips = |_| Error::Transport { doing: format!("fetch {what}"), why: "the answer comes too slowly".into() };
    tokio::time::timeout(stall.saturating_mul(DRIP), read_body(response, limit, what, stall)).await.map_err(drips)?
}

async fn read_body(mut response: Response, limit: u64, what: &str, stall: Duration) -> Result<Vec<u8>> {
    let too_large = || Error::TooLarge { what: what.to_owned(), limit: format!("{} KiB", limit >> 10) };
    let broken = |why: String| Error::Transport { doing: format!("fetch {what}"), why };
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    loop {
        let chunk = tokio::time::timeout(stall, response.chunk()).await.map_err(|_| broken("the answer stalled".into()))?;
        let Some(chunk) = chunk.map_err(|e| broken(causes(&e)))? else { return Ok(bytes) };
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &str) -> String {
        let about = About { doing: "fetch", what: "manifest h/a:1".into(), registry: "h".into() };
        about.error(StatusCode::from_u16(status).expect("a status"), body.as_bytes()).to_string()
    }

    #[test]
    fn says_what_the_registry_said_on_one_line() {
        let denied = r#"{"errors":[{"code":"DENIED","message":"requested access\nto the resource is denied"}]}"#;
        let expected = "fetch manifest h/a:1 was denied: requested access to the resource is denied; log in with 'nacre login h'";
        assert_eq!(error(403, denied), expected);
        assert_eq!(error(404, ""), "manifest h/a:1 was not found");
        assert_eq!(error(500, "<html>…"), "fetch manifest h/a:1 failed: the registry answered 500 Internal Server Error");
        let own_code = r#"{"errors":[{"code":"QUOTA"}]}"#;
        assert_eq!(error(400, own_code), "fetch manifest h/a:1 failed: the registry answered 400 Bad Request: QUOTA");
        let unsupported = r#"{"errors":[{"code":"UNSUPPORTED","message":"no"}]}"#;
        assert_eq!(error(400, unsupported), "fetch manifest h/a:1 is not supported: no");
        let hub = r#"{"details":"incorrect username or password"}"#;
        assert!(error(401, hub).contains("denied: incorrect username or password; log in"));
        assert!(error(418, &"x".repeat(100_000)).len() < 500);
        for damaged in ["{\"errors\":null}", "{\"errors\":[{}]}", "null", "[]", "{"] {
            assert!(!error(400, damaged).contains('\n'));
        }
    }
}
