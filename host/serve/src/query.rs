//! Queries: the parameters after `?`, and pages with the `Link` to the next one.

use axum::{
    extract::Query,
    http::{HeaderMap, HeaderValue, Uri, header::LINK},
};

use crate::failure::{Code, Failure};

/// The most entries of one answer. Who wants more follows the `Link`.
const MAX_PAGE: usize = 10_000;

/// The parameters of a query; of one that is repeated the first counts, where only one is wanted.
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn of(uri: &Uri) -> Result<Self, Failure> {
        let bad = |_| Failure::new(Code::Unsupported, "the query cannot be read").status(http::StatusCode::BAD_REQUEST);
        Query::try_from_uri(uri).map(|Query(pairs)| Self(pairs)).map_err(bad)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.all(key).next()
    }

    /// Every value of one that may be repeated.
    pub(crate) fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// `n`, the number of entries that are wanted.
    pub(crate) fn count(&self) -> Result<Option<usize>, Failure> {
        let read = |n: &str| n.parse().map_err(|_| Failure::new(Code::PaginationInvalid, format!("n is not a number of entries: '{n}'")));
        self.get("n").map(read).transpose()
    }
}

/// The page of `sorted` that `n` and `last` ask for, and the headers that lead on (distribution specification, "Listing
/// Tags"). `path` is the end point's own.
pub(crate) fn page(sorted: Vec<String>, params: &Params, path: &str) -> Result<(HeaderMap, Vec<String>), Failure> {
    let count = params.count()?.unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let last = params.get("last").unwrap_or_default();
    let mut rest: Vec<String> = sorted.into_iter().filter(|entry| entry.as_str() > last).collect();
    let more = rest.len() > count;
    rest.truncate(count);
    let mut headers = HeaderMap::new();
    if let (true, Some(last)) = (more, rest.last()) {
        headers.insert(LINK, link(path, &format!("n={count}&last={}", encode(last))));
    }
    Ok((headers, rest))
}

/// A `Link` header's value to the next page.
pub(crate) fn link(path: &str, query: &str) -> HeaderValue {
    HeaderValue::try_from(format!("<{}?{query}>; rel=\"next\"", encode(path))).expect("what is percent-encoded is visible ASCII")
}

/// Percent-encodes what a path's segment or a query's value may not hold as it is.
pub(crate) fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Undoes percent-encoding; `None` if what comes out is no text.
pub(crate) fn decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).filter(|_| first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit())).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn list(query: &str) -> Result<(Option<String>, String), Failure> {
        let uri: Uri = format!("/v2/a/tags/list?{query}").parse().unwrap();
        let tags = ["1", "2", "a", "b"].map(str::to_owned).to_vec();
        let (headers, page) = page(tags, &Params::of(&uri)?, "/v2/a/tags/list")?;
        Ok((headers.get(LINK).map(|v| v.to_str().unwrap().to_owned()), page.join(",")))
    }

    #[test]
    fn pages_lead_on_until_the_end() {
        assert_eq!(list("").unwrap(), (None, "1,2,a,b".into()));
        assert_eq!(list("n=2").unwrap(), (Some("</v2/a/tags/list?n=2&last=2>; rel=\"next\"".into()), "1,2".into()));
        assert_eq!(list("n=2&last=2").unwrap(), (None, "a,b".into()));
        assert_eq!(list("n=1&last=ZZ").unwrap(), (Some("</v2/a/tags/list?n=1&last=a>; rel=\"next\"".into()), "a".into()));
        assert_eq!(list("n=0").unwrap(), (None, String::new()));
        assert_eq!(list("last=b").unwrap(), (None, String::new()));
        for query in ["n=x", "n=-1", "n=", "n=1.5"] {
            assert!(list(query).is_err(), "{query}");
        }
    }

    #[test]
    fn percent_encoding_goes_both_ways() {
        assert_eq!(decode("/v2/a/manifests/sha256%3Aab%3a").as_deref(), Some("/v2/a/manifests/sha256:ab:"));
        assert_eq!(decode("100%").as_deref(), Some("100%"));
        assert_eq!(decode("%+1%zz").as_deref(), Some("%+1%zz"));
        assert_eq!(decode("%ff"), None);
        assert_eq!(encode("[::1]:5000/a b"), "%5B::1%5D:5000/a%20b");
        assert_eq!(decode(&encode("[::1]/ü&=")).as_deref(), Some("[::1]/ü&="));
    }
}
