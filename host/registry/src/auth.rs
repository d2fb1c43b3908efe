//! Authorization: Docker's token flow and Basic, with tokens kept until they expire.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, header::CONTENT_TYPE};
use nacre_oci::Error;
use oci_distribution::secrets::RegistryAuth;
use reqwest::Response;
use serde::Deserialize;
use url::{Url, form_urlencoded};

use crate::{
    answer::{About, MAX_SMALL, body},
    challenge::{Challenge, check_realm},
    client::Client,
    credentials::Credential,
    request::Request,
    retry::Failure,
    transport::Endpoint,
};

/// What a token lives if its answer does not say (distribution's token specification).
const DEFAULT_LIFE: u64 = 60;
/// No token is trusted to live longer, seconds.
const LONGEST_LIFE: u64 = 3600;
const CLIENT_ID: &str = "nacre";

/// The tokens and passwords in use, by base URL and scope.
#[derive(Default)]
pub(crate) struct Auth {
    /// Locked while a token is fetched, so that parallel requests fetch it once.
    grants: tokio::sync::Mutex<HashMap<(Url, Vec<String>), Grant>>,
    challenges: Mutex<HashMap<Url, Challenge>>,
}

#[derive(Clone)]
struct Grant {
    auth: RegistryAuth,
    until: Option<Instant>,
}

/// A token server's answer.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Auth {
    /// What to show for a request: what was granted before, or is granted now if the registry's challenge is known.
    pub(crate) async fn held(&self, client: &Client, endpoint: &Endpoint, request: &Request) -> Result<RegistryAuth, Failure> {
        let challenge = self.challenges.lock().unwrap_or_else(PoisonError::into_inner).get(&endpoint.base).cloned();
        let Some(challenge) = challenge else { return Ok(RegistryAuth::Anonymous) };
        let key = (endpoint.base.clone(), request.scopes.clone());
        let mut grants = self.grants.lock().await;
        if let Some(grant) = grants.get(&key).filter(|grant| grant.until.is_none_or(|until| Instant::now() < until)) {
            return Ok(grant.auth.clone());
        }
        let Some(grant) = acquire(client, endpoint, request, &challenge).await? else { return Ok(RegistryAuth::Anonymous) };
        grants.insert(key, grant.clone());
        Ok(grant.auth)
    }

    /// Gets what a 401 asks for. `rejected` is what was shown.
    pub(crate) async fn take_up(
        &self,
        client: &Client,
        endpoint: &Endpoint,
        request: &Request,
        rejected: &RegistryAuth,
        response: Response,
    ) -> Result<(), Failure> {
        let stall = client.config().timeouts.stall;
        let Some(challenge) = Challenge::from_headers(response.headers()) else { return Err(request.about.refused(response, stall).await) };
        let key = (endpoint.base.clone(), request.scopes.clone());
        let mut grants = self.grants.lock().await;
        if grants.get(&key).is_some_and(|grant| grant.auth != *rejected) {
            return Ok(());
        }
        let grant = acquire(client, endpoint, request, &challenge).await?.filter(|grant| grant.auth != *rejected);
        let Some(grant) = grant else { return Err(request.about.refused(response, stall).await) };
        grants.insert(key, grant);
        self.challenges.lock().unwrap_or_else(PoisonError::into_inner).insert(endpoint.base.clone(), challenge.without_scope());
        Ok(())
    }
}

/// Answers a challenge; `None` if it takes a password and there is none.
async fn acquire(client: &Client, endpoint: &Endpoint, request: &Request, challenge: &Challenge) -> Result<Option<Grant>, Failure> {
    if !client.transport().may_carry_secrets(&endpoint.base) {
        let why = format!("credentials do not travel over plain HTTP; use --insecure-registry {} to allow it", endpoint.registry);
        return Err(Error::Denied { what: format!("{} {}", request.about.doing, request.about.what), why }.into());
    }
    let credential = credential(client, endpoint, &request.scopes).await?;
    match (challenge, credential) {
        (Challenge::Basic, Some(Credential::Password { user, password })) => {
            Ok(Some(Grant { auth: RegistryAuth::Basic(user, password), until: None }))
        }
        (Challenge::Basic, _) => Ok(None),
        (Challenge::Bearer { realm, service, scope }, credential) => {
            let realm = check_realm(realm, &endpoint.base)?;
            let scopes = merged(&request.scopes, scope.as_deref());
            let credential = credential.filter(|_| client.transport().may_carry_secrets(&realm));
            fetch_token(client, endpoint, realm, service.as_deref(), &scopes, credential).await.map(Some)
        }
    }
}

/// Looks up who is logged in; helpers are programs, so this leaves the async threads alone.
async fn credential(client: &Client, endpoint: &Endpoint, scopes: &[String]) -> Result<Option<Credential>, Error> {
    let repository = scopes.iter().find_map(|scope| scope.strip_prefix("repository:")?.rsplit_once(':').map(|(name, _)| name.to_owned()));
    let (credentials, registry) = (client.config().credentials.clone(), endpoint.registry.clone());
    let find = move || credentials.find(&registry, repository.as_deref());
    tokio::task::spawn_blocking(find).await.map_err(|e| Error::Other(Box::new(e)))?
}

/// Our scopes and the challenge's, each once.
fn merged(own: &[String], asked: Option<&str>) -> Vec<String> {
    let mut scopes = own.to_vec();
    for scope in asked.unwrap_or_default().split_ascii_whitespace() {
        let covered = scopes.iter().any(|held| covers(held, scope));
        if !covered {
            scopes.push(scope.to_owned());
        }
    }
    scopes
}

/// Whether `held` names the same resource with at least the same actions.
fn covers(held: &str, asked: &str) -> bool {
    match (held.rsplit_once(':'), asked.rsplit_once(':')) {
        (Some((resource, actions)), Some((other, needed))) => {
            resource == other && needed.split(',').all(|action| actions.split(',').any(|held| held == action))
        }
        _ => held == asked,
    }
}

async fn fetch_token(
    client: &Client,
    endpoint: &Endpoint,
    realm: Url,
    service: Option<&str>,
    scopes: &[String],
    credential: Option<Credential>,
) -> Result<Grant, Failure> {
    let what = format!("{} at {}", endpoint.registry, crate::host::authority(&realm));
    let about = About { doing: "get a token for", what, registry: endpoint.registry.clone() };
    let (request, auth) = token_request(realm, service, scopes, credential, about)?;
    let response = client.exchange(&request.url, &request, &auth, request.body.clone().into()).await?;
    let stall = client.config().timeouts.stall;
    if !response.status().is_success() {
        return Err(request.about.refused(response, stall).await);
    }
    let bytes = body(response, MAX_SMALL, "the token answer", stall).await?;
    grant(&bytes).ok_or_else(|| Error::malformed(format!("the token answer for {}", endpoint.registry), "it holds no token").into())
}

/// A GET with Basic authorization or none; with an identity token the OAuth 2 POST.
fn token_request(
    realm: Url,
    service: Option<&str>,
    scopes: &[String],
    credential: Option<Credential>,
    about: About,
) -> Result<(Request, RegistryAuth), Error> {
    let service = service.map(|service| ("service", service));
    if let Some(Credential::IdentityToken(token)) = &credential {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", token).append_pair("client_id", CLIENT_ID);
        form.extend_pairs(service).append_pair("scope", &scopes.join(" "));
        let request = Request::new(Method::POST, realm, Vec::new(), about).with_body(Bytes::from(form.finish()));
        return Ok((request.header(CONTENT_TYPE, "application/x-www-form-urlencoded")?, RegistryAuth::Anonymous));
    }
    let mut url = realm;
    url.query_pairs_mut()
        .extend_pairs(service)
        .extend_pairs(scopes.iter().map(|scope| ("scope", scope)))
        .append_pair("client_id", CLIENT_ID);
    let auth = match credential {
        Some(Credential::Password { user, password }) => {
            url.query_pairs_mut().append_pair("account", &user);
            RegistryAuth::Basic(user, password)
        }
        _ => RegistryAuth::Anonymous,
    };
    Ok((Request::new(Method::GET, url, Vec::new(), about), auth))
}

/// The token of an answer, if there is one, with nine tenths of its life.
fn grant(bytes: &[u8]) -> Option<Grant> {
    let answer: Token = serde_json::from_slice(bytes).ok()?;
    let token = answer.token.filter(|token| !token.is_empty()).or(answer.access_token).filter(|token| !token.is_empty())?;
    let life = Duration::from_secs(answer.expires_in.unwrap_or(DEFAULT_LIFE).min(LONGEST_LIFE)) * 9 / 10;
    Some(Grant { auth: RegistryAuth::Bearer(token), until: Some(Instant::now() + life) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_for_each_scope_once() {
        let own = ["repository:a/b:pull,push".to_owned()];
        assert_eq!(merged(&own, Some("repository:a/b:pull")), own);
        assert_eq!(merged(&own, Some("repository:a/b:push,pull")), own);
        assert_eq!(merged(&own, None), own);
        assert_eq!(merged(&own, Some("repository:a/b:delete registry:catalog:*")).len(), 3);
    }

    #[test]
    fn a_token_answer_needs_a_token() {
        let token = |text: &str| grant(text.as_bytes()).map(|grant| grant.auth);
        let bearer = |token: &str| Some(RegistryAuth::Bearer(token.into()));
        assert_eq!(token(r#"{"token":"t","expires_in":300}"#), bearer("t"));
        assert_eq!(token(r#"{"token":"","access_token":"a"}"#), bearer("a"));
        assert_eq!(token(r#"{"access_token":"a","expires_in":18446744073709551615}"#), bearer("a"));
        for text in ["", "{}", "[]", "null", r#"{"token":""}"#, r#"{"token":null}"#, r#"{"token":"t","expires_in":-1}"#] {
            assert_eq!(token(text), None, "{text}");
        }
    }
}
