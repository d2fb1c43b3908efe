//! Uploading blobs: mounted, in one piece, or in several (distribution specification, "Pushing blobs").

use std::{
    io::{self, Read},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderName, Method, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE},
};
use nacre_oci::{Content, Descriptor, Error, Put, Reference, Result};
use reqwest::{Body, Response};
use tokio::{sync::mpsc, task::JoinHandle};
use url::Url;

use crate::{
    Repository,
    host::same_origin,
    manifest::{check_digest, digest},
    repository::PUSH,
    request::Request,
    retry::{Again, Backoff, Failure},
    transport::Endpoint,
};

/// How much is read from the content at a time.
const PIECE: usize = 1 << 20;
/// The piece of a chunked upload where the configuration names none.
const DEFAULT_CHUNK: u64 = 16 << 20;
/// How many repositories are tried for a mount.
const MAX_MOUNTS: usize = 3;
/// The smallest piece that a registry takes (distribution specification 1.1).
const MIN_CHUNK: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// An upload that the registry has opened.
struct Session {
    url: Url,
    min_chunk: u64,
}

enum Begun {
    Mounted,
    Open(Session),
}

impl Repository {
    /// Uploads a blob. What fails for a passing reason starts again from the first byte, or from the last piece.
    pub(crate) fn put_blob(&self, descriptor: &Descriptor, content: &Content<'_>) -> Result<Put> {
        let client = self.client();
        let endpoint = client.wait(self.endpoint())?;
        let mut session = match client.wait(self.begin_or_mount(&endpoint, descriptor, &content.origins()))? {
            Begun::Mounted => return Ok(Put::Mounted),
            Begun::Open(session) => Some(session),
        };
        let mut chunk = client.config().chunk.filter(|chunk| descriptor.size > *chunk);
        let mut backoff = Backoff::new(client.config().retry);
        loop {
            let open = match session.take() {
                Some(open) => open,
                None => client.wait(self.begin(&endpoint))?,
            };
            let sent = match chunk {
                Some(chunk) => self.send_pieces(&endpoint, open, descriptor, content, chunk),
                None => self.send_whole(&endpoint, &open, descriptor, content),
            };
            match sent {
                Ok(()) => return Ok(Put::Stored),
                Err(Failure { error: Error::Unsupported { .. } | Error::TooLarge { .. }, .. }) if chunk.is_none() => {
                    chunk = Some(DEFAULT_CHUNK);
                }
                Err(failure) => client.wait(client.pause(&mut backoff, failure))?,
            }
        }
    }

    async fn begin_or_mount(&self, endpoint: &Endpoint, descriptor: &Descriptor, origins: &[Reference]) -> Result<Begun> {
        let near = |origin: &&Reference| origin.registry() == self.name().registry() && origin.repository() != self.name().repository();
        for origin in origins.iter().filter(near).take(MAX_MOUNTS) {
            let path = format!("blobs/uploads/?mount={}&from={}", descriptor.digest, origin.repository());
            let mut request = self.request(endpoint, Method::POST, &path, PUSH, "mount", "a blob in")?;
            request.scopes.push(format!("repository:{}:pull", origin.repository()));
            match self.client().send(endpoint, &request).await {
                Ok(response) if response.status() == StatusCode::CREATED => {
                    check_stored(&response, descriptor, &request.about.what)?;
                    return Ok(Begun::Mounted);
                }
                // The registry did not find it there and takes it as an upload.
                Ok(response) => return self.session(&request, &response).map(Begun::Open),
                // Not allowed to read there, or no mounting here: an upload does it.
                Err(Error::Denied { .. } | Error::NotFound { .. } | Error::Unsupported { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.begin(endpoint).await.map(Begun::Open)
    }

    async fn begin(&self, endpoint: &Endpoint) -> Result<Session> {
        let request = self.request(endpoint, Method::POST, "blobs/uploads/", PUSH, "upload", "a blob to")?;
        let response = self.client().send(endpoint, &request).await?;
        self.session(&request, &response)
    }

    fn session(&self, request: &Request, response: &Response) -> Result<Session> {
        let url = self.location(request, response)?;
        let least = response.headers().get(MIN_CHUNK).and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Session { url, min_chunk: least.unwrap_or(0) })
    }

    /// Where the upload goes on: relative or absolute, even on another host (which then sees no credentials).
    fn location(&self, request: &Request, response: &Response) -> Result<Url> {
        let wrong = |why: &str| request.about.transport(format!("the registry named no place to upload to ({why})"));
        let text = response.headers().get(LOCATION).ok_or_else(|| wrong("no Location"))?;
        let url = text.to_str().ok().and_then(|text| request.url.join(text).ok()).ok_or_else(|| wrong("Location is not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("Location is not http or https"));
        }
        self.client().check_downgrade(&request.url, &url, request).map_err(|failure| failure.error)?;
        Ok(url)
    }

    fn upload_request(&self, endpoint: &Endpoint, method: Method, url: Url, descriptor: &Descriptor) -> Result<Request> {
        let path = format!("blobs/{}", descriptor.digest);
        let mut request = self.request(endpoint, method, &path, PUSH, "upload", "blob")?;
        request.url = url;
        request.header(CONTENT_TYPE, "application/octet-stream")
    }

    /// The whole blob in one PUT, streamed.
    fn send_whole(&self, endpoint: &Endpoint, session: &Session, descriptor: &Descriptor, content: &Content<'_>) -> Result<(), Failure> {
        let url = with_digest(&session.url, descriptor);
        let request = self.upload_request(endpoint, Method::PUT, url, descriptor)?;
        let request = request.header(CONTENT_LENGTH, &descriptor.size.to_string())?;
        let mut reader = content.open()?;
        let (pieces, taken) = mpsc::channel(2);
        let (repository, endpoint) = (self.clone(), endpoint.clone());
        let stored = descriptor.clone();
        let work = async move { repository.put_stream(&endpoint, &request, taken, &stored).await };
        let mut task = self.client().handle().spawn(work);
        let fed = self.feed(&mut reader, pieces, &mut task);
        match fed {
            Ok(Some(answer)) => answer,
            Ok(None) => self.answered(&mut task, self.client().config().timeouts.answer),
            Err(failure) => {
                // Dropping the request breaks the connection off before the last byte: nothing is stored.
                task.abort();
                Err(failure)
            }
        }
    }

    /// Passes the content on, always one piece behind, so that the last one only leaves when everything was checked.
    /// Returns the answer if it came early.
    fn feed(
        &self,
        reader: &mut impl Read,
        pieces: mpsc::Sender<io::Result<Bytes>>,
        task: &mut JoinHandle<Result<(), Failure>>,
    ) -> Result<Option<Result<(), Failure>>, Failure> {
        let stall = self.client().config().timeouts.stall;
        let mut held = read_piece(reader, PIECE)?;
        while !held.is_empty() {
            let next = if held.len() < PIECE { Bytes::new() } else { read_piece(reader, PIECE)? };
            let piece = std::mem::replace(&mut held, next);
            let send = async {
                tokio::select! {
                    biased;
                    answer = &mut *task => Err(joined(answer)),
                    sent = tokio::time::timeout(stall, pieces.send(Ok(piece))) => Ok(sent),
                }
            };
            match self.client().wait(send) {
                Err(answer) => return Ok(Some(answer)),
                Ok(Ok(Ok(()))) => {}
                // The request is over: its task says how.
                Ok(Ok(Err(_))) => return Ok(None),
                Ok(Err(_)) => return Err(self.stalled("the registry takes no more bytes")),
            }
        }
        Ok(None)
    }

    fn answered(&self, task: &mut JoinHandle<Result<(), Failure>>, limit: Duration) -> Result<(), Failure> {
        match self.client().wait(async { tokio::time::timeout(limit, &mut *task).await }) {
            Ok(answer) => joined(answer),
            Err(_) => {
                task.abort();
                Err(self.stalled("no answer within the time limit"))
            }
        }
    }

    fn stalled(&self, why: &str) -> Failure {
        Failure::passing(Error::Transport { doing: format!("upload a blob to {}", self.name()), why: why.to_owned() })
    }

    async fn put_stream(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        pieces: mpsc::Receiver<io::Result<Bytes>>,
        descriptor: &Descriptor,
    ) -> Result<(), Failure> {
        let client = self.client();
        let authorization = client.authorization(endpoint, &request.url, request).await?;
        let stream = futures_util::stream::unfold(pieces, async |mut pieces| pieces.recv().await.map(|piece| (piece, pieces)));
        let response = client.exchange_unhurried(&request.url, request, &authorization, Body::wrap_stream(stream)).await?;
        if response.status() == StatusCode::UNAUTHORIZED && same_origin(&request.url, &endpoint.base) {
            client.auth().take_up(client, endpoint, request, &authorization, response).await?;
            return Err(Failure { error: request.about.transport("the token expired"), again: Again::After(Duration::ZERO) });
        }
        if !response.status().is_success() {
            return Err(request.about.refused(response, client.config().timeouts.stall).await);
        }
        check_stored(&response, descriptor, &request.about.what).map_err(Failure::from)
    }

    /// The blob in pieces: PATCH after PATCH, then an empty PUT that names the digest.
    fn send_pieces(
        &self,
        endpoint: &Endpoint,
        session: Session,
        descriptor: &Descriptor,
        content: &Content<'_>,
        chunk: u64,
    ) -> Result<(), Failure> {
        let chunk = usize::try_from(chunk.max(session.min_chunk).clamp(1, 1 << 30)).unwrap_or(PIECE);
        let mut reader = content.open()?;
        let (mut url, mut offset) = (session.url, 0);
        loop {
            let piece = read_piece(&mut reader, chunk)?;
            if piece.is_empty() {
                break;
            }
            let length = piece.len();
            url = self.client().wait(self.send_piece(endpoint, url, descriptor, offset, piece))?;
            offset += length as u64;
            if length < chunk {
                break;
            }
        }
        let request = self.upload_request(endpoint, Method::PUT, with_digest(&url, descriptor), descriptor)?;
        let response = self.client().wait(self.client().attempt(endpoint, &request))?;
        check_stored(&response, descriptor, &request.about.what).map_err(Failure::from)
    }

    /// One piece; after a failure, what is left of it by the registry's own count.
    async fn send_piece(&self, endpoint: &Endpoint, mut url: Url, descriptor: &Descriptor, offset: u64, mut piece: Bytes) -> Result<Url> {
        let mut backoff = Backoff::new(self.client().config().retry);
        let (mut offset, end) = (offset, offset + piece.len() as u64);
        loop {
            let request = self.upload_request(endpoint, Method::PATCH, url.clone(), descriptor)?;
            let request = request.header(CONTENT_RANGE, &format!("{offset}-{}", end - 1))?.with_body(piece.clone());
            let failure = match self.client().attempt(endpoint, &request).await {
                Ok(response) => return self.location(&request, &response),
                Err(failure) => failure,
            };
            self.client().pause(&mut backoff, failure).await?;
            let taken;
            (url, taken) = self.upload_status(endpoint, url, descriptor).await?;
            if taken < offset || taken > end {
                return Err(request.about.transport(format!("the registry lost count: it has {taken} bytes of {end}")));
            }
            let _ = piece.split_to(usize::try_from(taken - offset).unwrap_or_default());
            offset = taken;
            if piece.is_empty() {
                return Ok(url);
            }
        }
    }

    /// How many bytes of an upload the registry has (`Range: 0-LAST`), and where it goes on.
    async fn upload_status(&self, endpoint: &Endpoint, url: Url, descriptor: &Descriptor) -> Result<(Url, u64)> {
        let request = self.upload_request(endpoint, Method::GET, url.clone(), descriptor)?;
        let response = self.client().send(endpoint, &request).await?;
        let last = response.headers().get(RANGE).and_then(|value| value.to_str().ok()?.rsplit_once('-')?.1.parse::<u64>().ok());
        let next = self.location(&request, &response).unwrap_or(url);
        // An upload without any byte is "0-0" as well, by an old habit of registries.
        Ok((next, last.filter(|last| *last > 0).map_or(0, |last| last + 1)))
    }
}

fn joined(answer: Result<Result<(), Failure>, tokio::task::JoinError>) -> Result<(), Failure> {
    answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// Fills a piece; a shorter one is the last, and its content was checked.
fn read_piece(reader: &mut impl Read, size: usize) -> Result<Bytes, Error> {
    let mut piece = vec![0; size];
    let mut filled = 0;
    while filled < size {
        match reader.read(&mut piece[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read the content to upload")(error)),
        }
    }
    piece.truncate(filled);
    Ok(piece.into())
}

fn with_digest(url: &Url, descriptor: &Descriptor) -> Url {
    let mut url = url.clone();
    url.query_pairs_mut().append_pair("digest", &descriptor.digest.to_string());
    url
}

/// What the registry says it stored has to be what was sent.
fn check_stored(response: &Response, descriptor: &Descriptor, what: &str) -> Result<()> {
    let stored = digest(response.headers()).filter(|stored| stored.algorithm() == descriptor.digest.algorithm());
    stored.map_or(Ok(()), |stored| check_digest(&descriptor.digest.to_string(), what, &stored))
}
