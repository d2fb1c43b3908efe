//! One request and what it takes to get it answered: authorization, redirects, retries.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header::LOCATION};
use nacre_oci::{Error, Result};
use oci_distribution::secrets::RegistryAuth;
use reqwest::{Body, Response};
use url::Url;

use crate::{
    answer::About,
    client::Client,
    host::{authority, same_origin},
    retry::{Backoff, Failure},
    transport::Endpoint,
};

/// How many redirects one request may take.
pub(crate) const MAX_REDIRECTS: usize = 10;

/// A request that can be sent again.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What a token for it has to allow: `repository:NAME:pull`.
    pub(crate) scopes: Vec<String>,
    pub(crate) about: About,
}

impl Request {
    /// A request without headers and body.
    pub(crate) fn new(method: Method, url: Url, scopes: Vec<String>, about: About) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Bytes::new(), scopes, about }
    }

    /// With one more header. The value must be visible ASCII, which digests, media types and numbers are.
    pub(crate) fn header(mut self, name: http::HeaderName, value: &str) -> Result<Self> {
        let value = value.parse().map_err(|_| Error::malformed(format!("the value of {name}"), format!("'{value}'")))?;
        self.headers.append(name, value);
        Ok(self)
    }

    /// With a body.
    pub(crate) fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

impl Client {
    /// Sends until there is a successful answer, or an error that trying again does not mend.
    pub(crate) async fn send(&self, endpoint: &Endpoint, request: &Request) -> Result<Response> {
        let mut backoff = Backoff::new(self.config().retry);
        loop {
            match self.attempt(endpoint, request).await {
                Ok(response) => return Ok(response),
                Err(failure) => self.pause(&mut backoff, failure).await?,
            }
        }
    }

    /// Waits before the next attempt, or ends with the failure's error.
    pub(crate) async fn pause(&self, backoff: &mut Backoff, failure: Failure) -> Result<()> {
        let (wait, error) = backoff.next(failure)?;
        if let Some(notify) = &self.config().notify {
            notify(&format!("{error}; trying again in {:.1} s", wait.as_secs_f64()));
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Sends once, following redirects and taking up a challenge.
    pub(crate) async fn attempt(&self, endpoint: &Endpoint, request: &Request) -> Result<Response, Failure> {
        let mut url = request.url.clone();
        let mut challenged = false;
        for _ in 0..=MAX_REDIRECTS {
            let own = same_origin(&url, &endpoint.base);
            let authorization = self.authorization(endpoint, &url, request).await?;
            let body = Body::from(request.body.clone());
            let response = self.exchange(&url, request, &authorization, body).await?;
            match response.status() {
                status if status.is_success() => return Ok(response),
                StatusCode::UNAUTHORIZED if own && !challenged => {
                    challenged = true;
                    self.auth().take_up(self, endpoint, request, &authorization, response).await?;
                }
                status if is_redirect(status, &request.method) => url = self.redirected(&url, &response, request)?,
                _ => return Err(request.about.refused(response, self.config().timeouts.stall).await),
            }
        }
        Err(request.about.transport(format!("more than {MAX_REDIRECTS} redirects")).into())
    }

    /// What to show at `url`: nothing to any host but the endpoint's own.
    pub(crate) async fn authorization(&self, endpoint: &Endpoint, url: &Url, request: &Request) -> Result<RegistryAuth, Failure> {
        if !same_origin(url, &endpoint.base) || !self.transport().may_carry_secrets(url) {
            return Ok(RegistryAuth::Anonymous);
        }
        self.auth().held(self, endpoint, request).await
    }

    /// One request, one answer of any status.
    pub(crate) async fn exchange(&self, url: &Url, request: &Request, auth: &RegistryAuth, body: Body) -> Result<Response, Failure> {
        let limit = self.config().timeouts.answer;
        let answered = tokio::time::timeout(limit, self.exchange_unhurried(url, request, auth, body)).await;
        answered.unwrap_or_else(|_| Err(Failure::passing(request.about.transport("no answer within the time limit"))))
    }

    /// As [`Client::exchange`], for a body that takes the time it takes.
    pub(crate) async fn exchange_unhurried(
        &self,
        url: &Url,
        request: &Request,
        auth: &RegistryAuth,
        body: Body,
    ) -> Result<Response, Failure> {
        let client = self.transport().client(url)?;
        let mut builder = client.request(request.method.clone(), url.clone()).headers(request.headers.clone());
        builder = match auth {
            RegistryAuth::Anonymous => builder,
            RegistryAuth::Basic(user, password) => builder.basic_auth(user, Some(password)),
            RegistryAuth::Bearer(token) => builder.bearer_auth(token),
        };
        if !matches!(request.method, Method::GET | Method::HEAD) {
            builder = builder.body(body);
        }
        builder.send().await.map_err(|e| request.about.unanswered(&e))
    }

    /// Where a redirect leads; from TLS it never leads to plain HTTP, unless that host may be plain.
    pub(crate) fn redirected(&self, from: &Url, response: &Response, request: &Request) -> Result<Url, Failure> {
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let to = location.and_then(|text| from.join(text).ok()).filter(|url| matches!(url.scheme(), "http" | "https"));
        let to = to.ok_or_else(|| request.about.transport("a redirect to nowhere"))?;
        self.check_downgrade(from, &to, request)?;
        Ok(to)
    }

    /// Refuses the step from TLS to plain HTTP.
    pub(crate) fn check_downgrade(&self, from: &Url, to: &Url, request: &Request) -> Result<(), Failure> {
        if from.scheme() == "https" && to.scheme() == "http" && !self.transport().may_be_plain(to) {
            let why = format!("it leads from https to plain http at {}, which is refused", authority(to));
            return Err(request.about.transport(why).into());
        }
        Ok(())
    }
}

/// 303 turns a write into a read, and 301 and 302 may: only reads follow those.
fn is_redirect(status: StatusCode, method: &Method) -> bool {
    let reading = matches!(*method, Method::GET | Method::HEAD);
    matches!(status.as_u16(), 307 | 308) || (reading && matches!(status.as_u16(), 301..=303))
}
