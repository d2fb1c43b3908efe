//! Manifests and indexes: by tag and by digest, byte for byte as they came.

use std::sync::Arc;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use nacre_oci::{
    Content, Descriptor, Digest, Document, Error, Hasher, MAX_MANIFEST, Memory, RawManifest, Reference, Silent, Sink, read_document,
};
use nacre_store::{Acquired, Held};

use crate::{
    app::{App, blocking},
    blob::{CONTENT_DIGEST, matches, text},
    body::Incoming,
    failure::{Code, Failure},
    query::{Params, encode},
    route::{Route, Selector},
};

const TAGS: HeaderName = HeaderName::from_static("oci-tag");
/// As many as one push by digest may give.
const MAX_TAGS: usize = 100;
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// `GET` and `HEAD`.
pub(crate) async fn get(app: &Arc<App>, route: &Route, selector: Selector, head: bool, headers: &HeaderMap) -> Result<Response, Failure> {
    let repository = route.repository.clone();
    let held = blocking(app, move |app| find(app, &repository, &selector)).await?;
    if !head {
        app.used(held.images);
    }
    let RawManifest { descriptor, bytes } = held.raw;
    let etag = format!("\"{}\"", descriptor.digest);
    if matches(headers, header::IF_NONE_MATCH, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let headers = [
        (header::CONTENT_TYPE, descriptor.media_type),
        (header::CONTENT_LENGTH, bytes.len().to_string()),
        (header::ETAG, etag),
        (CONTENT_DIGEST, descriptor.digest.to_string()),
    ];
    Ok((headers, if head { Vec::new() } else { bytes }).into_response())
}

fn find(app: &App, repository: &Reference, selector: &Selector) -> Result<Held, Failure> {
    match selector {
        Selector::Digest(digest) => app.store.held(repository, digest).map_err(unknown),
        Selector::Tag(tag) => {
            let name = repository.with_tag(tag).map_err(|error| Failure::new(Code::ManifestUnknown, error.to_string()))?;
            let image = app.store.find(&name.to_string()).map_err(unknown)?.image;
            let (raw, _) = read_document(&app.store, &image.descriptor).map_err(unknown)?;
            Ok(Held { raw, images: vec![image.id] })
        }
    }
}

fn unknown(error: Error) -> Failure {
    match error {
        Error::NotFound { .. } => Failure::new(Code::ManifestUnknown, error.to_string()),
        // What was checked when it came in and cannot be read now is the server's fault, not the client's.
        other => Failure::internal(other),
    }
}

/// `PUT`: checks the document and that all it needs is here, and makes it an image of the store.
pub(crate) async fn put(app: &Arc<App>, route: &Route, selector: Selector, request: Request) -> Result<Response, Failure> {
    let media_type = text(request.headers(), header::CONTENT_TYPE).map(|t| t.split(';').next().unwrap_or(t).trim().to_owned());
    let tags = tags(&selector, &Params::of(request.uri())?)?;
    let bytes = Incoming::new(request.into_body(), &app.limits).whole(MAX_MANIFEST, "the manifest").await?;
    let (repository, given) = (route.repository.clone(), tags.join(", "));
    let (digest, subject) = blocking(app, move |app| {
        let document = parse(&bytes, media_type.as_deref())?;
        let (reference, digest) = target(&repository, selector, &bytes)?;
        let mut names = vec![reference];
        for tag in &tags {
            names.push(tagged(&repository, tag)?);
        }
        let descriptor = Descriptor::new(document.media_type(), digest.clone(), bytes.len() as u64);
        keep(app, &names, &RawManifest { descriptor, bytes }, &document)?;
        Ok((digest, document.subject().map(|subject| subject.digest.to_string())))
    })
    .await?;
    let location = encode(&format!("/v2/{}/manifests/{digest}", route.path));
    let headers = [(header::LOCATION, location), (CONTENT_DIGEST, digest.to_string())];
    let given = (!given.is_empty()).then_some([(TAGS, given)]);
    Ok((StatusCode::CREATED, headers, subject.map(|subject| [(SUBJECT, subject)]), given, ()).into_response())
}

/// The tags that a push by digest gives as parameters (distribution specification after 1.1, "Pushing Manifests").
fn tags(selector: &Selector, params: &Params) -> Result<Vec<String>, Failure> {
    let tags: Vec<String> = params.all("tag").map(str::to_owned).collect();
    match selector {
        Selector::Tag(_) => Ok(Vec::new()),
        Selector::Digest(_) if tags.len() > MAX_TAGS => {
            let message = format!("more than {MAX_TAGS} tags at once");
            Err(Failure::new(Code::Unsupported, message).status(StatusCode::URI_TOO_LONG))
        }
        Selector::Digest(_) => Ok(tags),
    }
}

fn tagged(repository: &Reference, tag: &str) -> Result<Reference, Failure> {
    repository.with_tag(tag).map_err(|error| Failure::new(Code::ManifestInvalid, error.to_string()))
}

fn parse(bytes: &[u8], media_type: Option<&str>) -> Result<Document, Failure> {
    let document = Document::parse(bytes, media_type)?;
    match media_type {
        Some(announced) if announced != document.media_type() => {
            let message = format!("the Content-Type is {announced} and the manifest {}", document.media_type());
            Err(Failure::new(Code::ManifestInvalid, message))
        }
        _ => Ok(document),
    }
}

/// The name to give, and the digest of the bytes, which a name by digest has to fit.
fn target(repository: &Reference, selector: Selector, bytes: &[u8]) -> Result<(Reference, Digest), Failure> {
    match selector {
        Selector::Tag(tag) => Ok((tagged(repository, &tag)?, Digest::of(bytes))),
        Selector::Digest(wanted) => {
            let mut hasher = Hasher::new(wanted.algorithm());
            hasher.update(bytes);
            let actual = hasher.digest();
            if actual != wanted {
                return Err(Failure::new(Code::DigestInvalid, format!("the manifest's digest is {actual}, not {wanted}")));
            }
            Ok((repository.with_digest(actual.clone()), actual))
        }
    }
}

fn keep(app: &App, names: &[Reference], raw: &RawManifest, document: &Document) -> Result<(), Failure> {
    let session = app.store.session(Acquired::Pushed)?;
    for child in document.children() {
        if !session.contains(child)? && !is_foreign(child) && !may_come_later(app, document, child)? {
            let message = format!("{} of {} bytes is not here; push it first", child.digest, child.size);
            return Err(Failure::new(Code::ManifestBlobUnknown, message));
        }
    }
    let memory = Memory::new();
    memory.add_unchecked(raw.descriptor.digest.clone(), raw.bytes.clone());
    session.put(&raw.descriptor, &Content::new(&memory, &raw.descriptor, &Silent))?;
    for name in names {
        app.store.add_tagged(name, raw, Acquired::Pushed)?;
    }
    // From now on the image protects what it needs.
    app.arrivals.settle(document.children().into_iter().map(|child| &child.digest))?;
    Ok(())
}

/// An index may list manifests that are not here, or not yet: who wants one platform need not push, or keep, all of them. (What a
/// manifest itself lists has to be here.) What is here under that digest and has another size is no such thing.
fn may_come_later(app: &App, document: &Document, child: &Descriptor) -> Result<bool, Failure> {
    let listed = matches!(document, Document::Index(_)) && child.is_document();
    Ok(listed && app.store.blob_size(&child.digest)?.is_none())
}

/// Layers that their makers do not let others distribute are never pushed (image specification, `layer.md`).
fn is_foreign(layer: &Descriptor) -> bool {
    !layer.urls.is_empty() && (layer.media_type.contains(".foreign.") || layer.media_type.contains(".nondistributable."))
}

/// `DELETE`: by tag the name goes, by digest all the repository's names and, with its last name anywhere, the image.
pub(crate) async fn delete(app: &Arc<App>, route: &Route, selector: Selector) -> Result<Response, Failure> {
    let repository = route.repository.clone();
    blocking(app, move |app| {
        match &selector {
            Selector::Tag(tag) => {
                let name = repository.with_tag(tag).map_err(|error| Failure::new(Code::ManifestUnknown, error.to_string()))?;
                app.store.untag(&name).map_err(unknown)?;
            }
            Selector::Digest(digest) => delete_image(app, &repository, digest)?,
        }
        app.emptied(&repository);
        Ok(StatusCode::ACCEPTED.into_response())
    })
    .await
}

fn delete_image(app: &App, repository: &Reference, digest: &Digest) -> Result<(), Failure> {
    let held = app.store.held(repository, digest).map_err(unknown)?;
    if let Some(index) = held.images.iter().find(|image| *image != digest) {
        return Err(Failure::new(Code::Unsupported, format!("the manifest belongs to the index {index}; delete that first")));
    }
    match app.store.delete_manifest(&repository.name(), digest) {
        // It has no name any more, here or elsewhere.
        Err(Error::NotFound { .. }) => match app.store.remove(&digest.to_string(), false) {
            Ok(_) => Ok(()),
            Err(Error::Conflict(why)) => Err(Failure::new(Code::Unsupported, why)),
            Err(error) => Err(unknown(error)),
        },
        other => Ok(other?),
    }
}
