//! Blobs: download, in whole or in part, and deletion.

use std::{fs::File, sync::Arc};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use nacre_oci::{Digest, Error};

use crate::{
    app::{App, blocking},
    body,
    failure::{Code, Failure},
    range::{self, Span},
};

/// The digest of what is answered.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// `GET` and `HEAD` of a blob. A `HEAD` is how clients ask before they push, so what it finds is kept for them.
pub(crate) async fn get(app: &Arc<App>, digest: Digest, head: bool, headers: &HeaderMap) -> Result<Response, Failure> {
    let asked = digest.clone();
    let (file, size) = blocking(app, move |app| open(app, &asked, head && !app.read_only())).await?;
    let etag = format!("\"{digest}\"");
    if matches(headers, header::IF_NONE_MATCH, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let span = match headers.contains_key(header::IF_RANGE) && !matches(headers, header::IF_RANGE, &etag) {
        true => Span::Whole,
        false => range::span(text(headers, header::RANGE), size),
    };
    let fixed = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::ETAG, etag),
        (CONTENT_DIGEST, digest.to_string()),
    ];
    let (status, first, len) = match span {
        Span::Whole => (StatusCode::OK, 0, size),
        Span::Part(first, last) => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Span::Unsatisfiable => {
            let beyond = Failure::new(Code::SizeInvalid, format!("the range lies beyond the blob's {size} bytes"));
            return Err(beyond.status(StatusCode::RANGE_NOT_SATISFIABLE).header(header::CONTENT_RANGE, &format!("bytes */{size}")));
        }
    };
    let part =
        (status == StatusCode::PARTIAL_CONTENT).then(|| [(header::CONTENT_RANGE, format!("bytes {first}-{}/{size}", first + len - 1))]);
    let body = if head { Body::empty() } else { body::file(file, first, len) };
    Ok((status, fixed, part, [(header::CONTENT_LENGTH, len.to_string())], body).into_response())
}

fn open(app: &App, digest: &Digest, keep: bool) -> Result<(File, u64), Failure> {
    let file = app.store.open_blob(digest).map_err(|error| unknown(error, digest))?;
    if keep && !app.keep(digest)? {
        return Err(unknown(Error::not_found(""), digest));
    }
    let size = file.metadata().map_err(Failure::internal)?.len();
    Ok((file, size))
}

/// `DELETE` of a blob. What an image needs stays: only its removal frees it.
pub(crate) async fn delete(app: &Arc<App>, digest: Digest) -> Result<Response, Failure> {
    blocking(app, move |app| {
        app.arrivals.settle([&digest])?;
        match app.store.delete_blob(&digest) {
            Ok(()) => Ok(StatusCode::ACCEPTED.into_response()),
            Err(Error::Conflict(why)) => Err(Failure::new(Code::Unsupported, why)),
            Err(error) => Err(unknown(error, &digest)),
        }
    })
    .await
}

fn unknown(error: Error, digest: &Digest) -> Failure {
    match error {
        Error::NotFound { .. } => Failure::new(Code::BlobUnknown, format!("blob {digest} is not here")),
        other => other.into(),
    }
}

/// A header's value, if it is one and is text.
pub(crate) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether a header names this entity tag.
pub(crate) fn matches(headers: &HeaderMap, name: HeaderName, etag: &str) -> bool {
    text(headers, name).is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag))
}
