//! Search: Docker's `/v1/search`, and by the catalog where a registry has none (as Podman does).

use http::{HeaderName, Method};
use nacre_oci::{DEFAULT_REGISTRY, Error, Result};
use serde::Deserialize;

use crate::{Client, answer::About, answer::body, host::search_host, request::Request, transport::Endpoint};

/// The most that `/v1/search` gives at a time, and what Docker allows.
const MAX_LIMIT: usize = 100;
/// The most bytes of an answer.
const MAX_ANSWER: u64 = 4 << 20;
/// Docker sends it with searches: it asks for a token that nobody issues any more.
const DOCKER_TOKEN: HeaderName = HeaderName::from_static("x-docker-token");

/// One repository that a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchHit {
    /// The repository's name as the registry shows it: without the registry.
    pub name: String,
    /// What its owner says about it; empty if unknown.
    pub description: String,
    /// How many users marked it.
    pub stars: u64,
    /// Whether Docker vouches for it.
    pub official: bool,
    /// Whether it was built by Docker Hub (retired, always false by now).
    pub automated: bool,
    /// The registry, `docker.io` for Docker Hub.
    pub registry: String,
}

#[derive(Deserialize)]
struct Answer {
    results: Option<Vec<Found>>,
}

#[derive(Deserialize)]
struct Found {
    name: String,
    description: Option<String>,
    star_count: Option<i64>,
    is_official: Option<bool>,
    is_automated: Option<bool>,
}

impl Client {
    /// Searches Docker Hub, or the given registry, for repositories; `limit` is 1 to 100.
    ///
    /// # Errors
    /// If the term is a URL, the limit out of range, or what the registry says.
    pub fn search(&self, registry: Option<&str>, term: &str, limit: usize) -> Result<Vec<SearchHit>> {
        let registry = registry.unwrap_or(DEFAULT_REGISTRY);
        if term.contains("://") {
            return Err(Error::InvalidReference {
                text: term.to_owned(),
                why: "a search term is not a URL: leave out the part up to '://'".into(),
            });
        }
        if !(1..=MAX_LIMIT).contains(&limit) {
            let why = format!("a search gives 1 to {MAX_LIMIT} results");
            return Err(Error::Unsupported { what: format!("a limit of {limit}"), why });
        }
        let term = term.strip_prefix("library/").filter(|_| registry == DEFAULT_REGISTRY).unwrap_or(term);
        match self.wait(self.search_index(registry, term, limit)) {
            Err(Error::NotFound { .. } | Error::Unsupported { .. }) => self.search_catalog(registry, term, limit),
            found => found,
        }
    }

    async fn search_index(&self, registry: &str, term: &str, limit: usize) -> Result<Vec<SearchHit>> {
        let base = self.transport().base(search_host(registry), "v1/").await?;
        let endpoint = Endpoint { registry: registry.to_owned(), base };
        let mut url = endpoint.url("search")?;
        url.query_pairs_mut().append_pair("q", term).append_pair("n", &limit.to_string());
        let about = About { doing: "search", what: registry.to_owned(), registry: registry.to_owned() };
        let request = Request::new(Method::GET, url, Vec::new(), about).header(DOCKER_TOKEN, "true")?;
        let response = self.send(&endpoint, &request).await?;
        let bytes = body(response, MAX_ANSWER, "the search answer", self.config().timeouts.stall).await?;
        hits(&bytes, registry, limit)
    }

    fn search_catalog(&self, registry: &str, term: &str, limit: usize) -> Result<Vec<SearchHit>> {
        let hit = |name: String| {
            let description = String::new();
            SearchHit { name, description, stars: 0, official: false, automated: false, registry: registry.to_owned() }
        };
        let names = self.catalog(registry)?;
        Ok(names.into_iter().filter(|name| name.contains(term)).take(limit).map(hit).collect())
    }
}

/// Reads an answer: its first `limit` hits.
pub(crate) fn hits(answer: &[u8], registry: &str, limit: usize) -> Result<Vec<SearchHit>> {
    let answer: Answer = serde_json::from_slice(answer).map_err(|e| Error::malformed(format!("the search answer of {registry}"), e))?;
    Ok(answer.results.unwrap_or_default().into_iter().take(limit).map(|found| found.at(registry)).collect())
}

impl Found {
    fn at(self, registry: &str) -> SearchHit {
        SearchHit {
            name: self.name,
            description: self.description.unwrap_or_default(),
            stars: self.star_count.and_then(|stars| stars.try_into().ok()).unwrap_or_default(),
            official: self.is_official.unwrap_or_default(),
            automated: self.is_automated.unwrap_or_default(),
            registry: registry.to_owned(),
        }
    }
}
