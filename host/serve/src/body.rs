//! Bodies: files as streams of large pieces, and requests read with a cap or in large batches.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream, HttpBody},
    http::StatusCode,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use hyper::body::{Frame, SizeHint};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Instant, timeout},
};

use crate::{
    app::lock,
    failure::{Code, Failure},
    limits::{Limits, Patience},
};

/// How much of a file is read at a time.
const PIECE: u64 = 512 << 10;
/// About how much of an upload is written at a time.
const BATCH: usize = 512 << 10;
/// How much of a body that nobody wants is taken in.
const MAX_DRAINED: usize = 4 << 20;
/// A client that pauses for so long is listening.
const DRAIN_PAUSE: Duration = Duration::from_millis(200);
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// `len` bytes of a file from `first` on. The next piece is read while the last one is sent, and no thread is held
/// while the client takes its time.
pub(crate) fn file(mut file: File, first: u64, len: u64) -> io::Result<Body> {
    if len == 0 {
        return Ok(Body::empty());
    }
    file.seek(SeekFrom::Start(first))?;
    Ok(Body::from_stream(pieces(file, len)))
}

fn pieces(file: File, len: u64) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold(Some((read_ahead(file, len), len)), |state| async move {
        let (reading, left) = state?;
        match reading.await.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok((file, piece)) => {
                let left = left - piece.len() as u64;
                let next = (left > 0).then(|| (read_ahead(file, left), left));
                Some((Ok(piece), next))
            }
            Err(error) => Some((Err(error), None)),
        }
    })
}

fn read_ahead(mut file: File, left: u64) -> JoinHandle<io::Result<(File, Bytes)>> {
    spawn_blocking(move || {
        let len = left.min(PIECE);
        let mut piece = Vec::with_capacity(usize::try_from(len).map_err(io::Error::other)?);
        (&mut file).take(len).read_to_end(&mut piece)?;
        if piece.len() as u64 != len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok((file, piece.into()))
    })
}

/// A request's body, as patient as the limits are.
pub(crate) struct Incoming {
    stream: BodyDataStream,
    patience: Patience,
}

impl Incoming {
    pub(crate) fn new(body: Body, limits: &Limits) -> Self {
        Self { stream: body.into_data_stream(), patience: Patience::new(limits) }
    }

    /// The next part, however small; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let stalled = |_| Failure::new(Code::BlobUploadInvalid, "the body comes too slowly").status(StatusCode::REQUEST_TIMEOUT);
        let start = Instant::now();
        let part = timeout(self.patience.left(), self.stream.next()).await.map_err(stalled)?;
        let part = part.transpose().map_err(|e| Failure::new(Code::BlobUploadInvalid, format!("the body broke off: {e}")))?;
        self.patience.moved(start.elapsed(), part.as_ref().map_or(0, Bytes::len));
        Ok(part)
    }

    /// About [`BATCH`] bytes; nothing at the end.
    pub(crate) async fn batch(&mut self) -> Result<Vec<Bytes>, Failure> {
        let mut parts = Vec::new();
        let mut len = 0;
        while len < BATCH
            && let Some(part) = self.next().await?
        {
            len += part.len();
            parts.push(part);
        }
        Ok(parts)
    }

    /// All of a small one.
    pub(crate) async fn whole(mut self, limit: u64, what: &str) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        while let Some(part) = self.next().await? {
            if (bytes.len() + part.len()) as u64 > limit {
                return Err(Failure::new(Code::SizeInvalid, format!("{what} is larger than the limit of {} MiB", limit >> 20)));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }
}

/// A request's body, of which what is left over is at hand once the request has its answer.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Body>>);

impl Shared {
    pub(crate) fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    /// Takes in what still comes, up to a limit. A client that is sending does not listen yet, and closing the connection
    /// in the middle would lose it the answer that says what is wrong.
    pub(crate) async fn drain(self) {
        let mut rest = Body::new(self).into_data_stream();
        let drained = async {
            let mut left = MAX_DRAINED;
            while let Ok(Some(Ok(part))) = timeout(DRAIN_PAUSE, rest.next()).await
                && part.len() < left
            {
                left -= part.len();
            }
        };
        let _ = timeout(DRAIN_TIME, drained).await;
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *lock(&self.0)).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.0).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.0).size_hint()
    }
}
