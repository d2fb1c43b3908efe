//! Bodies: files as streams of large pieces, and requests read with a cap or in large batches.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

use crate::{
    connection::STALL_TIMEOUT,
    failure::{Code, Failure},
};

/// How much of a file is read at a time, and about how much of an upload is written at a time.
const PIECE: u64 = 512 << 10;

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

/// The next part of a request's body.
async fn next(body: &mut BodyDataStream) -> Result<Option<Bytes>, Failure> {
    let stalled = |_| Failure::new(Code::BlobUploadInvalid, "the body stopped coming").status(http::StatusCode::REQUEST_TIMEOUT);
    let part = timeout(STALL_TIMEOUT, body.next()).await.map_err(stalled)?;
    part.transpose().map_err(|e| Failure::new(Code::BlobUploadInvalid, format!("the body broke off: {e}")))
}

/// About [`PIECE`] bytes of a request's body; nothing at its end.
pub(crate) async fn batch(body: &mut BodyDataStream) -> Result<Vec<Bytes>, Failure> {
    let mut parts = Vec::new();
    let mut len = 0;
    while len < PIECE
        && let Some(part) = next(body).await?
    {
        len += part.len() as u64;
        parts.push(part);
    }
    Ok(parts)
}

/// A whole small body.
pub(crate) async fn whole(body: Body, limit: u64, what: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut body = body.into_data_stream();
    while let Some(part) = next(&mut body).await? {
        if (bytes.len() + part.len()) as u64 > limit {
            return Err(Failure::new(Code::SizeInvalid, format!("{what} is larger than the limit of {} MiB", limit >> 20)));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}
