//! Content discovery: tags, the catalog and referrers.

use std::sync::Arc;

use axum::{
    Json,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use nacre_oci::{Descriptor, Digest, MAX_MANIFEST, media_type};
use serde_json::json;

use crate::{
    app::{App, blocking},
    failure::{Code, Failure},
    query::{Params, encode, link, page},
    route::{Route, shown},
};

const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");
/// Room for what stands around the descriptors of a list of referrers.
const ENVELOPE: usize = 256;

/// `GET /v2/NAME/tags/list`.
pub(crate) async fn tags(app: &Arc<App>, route: &Route, params: Params) -> Result<Response, Failure> {
    let repository = route.repository.clone();
    let tags = blocking(app, move |app| {
        let tags = app.store.tags(&repository.name())?;
        if tags.is_empty() && !app.knows(&repository)? {
            return Err(Failure::new(Code::NameUnknown, format!("there is no repository {}", repository.familiar_name())));
        }
        Ok(tags)
    })
    .await?;
    let (headers, tags) = page(tags, &params, &format!("/v2/{}/tags/list", route.path))?;
    Ok((headers, Json(json!({ "name": route.path, "tags": tags }))).into_response())
}

/// `GET /v2/_catalog`: the repositories.
pub(crate) async fn catalog(app: &Arc<App>, params: Params) -> Result<Response, Failure> {
    let names = blocking(app, |app| Ok(app.store.repositories()?)).await?;
    let mut names: Vec<String> = shown(&names).map(|name| name.familiar_name()).collect();
    names.sort_unstable();
    let (headers, names) = page(names, &params, "/v2/_catalog")?;
    Ok((headers, Json(json!({ "repositories": names }))).into_response())
}

/// `GET /v2/NAME/referrers/DIGEST`: an index of what is about a manifest, whether or not that is here.
pub(crate) async fn referrers(app: &Arc<App>, route: &Route, subject: Digest, params: Params) -> Result<Response, Failure> {
    let (repository, about) = (route.repository.clone(), subject.clone());
    let wanted = params.get("artifactType").map(str::to_owned);
    let filter = wanted.clone();
    let found = blocking(app, move |app| Ok(app.store.referrers_in(&repository, &about, filter.as_deref())?)).await?;
    let (manifests, next) = fit(found, params.get("last").unwrap_or_default());
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type::OCI_INDEX));
    if wanted.is_some() {
        headers.insert(FILTERS, HeaderValue::from_static("artifactType"));
    }
    if let Some(last) = next {
        let filter = wanted.map(|wanted| format!("artifactType={}&", encode(&wanted))).unwrap_or_default();
        headers.insert(header::LINK, link(&format!("/v2/{}/referrers/{subject}", route.path), &format!("{filter}last={last}")));
    }
    let index = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests });
    Ok((headers, index.to_string()).into_response())
}

/// As many descriptors after `last` as fit into a manifest, and the last of them if there are more.
fn fit(sorted: Vec<Descriptor>, last: &str) -> (Vec<Descriptor>, Option<Digest>) {
    let mut room = usize::try_from(MAX_MANIFEST).unwrap_or(usize::MAX) - ENVELOPE;
    let mut page: Vec<Descriptor> = Vec::new();
    for one in sorted.into_iter().filter(|one| one.digest.to_string().as_str() > last) {
        let len = json!(one).to_string().len() + 1;
        if len > room && !page.is_empty() {
            let last = page.last().map(|one| one.digest.clone());
            return (page, last);
        }
        room = room.saturating_sub(len);
        page.push(one);
    }
    (page, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_referrers_is_no_larger_than_a_manifest() {
        let mut all: Vec<Descriptor> = (0..5000_u32).map(|n| Descriptor::of("a/b", &n.to_le_bytes())).collect();
        for one in &mut all {
            one.annotations.insert("note".into(), "x".repeat(2000));
        }
        all.sort_by(|a, b| a.digest.cmp(&b.digest));
        let (mut seen, mut last) = (Vec::new(), String::new());
        loop {
            let (page, next) = fit(all.clone(), &last);
            assert!(json!(page).to_string().len() as u64 <= MAX_MANIFEST);
            seen.extend(page);
            let Some(next) = next else { break };
            last = next.to_string();
        }
        assert!(seen == all);
    }
}
