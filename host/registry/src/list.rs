//! Lists that come in pages: tags and the catalog (distribution specification, "Listing Tags"; RFC 8288 links).

use std::collections::HashSet;

use http::{HeaderMap, Method, header::LINK};
use nacre_oci::{Error, Result};
use serde_json::{Map, Value};
use url::Url;

use crate::{Client, Repository, answer::body, host::same_origin, repository::PULL, request::Request, transport::Endpoint};

/// More pages and entries than any real list has: to end hostile ones.
const MAX_PAGES: usize = 2_000;
pub(crate) const MAX_ENTRIES: usize = 1_000_000;
/// The most bytes of one page.
const MAX_PAGE: u64 = 8 << 20;

impl Repository {
    /// The repository's tags, at most `limit`, sorted (which the specification asks of registries, and not all do).
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such repository; [`Error::Malformed`] if the pages run in a circle or lead to
    /// another host.
    pub fn tags(&self, limit: usize) -> Result<Vec<String>> {
        self.client().wait(async {
            let endpoint = self.endpoint().await?;
            let path = format!("tags/list?n={}", limit.clamp(1, 1000));
            let mut request = self.request(&endpoint, Method::GET, &path, PULL, "list", "tags")?;
            request.about.what = format!("the tags of {}", self.name());
            let mut tags = self.client().names(&endpoint, request, "tags", limit).await?;
            tags.sort_unstable();
            Ok(tags)
        })
    }
}

impl Client {
    /// The names under `key` of a list, at most `limit`.
    pub(crate) async fn names(&self, endpoint: &Endpoint, request: Request, key: &str, limit: usize) -> Result<Vec<String>> {
        let read = |page: &[u8]| names(page, key).map_err(|e| Error::malformed(&request.about.what, e));
        self.pages(endpoint, request.clone(), limit, read).await.map(|(names, _)| names)
    }

    /// Follows a list's `Link`s until there are `limit` entries. Also returns the last page's header.
    pub(crate) async fn pages<T>(
        &self,
        endpoint: &Endpoint,
        mut request: Request,
        limit: usize,
        read: impl Fn(&[u8]) -> Result<Vec<T>>,
    ) -> Result<(Vec<T>, HeaderMap)> {
        let mut seen = HashSet::from([request.url.clone()]);
        let mut all = Vec::new();
        loop {
            let response = self.send(endpoint, &request).await?;
            let headers = response.headers().clone();
            let page = body(response, MAX_PAGE, &request.about.what, self.config().timeouts.stall).await?;
            all.extend(read(&page)?);
            if all.len() >= limit.min(MAX_ENTRIES) {
                all.truncate(limit);
                return Ok((all, headers));
            }
            let Some(next) = next_page(&headers, &request.url).map_err(|why| Error::malformed(&request.about.what, why))? else {
                return Ok((all, headers));
            };
            if !seen.insert(next.clone()) {
                return Err(Error::malformed(&request.about.what, "its pages run in a circle"));
            }
            if seen.len() > MAX_PAGES {
                return Err(Error::TooLarge { what: request.about.what, limit: format!("{MAX_PAGES} pages") });
            }
            request.url = next;
        }
    }
}

/// The names under `key` of one page.
pub(crate) fn names(page: &[u8], key: &str) -> serde_json::Result<Vec<String>> {
    let mut page: Map<String, Value> = serde_json::from_slice(page)?;
    match page.remove(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(names) => serde_json::from_value(names),
    }
}

/// The page that a `Link` with `rel="next"` leads to; it has to be on the same host.
pub(crate) fn next_page(headers: &HeaderMap, current: &Url) -> Result<Option<Url>, String> {
    let texts = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let Some(target) = texts.flat_map(next_targets).next() else { return Ok(None) };
    let url = current.join(target).map_err(|_| format!("its next page '{target}' is not a URL"))?;
    if !same_origin(&url, current) {
        return Err(format!("its next page is on another host, {}", crate::host::authority(&url)));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its next page is for a user that it names itself".to_owned());
    }
    Ok(Some(url))
}

/// The targets of one header's links whose relation is `next`.
fn next_targets(text: &str) -> impl Iterator<Item = &str> {
    text.split('<').skip(1).filter_map(|link| {
        let (target, params) = link.split_once('>')?;
        let is_next = |param: &str| {
            let (name, value) = param.split_once('=')?;
            let value = value.trim().trim_end_matches(',').trim().trim_matches('"');
            (name.trim().eq_ignore_ascii_case("rel") && value.split(' ').any(|rel| rel.eq_ignore_ascii_case("next"))).then_some(())
        };
        params.split(';').find_map(is_next).map(|()| target)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn next(link: &str) -> Result<Option<String>, String> {
        let headers = HeaderMap::from_iter([(LINK, link.parse().unwrap())]);
        let current = Url::parse("https://r.example/v2/a/tags/list?n=2").unwrap();
        next_page(&headers, &current).map(|url| url.map(String::from))
    }

    #[test]
    fn finds_the_next_page() {
        let expected = Ok(Some("https://r.example/v2/a/tags/list?last=b&n=2".to_owned()));
        for link in [
            r#"</v2/a/tags/list?last=b&n=2>; rel="next""#,
            r#"<https://r.example/v2/a/tags/list?last=b&n=2>;rel=next"#,
            r#"<https://r.example:443/v2/a/tags/list?last=b&n=2> ; REL="prev next""#,
            r#"</x>; rel="prev", </v2/a/tags/list?last=b&n=2>; title="a;b"; rel="next", </y>; rel="last""#,
            r#"<?last=b&n=2>; rel="next""#,
        ] {
            assert_eq!(next(link), expected, "{link}");
        }
        for link in ["", "</x>", "</x>; rel=prev", "/x; rel=next", "</x; rel=next"] {
            assert_eq!(next(link), Ok(None), "{link}");
        }
        for link in [
            "<https://evil.example/v2/>; rel=next",
            "<//evil.example/>; rel=next",
            "<http://r.example/>; rel=next",
            "<https://u:p@r.example/>; rel=next",
        ] {
            assert!(next(link).is_err(), "{link}");
        }
    }
}
