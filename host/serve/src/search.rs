//! Docker's search (`GET /v1/search`), answered from the store.

use std::sync::Arc;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use nacre_oci::{DEFAULT_REGISTRY, DEFAULT_TAG, Reference, Result};
use serde::Serialize;
use serde_json::json;

use crate::{
    app::{App, blocking},
    failure::Failure,
    query::Params,
    route::shown,
};

/// Docker's limits.
const DEFAULT_COUNT: usize = 25;
const MAX_COUNT: usize = 100;

const DESCRIPTION: &str = "org.opencontainers.image.description";

/// One hit, in Docker's words. Nobody gives stars here, and nothing says who built what.
#[derive(Serialize)]
struct Hit {
    name: String,
    description: String,
    star_count: u32,
    is_official: bool,
    is_automated: bool,
}

/// `GET /v1/_ping`, by which Docker finds out that it may ask.
pub(crate) fn ping() -> Response {
    ([("x-docker-registry-standalone", "true")], Json(true)).into_response()
}

/// `GET /v1/search?q=TERM&n=COUNT`: repositories whose name has the term in it, best first.
pub(crate) async fn search(app: &Arc<App>, params: Params) -> Result<Response, Failure> {
    let count = params.count()?.filter(|n| *n > 0).unwrap_or(DEFAULT_COUNT).min(MAX_COUNT);
    let query = params.get("q").unwrap_or_default().to_owned();
    let term = query.to_lowercase();
    let hits = blocking(app, move |app| Ok(find(app, term.strip_prefix("library/").unwrap_or(&term), count)?)).await?;
    Ok(Json(json!({ "query": query, "num_results": hits.len(), "results": hits })).into_response())
}

fn find(app: &App, term: &str, count: usize) -> Result<Vec<Hit>> {
    let names = app.store.repositories()?;
    let mut found: Vec<Reference> = shown(&names).collect();
    found.retain(|name: &Reference| name.familiar_name().to_lowercase().contains(term));
    found.sort_by_cached_key(|name| (rank(&name.familiar_name(), term), name.familiar_name()));
    found.truncate(count);
    found.iter().map(|name| describe(app, name)).collect()
}

/// The name itself, then names that begin like that, then the others; official ones first.
fn rank(name: &str, term: &str) -> (bool, bool, bool) {
    (name != term, !name.starts_with(term), name.contains('/'))
}

fn describe(app: &App, name: &Reference) -> Result<Hit> {
    let is_official = name.registry() == DEFAULT_REGISTRY && name.repository().starts_with("library/");
    let description = description(app, name)?;
    Ok(Hit { name: name.familiar_name(), description, star_count: 0, is_official, is_automated: false })
}

/// What the image says about itself that the repository's `latest`, or else its last tag, stands for.
fn description(app: &App, name: &Reference) -> Result<String> {
    let tags = app.store.tags(&name.name())?;
    let tag = tags.iter().find(|tag| *tag == DEFAULT_TAG).or(tags.last());
    let Some(tag) = tag else { return Ok(String::new()) };
    let image = match app.store.find(&name.with_tag(tag)?.to_string()) {
        Ok(found) => found.image,
        // It was removed just now.
        Err(nacre_oci::Error::NotFound { .. }) => return Ok(String::new()),
        Err(other) => return Err(other),
    };
    let said = image.descriptor.annotations.get(DESCRIPTION).or_else(|| image.labels.get(DESCRIPTION));
    Ok(said.cloned().unwrap_or_default())
}
