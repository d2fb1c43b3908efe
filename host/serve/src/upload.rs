//! Uploads: in one request, in two, or in chunks (distribution specification, "Pushing Blobs").

use std::{
    collections::HashMap,
    mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use nacre_oci::Digest;
use nacre_store::Upload;
use tokio::{
    join,
    sync::{Mutex as AsyncMutex, OwnedMutexGuard, watch},
    task::spawn_blocking,
};

use crate::{
    app::{App, blocking, lock},
    blob::{CONTENT_DIGEST, text},
    body::Incoming,
    failure::{Code, Failure},
    query::{Params, encode},
    range,
    route::Route,
};

/// Each upload holds a file open. Beyond this many, a new one takes the place of the one that stood still longest ...
const MAX_UPLOADS: usize = 256;
/// ... if that was for at least this long.
const STALE: Duration = Duration::from_secs(60);

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// The uploads that are under way, by id.
#[derive(Default)]
pub(crate) struct Uploads(Mutex<HashMap<String, Arc<Running>>>);

struct Running {
    /// The repository's path as the client spells it; the upload is known there only.
    path: String,
    used: Mutex<Instant>,
    offset: AtomicU64,
    /// Tells the request that writes.
    cancelled: watch::Sender<bool>,
    /// Locked by the request that writes; empty once it is finished.
    upload: Arc<AsyncMutex<Option<Upload>>>,
}

type Guard = OwnedMutexGuard<Option<Upload>>;

impl Uploads {
    fn insert(&self, running: Running, id: &str) -> Result<(), Failure> {
        let mut all = lock(&self.0);
        if all.len() >= MAX_UPLOADS {
            let oldest = all.iter().max_by_key(|(_, one)| one.idle()).filter(|(_, one)| one.idle() > STALE).map(|(id, _)| id.clone());
            let busy = || Failure::new(Code::TooManyRequests, "too many uploads are under way; try again later");
            all.remove(&oldest.ok_or_else(busy)?);
        }
        all.insert(id.to_owned(), Arc::new(running));
        Ok(())
    }

    fn get(&self, path: &str, id: &str) -> Result<Arc<Running>, Failure> {
        let running = lock(&self.0).get(id).filter(|one| one.path == path).cloned().ok_or_else(unknown)?;
        *lock(&running.used) = Instant::now();
        Ok(running)
    }

    fn remove(&self, id: &str) {
        lock(&self.0).remove(id);
    }

    /// Throws away what nobody has gone on with for so long.
    pub(crate) fn expire(&self, unfinished: Duration) {
        lock(&self.0).retain(|_, one| one.idle() < unfinished);
    }
}

impl Running {
    fn new(path: &str, upload: Upload) -> Self {
        let upload = Arc::new(AsyncMutex::new(Some(upload)));
        let (used, offset, cancelled) = (Mutex::new(Instant::now()), AtomicU64::new(0), watch::Sender::new(false));
        Self { path: path.to_owned(), used, offset, cancelled, upload }
    }

    /// How long nothing has been written.
    fn idle(&self) -> Duration {
        if self.upload.try_lock().is_err() { Duration::ZERO } else { lock(&self.used).elapsed() }
    }

    fn begin_writing(&self) -> Result<Guard, Failure> {
        let busy = || Failure::new(Code::BlobUploadInvalid, "another request is writing to this upload").status(StatusCode::CONFLICT);
        Arc::clone(&self.upload).try_lock_owned().map_err(|_| busy())
    }

    fn offset(&self) -> u64 {
        self.offset.load(Ordering::Relaxed)
    }

    /// Appends a body, unless the upload is cancelled meanwhile.
    async fn receive(self: &Arc<Self>, guard: Guard, body: Incoming) -> Result<Guard, Failure> {
        let mut cancelled = self.cancelled.subscribe();
        tokio::select! {
            guard = self.fill(guard, body) => guard,
            _ = cancelled.wait_for(|cancelled| *cancelled) => Err(unknown()),
        }
    }

    /// Appends a body. The next batch is received while the last one is hashed and written; what came before a connection
    /// broke off is kept.
    async fn fill(self: &Arc<Self>, mut guard: Guard, mut body: Incoming) -> Result<Guard, Failure> {
        let mut parts = Vec::new();
        let mut came = body.batch(&mut parts).await;
        while !parts.is_empty() {
            let write = self.write(guard, mem::take(&mut parts));
            let next = async { if came.is_ok() { body.batch(&mut parts).await } else { came } };
            let (written, next) = join!(write, next);
            (guard, came) = (written?, next);
        }
        came.map(|()| guard)
    }

    async fn write(self: &Arc<Self>, mut guard: Guard, parts: Vec<Bytes>) -> Result<Guard, Failure> {
        let running = Arc::clone(self);
        let write = spawn_blocking(move || {
            let upload = guard.as_mut().ok_or_else(unknown)?;
            let written = parts.iter().try_for_each(|part| upload.append(part));
            running.offset.store(upload.offset(), Ordering::Relaxed);
            *lock(&running.used) = Instant::now();
            Ok(written.map(|()| guard)?)
        });
        write.await.map_err(Failure::internal)?
    }
}

fn unknown() -> Failure {
    Failure::new(Code::BlobUploadUnknown, "there is no such upload; begin it anew")
}

/// `POST`: a mount, a whole blob, or the beginning of an upload.
pub(crate) async fn start(app: &Arc<App>, route: &Route, request: Request) -> Result<Response, Failure> {
    let params = Params::of(request.uri())?;
    if let Some(mount) = params.get("mount") {
        let digest: Digest = mount.parse()?;
        let wanted = digest.clone();
        if blocking(app, move |app| Ok(app.keep(&wanted)?)).await? {
            return Ok(created(&route.path, &digest));
        }
    }
    let digest: Option<Digest> = params.get("digest").map(str::parse).transpose()?;
    let upload = blocking(app, |app| Ok(app.store.upload()?)).await?;
    let id = upload.id().to_owned();
    let running = Running::new(&route.path, upload);
    let Some(digest) = digest else {
        app.uploads.insert(running, &id)?;
        return Ok((StatusCode::ACCEPTED, progress(&route.path, &id, 0)).into_response());
    };
    let guard = running.begin_writing()?;
    let guard = Arc::new(running).receive(guard, Incoming::new(request.into_body(), &app.limits)).await?;
    store(app, guard, digest, &route.path).await
}

/// `GET`: how much has come.
pub(crate) fn status(app: &App, route: &Route, id: &str) -> Result<Response, Failure> {
    let running = app.uploads.get(&route.path, id)?;
    Ok((StatusCode::NO_CONTENT, progress(&route.path, id, running.offset())).into_response())
}

/// `PATCH`: a chunk, or everything as one stream.
pub(crate) async fn append(app: &Arc<App>, route: &Route, id: &str, request: Request) -> Result<Response, Failure> {
    let running = app.uploads.get(&route.path, id)?;
    let guard = running.begin_writing()?;
    check_range(request.headers(), &running, &route.path, id)?;
    running.receive(guard, Incoming::new(request.into_body(), &app.limits)).await?;
    Ok((StatusCode::ACCEPTED, progress(&route.path, id, running.offset())).into_response())
}

/// `PUT`: the last chunk, or everything, or nothing more; and the digest.
pub(crate) async fn finish(app: &Arc<App>, route: &Route, id: &str, request: Request) -> Result<Response, Failure> {
    let running = app.uploads.get(&route.path, id)?;
    let params = Params::of(request.uri())?;
    let digest = params.get("digest").ok_or_else(|| Failure::new(Code::DigestInvalid, "the parameter 'digest' is missing"))?.parse()?;
    let guard = running.begin_writing()?;
    check_range(request.headers(), &running, &route.path, id)?;
    let guard = running.receive(guard, Incoming::new(request.into_body(), &app.limits)).await?;
    app.uploads.remove(id);
    store(app, guard, digest, &route.path).await
}

/// `DELETE`: throws it away. A request that is writing to it ends first, and with it whatever came.
pub(crate) async fn cancel(app: &Arc<App>, route: &Route, id: &str) -> Result<Response, Failure> {
    let running = app.uploads.get(&route.path, id)?;
    app.uploads.remove(id);
    running.cancelled.send_replace(true);
    let upload = Arc::clone(&running.upload).lock_owned().await.take();
    blocking(app, move |_| {
        drop(upload);
        Ok(StatusCode::NO_CONTENT.into_response())
    })
    .await
}

/// Checks the digest and makes it a blob that waits for its manifest.
async fn store(app: &Arc<App>, mut guard: Guard, digest: Digest, path: &str) -> Result<Response, Failure> {
    let upload = guard.take().ok_or_else(unknown)?;
    let wanted = digest.clone();
    blocking(app, move |app| {
        app.arrivals.protect(&wanted)?;
        upload.finish(&wanted, app.arrivals.lease())?;
        Ok(())
    })
    .await?;
    Ok(created(path, &digest))
}

fn created(path: &str, digest: &Digest) -> Response {
    let location = encode(&format!("/v2/{path}/blobs/{digest}"));
    (StatusCode::CREATED, [(header::LOCATION, location), (CONTENT_DIGEST, digest.to_string())]).into_response()
}

/// Where the upload goes on, and the bytes that it has, as a range. (Of nothing that is `0-0` too, as in docker-registry.)
fn progress(path: &str, id: &str, offset: u64) -> [(HeaderName, String); 3] {
    let location = encode(&format!("/v2/{path}/blobs/uploads/{id}"));
    [(header::LOCATION, location), (header::RANGE, format!("0-{}", offset.saturating_sub(1))), (UPLOAD_ID, id.to_owned())]
}

/// A chunk has to begin where the last one ended, and to be as long as it says.
fn check_range(headers: &HeaderMap, running: &Running, path: &str, id: &str) -> Result<(), Failure> {
    let Some(range) = headers.get(header::CONTENT_RANGE) else { return Ok(()) };
    let read = range.to_str().ok().and_then(range::chunk);
    let (first, last) = read.ok_or_else(|| Failure::new(Code::BlobUploadInvalid, "the Content-Range is not FIRST-LAST"))?;
    if first != running.offset() {
        let message = format!("the chunk begins at {first} and the upload is at {}", running.offset());
        let wrong = Failure::new(Code::RangeInvalid, message);
        return Err(progress(path, id, running.offset()).into_iter().fold(wrong, |wrong, (name, value)| wrong.header(name, &value)));
    }
    match text(headers, header::CONTENT_LENGTH).and_then(|len| len.parse::<u64>().ok()) {
        Some(len) if len != last - first + 1 => {
            let message = format!("the chunk has {len} bytes and its range {first}-{last} others");
            Err(Failure::new(Code::SizeInvalid, message).status(StatusCode::BAD_REQUEST))
        }
        _ => Ok(()),
    }
}
