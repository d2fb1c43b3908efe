//! What all requests share, and the way of a request to its end point.

use std::{
    collections::HashSet,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use nacre_oci::{Digest, Reference, Result};
use nacre_store::Store;
use serde_json::json;
use tokio::{task::spawn_blocking, time::interval};

use crate::{
    Options,
    arrivals::Arrivals,
    blob,
    body::Shared,
    failure::{self, Cause, Code, Failure},
    limits::Limits,
    list, manifest, query,
    query::Params,
    route::{self, Route, Target},
    search,
    upload::{self, Uploads},
};

/// How often, at least, what ran out is dropped and what was used is recorded.
const TIDY: Duration = Duration::from_secs(60);

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// What all requests share.
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) uploads: Uploads,
    pub(crate) arrivals: Arrivals,
    pub(crate) limits: Limits,
    options: Options,
    /// Images that were pulled since they were last recorded: a flush for each pull would be too dear.
    used: Mutex<HashSet<Digest>>,
    emptied: Mutex<HashSet<String>>,
}

impl App {
    pub(crate) fn new(store: Store, options: Options, limits: Limits) -> Result<Self> {
        let arrivals = Arrivals::new(&store)?;
        let (used, emptied) = (Mutex::default(), Mutex::default());
        Ok(Self { store, uploads: Uploads::default(), arrivals, limits, options, used, emptied })
    }

    pub(crate) fn read_only(&self) -> bool {
        self.options.read_only
    }

    /// Whether the store has a blob, which then stays for as long as a client may take to push what needs it.
    pub(crate) fn keep(&self, digest: &Digest) -> Result<bool> {
        if self.store.blob_size(digest)?.is_none() {
            return Ok(false);
        }
        self.arrivals.protect(digest)?;
        // A prune may have been faster than the protection.
        Ok(self.store.blob_size(digest)?.is_some())
    }

    /// Remembers that images were pulled.
    pub(crate) fn used(&self, images: Vec<Digest>) {
        lock(&self.used).extend(images);
    }

    /// Remembers that something was deleted in a repository: it stays known, even when nothing is left in it.
    pub(crate) fn emptied(&self, repository: &Reference) {
        lock(&self.emptied).insert(repository.name());
    }

    /// Whether there is, or was while this server ran, something in a repository.
    pub(crate) fn knows(&self, repository: &Reference) -> Result<bool> {
        let name = repository.name();
        Ok(lock(&self.emptied).contains(&name) || self.store.repositories()?.binary_search(&name).is_ok())
    }

    /// Writes down which images were pulled.
    pub(crate) fn record_use(&self) -> Result<()> {
        let used: Vec<Digest> = mem::take(&mut *lock(&self.used)).into_iter().collect();
        if used.is_empty() { Ok(()) } else { self.store.touch(&used) }
    }

    fn log(&self, line: impl FnOnce() -> String) {
        if let Some(log) = &self.options.log {
            log(&line());
        }
    }
}

/// Locks what no panic can leave half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does the store's work on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let app = Arc::clone(app);
    spawn_blocking(move || work(&app)).await.unwrap_or_else(|panic| Err(Failure::internal(panic)))
}

/// Keeps things tidy for as long as the server runs.
pub(crate) async fn housekeeping(app: Arc<App>) {
    let mut tick = interval(TIDY.min(app.limits.unfinished).max(Duration::from_millis(10)));
    loop {
        tick.tick().await;
        let tidy = blocking(&app, |app| {
            app.uploads.expire(app.limits.unfinished);
            app.arrivals.expire()?;
            Ok(app.record_use()?)
        });
        if let Err(failure) = tidy.await {
            app.log(|| format!("housekeeping: {failure:?}"));
        }
    }
}

/// All requests come in by one door: repository names hold slashes, which no router's patterns can tell from a path's.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new().fallback(answer).with_state(app)
}

async fn answer(State(app): State<Arc<App>>, request: Request) -> Response {
    let start = Instant::now();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let mut response = take(&app, request).await;
    let headers = response.headers_mut();
    headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    // What is served was made by strangers: no browser is to guess at it.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    app.log(|| {
        let cause = response.extensions().get::<Cause>().map(|cause| format!(": {}", cause.0)).unwrap_or_default();
        format!("{method} {uri} {} {} ms{cause}", response.status().as_u16(), start.elapsed().as_millis())
    });
    response
}

/// Answers, and hears a client out that is refused. Who asked first whether to send at all, or is too slow, is not waited for.
async fn take(app: &Arc<App>, request: Request) -> Response {
    let asks = request.headers().contains_key(header::EXPECT);
    let (head, body) = request.into_parts();
    let body = Shared::new(body);
    let response = dispatch(app, Request::from_parts(head, Body::new(body.clone()))).await.unwrap_or_else(IntoResponse::into_response);
    let refused = response.status().is_client_error() && response.status() != StatusCode::REQUEST_TIMEOUT;
    if refused && !asks {
        body.drain().await;
    }
    response
}

async fn dispatch(app: &Arc<App>, request: Request) -> Result<Response, Failure> {
    let unknown = || Failure::new(Code::NameUnknown, "there is no such end point");
    let path = query::decode(request.uri().path()).ok_or_else(unknown)?;
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads && app.read_only() {
        return Err(Failure::new(Code::Unsupported, "this server is read-only"));
    }
    match path.as_str() {
        "/v2" | "/v2/" | "/v2/_catalog" | "/v1/search" | "/v1/_ping" if !reads => Err(not_allowed(failure::READING)),
        "/v2" | "/v2/" => Ok(Json(json!({})).into_response()),
        "/v2/_catalog" => list::catalog(app, Params::of(request.uri())?).await,
        "/v1/search" => search::search(app, Params::of(request.uri())?).await,
        "/v1/_ping" => Ok(search::ping()),
        _ => {
            let route = route::parse(path.strip_prefix("/v2/").ok_or_else(unknown)?)?;
            end_point(app, route, request).await
        }
    }
}

async fn end_point(app: &Arc<App>, route: Route, request: Request) -> Result<Response, Failure> {
    let method = request.method().clone();
    let head = method == Method::HEAD;
    match (&method, &route.target) {
        (&Method::GET | &Method::HEAD, Target::Blob(digest)) => blob::get(app, digest.clone(), head, request.headers()).await,
        (&Method::DELETE, Target::Blob(digest)) => blob::delete(app, digest.clone()).await,
        (&Method::POST, Target::Uploads) => upload::start(app, &route, request).await,
        (&Method::GET | &Method::HEAD, Target::Upload(id)) => upload::status(app, &route, id),
        (&Method::PATCH, Target::Upload(id)) => upload::append(app, &route, id, request).await,
        (&Method::PUT, Target::Upload(id)) => upload::finish(app, &route, id, request).await,
        (&Method::DELETE, Target::Upload(id)) => upload::cancel(app, &route, id).await,
        (&Method::GET | &Method::HEAD, Target::Manifest(selector)) => {
            manifest::get(app, &route, selector.clone(), head, request.headers()).await
        }
        (&Method::PUT, Target::Manifest(selector)) => manifest::put(app, &route, selector.clone(), request).await,
        (&Method::DELETE, Target::Manifest(selector)) => manifest::delete(app, &route, selector.clone()).await,
        (&Method::GET | &Method::HEAD, Target::Tags) => list::tags(app, &route, Params::of(request.uri())?).await,
        (&Method::GET | &Method::HEAD, Target::Referrers(digest)) => {
            list::referrers(app, &route, digest.clone(), Params::of(request.uri())?).await
        }
        (_, target) => Err(not_allowed(methods(target))),
    }
}

/// What an end point does, for the header `Allow` (RFC 9110, section 15.5.6).
fn methods(target: &Target) -> &'static str {
    match target {
        Target::Blob(_) => "GET, HEAD, DELETE",
        Target::Uploads => "POST",
        Target::Upload(_) => "GET, HEAD, PATCH, PUT, DELETE",
        Target::Manifest(_) => "GET, HEAD, PUT, DELETE",
        Target::Tags | Target::Referrers(_) => failure::READING,
    }
}

fn not_allowed(allowed: &str) -> Failure {
    Failure::new(Code::Unsupported, "the end point does not know this method").header(header::ALLOW, allowed)
}
