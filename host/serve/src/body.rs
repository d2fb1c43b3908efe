//! Bodies: files as streams of large pieces, and requests read with a cap or in large batches.

use std::{
    fs::File,
    io::{self, IoSliceMut},
    mem,
    num::NonZeroU64,
    os::unix::fs::FileExt,
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
use futures_util::{StreamExt, stream};
use hyper::body::{Frame, SizeHint};
use rustix::{
    fs::{Advice, fadvise},
    io::{ReadWriteFlags, preadv2},
};
use tokio::{
    task::spawn_blocking,
    time::{Instant, timeout},
};

use crate::{
    app::lock,
    failure::{Code, Failure},
    limits::{Limits, Patience},
};

/// How much of a file is read at a time.
const PIECE: usize = 256 << 10;
/// About how much of an upload is written at a time.
const BATCH: usize = 512 << 10;
/// How much of a body that nobody wants is taken in.
const MAX_DRAINED: usize = 4 << 20;
/// A client that pauses for so long is listening.
const DRAIN_PAUSE: Duration = Duration::from_millis(200);
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// `len` bytes of a file from `first` on, as the client takes them.
pub(crate) fn file(file: File, first: u64, len: u64) -> Body {
    // Only a hint: the file is read all the same.
    let _ = fadvise(&file, first, NonZeroU64::new(len), Advice::Sequential);
    let reader = Reader { file: Arc::new(file), at: first, end: first + len, spare: Arc::default() };
    Body::from_stream(stream::unfold(reader, |mut reader| async move {
        let piece = reader.next().await?;
        Some((piece, reader))
    }))
}

/// Reads a file piece by piece into a few buffers that are used again and again, which stay in the processor's cache.
struct Reader {
    file: Arc<File>,
    at: u64,
    end: u64,
    spare: Spare,
}

type Spare = Arc<Mutex<Vec<Vec<u8>>>>;

impl Reader {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let len = usize::try_from(self.end - self.at).map_or(PIECE, |left| left.min(PIECE));
        if len == 0 {
            return None;
        }
        let mut buffer = lock(&self.spare).pop().unwrap_or_else(|| vec![0; len]);
        buffer.truncate(len);
        let read = self.fill(buffer).await.and_then(|(buffer, len)| {
            // It was as long as the answer's head says when it was opened.
            if len == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(Loan { buffer, len, spare: Arc::clone(&self.spare) }) }
        });
        self.at = read.as_ref().map_or(self.end, |loan| self.at + loan.len as u64);
        Some(read.map(Bytes::from_owner))
    }

    /// Reads what the system has in memory right here, and goes to a thread that may block only for what has to come from the
    /// disk: most blobs are served more than once, and to change threads costs more than to copy a piece.
    async fn fill(&self, mut buffer: Vec<u8>) -> io::Result<(Vec<u8>, usize)> {
        let cached = preadv2(&self.file, &mut [IoSliceMut::new(&mut buffer)], self.at, ReadWriteFlags::NOWAIT);
        if let Ok(len) = cached {
            return Ok((buffer, len));
        }
        let (file, at) = (Arc::clone(&self.file), self.at);
        let read = spawn_blocking(move || file.read_at(&mut buffer, at).map(|len| (buffer, len)));
        read.await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
    }
}

/// A piece on its way out. Its buffer comes back once it is sent.
struct Loan {
    buffer: Vec<u8>,
    len: usize,
    spare: Spare,
}

impl AsRef<[u8]> for Loan {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        lock(&self.spare).push(mem::take(&mut self.buffer));
    }
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

    /// About [`BATCH`] bytes more; none at the end. What came before a failure is among `parts` too.
    pub(crate) async fn batch(&mut self, parts: &mut Vec<Bytes>) -> Result<(), Failure> {
        let mut len = 0;
        while len < BATCH
            && let Some(part) = self.next().await?
        {
            len += part.len();
            parts.push(part);
        }
        Ok(())
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
