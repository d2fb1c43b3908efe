//! The parsers of what registries and auth files say, for the targets of `tests/fuzz` and the tests: each function takes any
//! bytes, and panics if what the parser makes of them is not what it has to be.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use nacre_oci::{DEFAULT_REGISTRY, Descriptor};
use serde_json::{Map, Value, json};
use url::{Position, Url};

use crate::blob::{content_range, start};
use crate::challenge::{Challenge, check_realm};
use crate::credentials::{Credential, Place, decode, insert, place, remove};
use crate::helper::Helper;
use crate::host::{is_internal, is_loopback};
use crate::{auth_file, list, search};

/// The same header several times, a line each; `None` if a line cannot be in a header.
fn headers(name: &HeaderName, lines: &[u8]) -> Option<HeaderMap> {
    let value = |line| Some((name.clone(), HeaderValue::from_bytes(line).ok()?));
    lines.split(|byte| *byte == b'\n').map(value).collect()
}

/// `WWW-Authenticate`: what is read, written and read again is the same, and no realm leads to where its registry may not send
/// a password.
pub fn challenge(lines: &[u8]) {
    let read = |lines: &[u8]| headers(&header::WWW_AUTHENTICATE, lines).and_then(|headers| Challenge::from_headers(&headers));
    let Some(Challenge::Bearer { realm, service, scope }) = read(lines) else { return };
    let params = [("realm", Some(&realm)), ("service", service.as_ref()), ("scope", scope.as_ref())];
    let quoted = |text: &String| text.replace('\\', r"\\").replace('"', r#"\""#);
    let params = params.iter().filter_map(|(name, text)| Some(format!("{name}=\"{}\"", quoted(text.as_ref()?))));
    let written = format!("Bearer {}", params.collect::<Vec<_>>().join(","));
    assert_eq!(read(written.as_bytes()), Some(Challenge::Bearer { realm: realm.clone(), service, scope }), "{written}");
    for registry in ["https://r.example/v2/", "http://127.0.0.1:5000/v2/", "http://r.example:5000/v2/"] {
        let registry = Url::parse(registry).expect("a URL");
        let Ok(url) = check_realm(&realm, &registry) else { continue };
        let own = url.host() == registry.host() || (is_loopback(&url) && is_loopback(&registry));
        assert!(own || (url.scheme() == "https" && !is_internal(&url)), "{url} for {registry}");
        assert!(url.scheme() == "https" || (url.scheme() == "http" && registry.scheme() == "http"), "{url} for {registry}");
    }
}

/// `Link`: the next page is of the same scheme, user, host and port, and its URL means the same when it is read again.
pub fn link(lines: &[u8]) {
    let current = Url::parse("https://r.example/v2/a/tags/list?n=2").expect("a URL");
    let read = |lines: &[u8]| list::next_page(&headers(&header::LINK, lines)?, &current).ok().flatten();
    let Some(url) = read(lines) else { return };
    assert_eq!(url[..Position::BeforePath], current[..Position::BeforePath]);
    assert_eq!(read(format!("<{url}>; rel=\"next\"").as_bytes()).as_ref(), Some(&url));
}

/// `Content-Range` and `Content-Length`: an answer starts where it was asked to or at the beginning, and has the blob's size.
pub fn ranges(value: &[u8]) {
    const POSITION: u64 = 5;
    let blob = Descriptor::of("x", b"0123456789");
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let at = |status, name| start(status, &HeaderMap::from_iter([(name, value.clone())]), POSITION, &blob).ok();
    assert!(at(StatusCode::PARTIAL_CONTENT, header::CONTENT_RANGE).is_none_or(|at| at == POSITION), "{value:?}");
    assert!(at(StatusCode::OK, header::CONTENT_LENGTH).is_none_or(|at| at == 0), "{value:?}");
    let Some((first, total)) = value.to_str().ok().and_then(content_range) else { return };
    assert!(total.is_none_or(|total| first < total), "{first} of {total:?}");
    assert!(value.as_bytes().iter().all(|byte| b"bytes 0123456789-/*\t".contains(byte)), "{value:?}");
    let written = format!("bytes {first}-{first}/{}", total.map_or("*".into(), |total| total.to_string()));
    assert_eq!(content_range(&written), Some((first, total)));
}

/// Search answers and lists of names: not more than was asked for, and what is written again is read as the same.
pub fn search(answer: &[u8]) {
    const LIMIT: usize = 3;
    if let Ok(hits) = search::hits(answer, "r.example", LIMIT) {
        assert!(hits.len() <= LIMIT && hits.iter().all(|hit| hit.registry == "r.example"));
        let one = |hit: &search::SearchHit| {
            json!({ "name": hit.name, "description": hit.description, "star_count": hit.stars, "is_official": hit.official,
                "is_automated": hit.automated })
        };
        let written = json!({ "results": hits.iter().map(one).collect::<Vec<_>>() }).to_string();
        assert_eq!(search::hits(written.as_bytes(), "r.example", LIMIT).expect("what was written"), hits);
    }
    if let Ok(names) = list::names(answer, "tags") {
        let written = json!({ "tags": names }).to_string();
        assert_eq!(list::names(written.as_bytes(), "tags").expect("what was written"), names);
    }
}

/// Auth files: any credential can be looked for; one that is kept is the one that is found, and one that is erased is gone.
pub fn auth_file(file: &[u8]) {
    let Ok(Some(content)) = auth_file::parse(file) else { return };
    for (registry, repository) in [("r.example", None), ("r.example", Some("a/b")), ("127.0.0.1:5000", None), (DEFAULT_REGISTRY, None)] {
        match place(&content, registry, repository) {
            Place::Helper(name) => check_helper(name),
            Place::Entry(entry) => _ = decode(entry),
            Place::Nowhere => {}
        }
        check_login(content.clone(), registry);
    }
}

/// A helper is a program of the search path, and nothing else.
fn check_helper(name: &str) {
    let Ok(helper) = Helper::new(name, None) else { return };
    let program = helper.to_string();
    assert!(program.starts_with("docker-credential-") && !program.contains('/'), "{program}");
}

fn check_login(mut content: Map<String, Value>, registry: &str) {
    if matches!(place(&content, registry, None), Place::Helper(_)) || insert(&mut content, registry, "u", "p:w").is_err() {
        return;
    }
    let Place::Entry(kept) = place(&content, registry, None) else { panic!("a login at {registry} that was kept is not found") };
    let wanted = Credential::Password { user: "u".into(), password: "p:w".into() };
    assert_eq!(decode(kept).expect("what was written"), Some(wanted), "{content:?}");
    assert!(remove(&mut content, registry));
    assert!(!matches!(place(&content, registry, None), Place::Entry(_)), "{content:?}");
}

#[cfg(test)]
mod tests {
    use nacre_tests::mutated::mutated;

    #[test]
    fn any_header_is_a_challenge_or_none() {
        mutated("challenge", super::challenge);
    }

    #[test]
    fn any_link_stays_on_its_host() {
        mutated("link", super::link);
    }

    #[test]
    fn any_content_range_is_one_or_none() {
        mutated("ranges", super::ranges);
    }

    #[test]
    fn any_answer_is_hits_or_an_error() {
        mutated("search", super::search);
    }

    #[test]
    fn any_auth_file_is_read_or_refused() {
        mutated("auth_file", super::auth_file);
    }
}
