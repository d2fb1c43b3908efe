//! Reading blobs: a reader that survives dropped connections by asking for the rest.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use http::{
    HeaderMap, Method, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE},
};
use nacre_oci::{Descriptor, Error, Result};
use reqwest::Response;

use crate::{
    Repository,
    answer::causes,
    repository::PULL,
    retry::{Backoff, Failure},
    transport::Endpoint,
};

/// A connection that brings less than this before it breaks has made no progress.
const PROGRESS: u64 = 64 << 10;

/// A blob's bytes from an offset on, not checked against the digest.
pub(crate) struct BlobReader {
    repository: Repository,
    descriptor: Descriptor,
    /// Where in the blob the next byte is that the reader hands out.
    position: u64,
    /// Bytes that came and were not read yet.
    ready: Bytes,
    stream: Option<Response>,
    /// Bytes to drop first: the registry sent more than was asked for.
    skip: u64,
    backoff: Backoff,
    since_connect: u64,
}

impl BlobReader {
    /// Asks for the blob; an error of the registry shows here already.
    pub(crate) fn open(repository: &Repository, descriptor: &Descriptor, offset: u64) -> Result<Self> {
        let mut reader = Self {
            backoff: Backoff::new(repository.client().config().retry),
            repository: repository.clone(),
            descriptor: descriptor.clone(),
            position: offset,
            ready: Bytes::new(),
            stream: None,
            skip: 0,
            since_connect: 0,
        };
        if offset < descriptor.size || offset == 0 {
            repository.client().wait(reader.connect())?;
        }
        Ok(reader)
    }

    async fn connect(&mut self) -> Result<()> {
        let client = self.repository.client().clone();
        let ask = async |endpoint: &Endpoint| self.request(endpoint).await;
        let (response, skip) = client.first(self.repository.name().registry(), ask).await?;
        (self.stream, self.skip, self.since_connect) = (Some(response), skip, 0);
        Ok(())
    }

    /// Asks one endpoint for the bytes from the position on; also returns how many to drop.
    async fn request(&self, endpoint: &Endpoint) -> Result<(Response, u64)> {
        let path = format!("blobs/{}", self.descriptor.digest);
        let mut request = self.repository.request(endpoint, Method::GET, &path, PULL, "fetch", "blob")?;
        if self.position > 0 {
            request = request.header(RANGE, &format!("bytes={}-", self.position))?;
        }
        let client = self.repository.client();
        let mut backoff = Backoff::new(client.config().retry);
        loop {
            let response = client.send(endpoint, &request).await?;
            match start(response.status(), response.headers(), self.position, &self.descriptor) {
                Ok(start) => return Ok((response, self.position - start)),
                Err(error @ Error::Mismatch { .. }) => return Err(error),
                Err(why) => {
                    let error = request.about.transport(why.to_string());
                    client.pause(&mut backoff, Failure::passing(error)).await?;
                }
            }
        }
    }

    /// Waits for the next bytes; an empty answer is the end.
    async fn next(&mut self) -> Result<Bytes> {
        let client = self.repository.client().clone();
        let stall = client.config().timeouts.stall;
        loop {
            let why = match &mut self.stream {
                None => "the connection is gone".to_owned(),
                Some(stream) => match tokio::time::timeout(stall, stream.chunk()).await {
                    Ok(Ok(Some(chunk))) => match self.take(chunk) {
                        Some(chunk) => return Ok(chunk),
                        None => continue,
                    },
                    // Everything came: how the connection ends no longer matters.
                    _ if self.position >= self.descriptor.size => return Ok(Bytes::new()),
                    Ok(Ok(None)) => "the registry sent too few bytes".to_owned(),
                    Ok(Err(error)) => format!("the connection broke off: {}", causes(&error)),
                    Err(_) => format!("no bytes for {} s", stall.as_secs()),
                },
            };
            self.reconnect(why).await?;
        }
    }

    /// Drops what has to be skipped; `None` if nothing is left.
    fn take(&mut self, mut chunk: Bytes) -> Option<Bytes> {
        let skipped = self.skip.min(chunk.len() as u64);
        self.skip -= skipped;
        chunk.advance(usize::try_from(skipped).unwrap_or(chunk.len()));
        self.since_connect += chunk.len() as u64;
        (!chunk.is_empty()).then_some(chunk)
    }

    async fn reconnect(&mut self, why: String) -> Result<()> {
        self.stream = None;
        if self.since_connect >= PROGRESS {
            self.backoff.progress();
        }
        let client = self.repository.client().clone();
        let doing = format!("fetch blob {} of {}", self.descriptor.digest, self.repository.name());
        let mut failure = Failure::passing(Error::Transport { doing, why });
        loop {
            client.pause(&mut self.backoff, failure).await?;
            // A registry that refuses connections now may have been restarted: what was there a moment ago is worth a wait.
            match self.connect().await {
                Err(error @ Error::Transport { .. }) => failure = Failure::passing(error),
                other => return other,
            }
        }
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.ready.is_empty() && (self.position < self.descriptor.size || self.stream.is_some()) {
            let client = self.repository.client().clone();
            self.ready = client.wait(self.next())?;
        }
        let count = self.ready.len().min(buffer.len());
        self.ready.copy_to_slice(&mut buffer[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

/// At which byte of the blob an answer starts: never after `position`.
pub(crate) fn start(status: StatusCode, headers: &HeaderMap, position: u64, descriptor: &Descriptor) -> Result<u64> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let wrong = |why: String| Err(Error::malformed("the answer", why));
    if status == StatusCode::PARTIAL_CONTENT {
        let range = text(&CONTENT_RANGE).unwrap_or_default();
        return match content_range(range) {
            Some((start, total)) if start == position && total.is_none_or(|total| total == descriptor.size) => Ok(start),
            _ => wrong(format!("asked for the bytes from {position} on, the registry sent '{range}'")),
        };
    }
    if status != StatusCode::OK {
        return wrong(format!("the registry answered {status}"));
    }
    match text(&CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok()) {
        Some(length) if length != descriptor.size => {
            let (expected, actual) = (format!("{} bytes", descriptor.size), format!("{length} bytes"));
            Err(Error::Mismatch { what: format!("blob {}", descriptor.digest), expected, actual })
        }
        _ => Ok(0),
    }
}

/// First byte and total of `bytes FIRST-LAST/TOTAL` (RFC 9110, 14.4).
pub(crate) fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let total = if total.trim() == "*" { None } else { Some(number(total)?) };
    (first <= last && total.is_none_or(|total| last < total)).then_some((first, total))
}

/// Digits only: Rust's own parser would take a sign.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_content_ranges() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for text in [
            "",
            "bytes",
            "bytes */10",
            "bytes 9-5/10",
            "bytes 5-10/10",
            "lines 5-9/10",
            "bytes -5/10",
            "bytes 5-/10",
            "5-9/10",
            "bytes +5-9/10",
        ] {
            assert_eq!(content_range(text), None, "{text}");
        }
    }

    #[test]
    fn an_answer_starts_where_it_was_asked_to_or_at_zero() {
        let blob = Descriptor::of("x", b"0123456789");
        let at = |status, name: http::HeaderName, value: &str| {
            let headers = HeaderMap::from_iter([(name, value.parse().expect("a header"))]);
            start(status, &headers, 5, &blob)
        };
        assert_eq!(at(StatusCode::PARTIAL_CONTENT, CONTENT_RANGE, "bytes 5-9/10").ok(), Some(5));
        assert_eq!(at(StatusCode::OK, CONTENT_LENGTH, "10").ok(), Some(0));
        assert!(matches!(at(StatusCode::OK, CONTENT_LENGTH, "11"), Err(Error::Mismatch { .. })));
        for range in ["bytes 4-9/10", "bytes 6-9/10", "bytes 5-9/11", "", "bytes 0-4/10"] {
            assert!(at(StatusCode::PARTIAL_CONTENT, CONTENT_RANGE, range).is_err(), "{range}");
        }
    }
}
