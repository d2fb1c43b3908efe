//! Failures as the distribution specification wants them ("Error Codes"): a status and a small JSON body.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use nacre_oci::Error;
use serde_json::json;

/// What can be done with what cannot be changed, for the header `Allow`.
pub(crate) const READING: &str = "GET, HEAD";

/// The specification's codes, and `UNKNOWN` for what is the server's own fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    PaginationInvalid,
    SizeInvalid,
    RangeInvalid,
    Denied,
    TooManyRequests,
    Unsupported,
    Unknown,
}

impl Code {
    fn parts(self) -> (StatusCode, &'static str) {
        match self {
            Self::BlobUnknown => (StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
            Self::BlobUploadInvalid => (StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
            Self::BlobUploadUnknown => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
            Self::DigestInvalid => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
            // "Endpoints", end-7.
            Self::ManifestBlobUnknown => (StatusCode::NOT_FOUND, "MANIFEST_BLOB_UNKNOWN"),
            Self::ManifestInvalid => (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"),
            Self::ManifestUnknown => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
            Self::NameInvalid => (StatusCode::BAD_REQUEST, "NAME_INVALID"),
            Self::NameUnknown => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
            Self::PaginationInvalid => (StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID"),
            Self::SizeInvalid => (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"),
            Self::RangeInvalid => (StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID"),
            Self::Denied => (StatusCode::CONFLICT, "DENIED"),
            Self::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
            Self::Unsupported => (StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
            Self::Unknown => (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN"),
        }
    }
}

/// A request that ends in an error answer.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    status: StatusCode,
    message: String,
    headers: Vec<(HeaderName, String)>,
    /// What the log hears in place of the client: it may name files of this machine.
    cause: Option<String>,
}

/// The cause of a failure, on its way to the log in the response's extensions.
#[derive(Clone)]
pub(crate) struct Cause(pub(crate) String);

impl Failure {
    /// An answer with the code's usual status.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, status: code.parts().0, message: message.into(), headers: Vec::new(), cause: None }
    }

    /// The same with another status.
    pub(crate) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The same with a header more.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The store failed: the client learns only that, the log everything.
    pub(crate) fn internal(cause: impl ToString) -> Self {
        let message = "the server failed; its log says why";
        Self { cause: Some(cause.to_string()), ..Self::new(Code::Unknown, message) }
    }
}

/// What the core's errors mean where nothing more exact is known; "not found" is for each end point to say.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::InvalidDigest { .. } | Error::Mismatch { .. } => Code::DigestInvalid,
            Error::InvalidReference { .. } => Code::NameInvalid,
            Error::Malformed { .. } | Error::Unsupported { .. } => Code::ManifestInvalid,
            Error::TooLarge { .. } => Code::SizeInvalid,
            Error::Conflict(_) | Error::Denied { .. } => Code::Denied,
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                let full = Self::internal(error).status(StatusCode::INSUFFICIENT_STORAGE);
                return Self { message: "the server's disk is full".into(), ..full };
            }
            _ => return Self::internal(error),
        };
        Self::new(code, error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({ "errors": [{ "code": self.code.parts().1, "message": self.message }] });
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(READING));
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(Cause(cause));
        }
        response
    }
}
