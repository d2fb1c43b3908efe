//! Manifests: resolving, fetching and pushing (distribution specification, "Pulling manifests", "Pushing Manifests").

use http::{
    HeaderMap, HeaderName, Method,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE},
};
use nacre_oci::{Algorithm, Descriptor, Digest, Document, Error, Hasher, MAX_MANIFEST, RawManifest, Result, media_type};

use crate::{
    Repository,
    answer::body,
    repository::{PULL, PUSH},
    transport::Endpoint,
};

/// The header in which registries say what they took or give.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// Set by registries that list referrers by themselves (distribution specification 1.1).
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// Everything that nacre understands, so that no registry converts.
const ACCEPTED: [&str; 4] = [media_type::OCI_INDEX, media_type::DOCKER_LIST, media_type::OCI_MANIFEST, media_type::DOCKER_MANIFEST];

impl Repository {
    /// Resolves by HEAD; by GET where that does not say enough.
    pub(crate) async fn resolve_at(&self, endpoint: &Endpoint, selector: &str) -> Result<Descriptor> {
        match self.head_manifest(endpoint, selector).await {
            Ok(Some(descriptor)) => Ok(descriptor),
            // A refusal to HEAD has no body that says why.
            Ok(None) | Err(Error::Denied { .. } | Error::Unsupported { .. }) => {
                Ok(self.fetch_manifest(endpoint, selector, PULL).await?.descriptor)
            }
            Err(error) => Err(error),
        }
    }

    async fn head_manifest(&self, endpoint: &Endpoint, selector: &str) -> Result<Option<Descriptor>> {
        let request = self.manifest_request(endpoint, Method::HEAD, selector, PULL, "find")?;
        let headers = self.client().send(endpoint, &request).await?.headers().clone();
        let size = text(&headers, &CONTENT_LENGTH).and_then(|text| text.parse().ok());
        let (Some(digest), Some(kind), Some(size)) = (digest(&headers), kind(&headers), size) else { return Ok(None) };
        check_digest(selector, &request.about.what, &digest)?;
        Ok(Some(Descriptor::new(kind, digest, size)))
    }

    /// Fetches a manifest whole and checks it against its digest, the header's and its own media type.
    pub(crate) async fn fetch_manifest(&self, endpoint: &Endpoint, selector: &str, actions: &str) -> Result<RawManifest> {
        let request = self.manifest_request(endpoint, Method::GET, selector, actions, "fetch")?;
        let response = self.client().send(endpoint, &request).await?;
        let headers = response.headers().clone();
        let what = &request.about.what;
        let bytes = body(response, MAX_MANIFEST, what, self.client().config().timeouts.stall).await?;
        let announced = digest(&headers);
        let wanted = selector.parse::<Digest>().ok().or_else(|| announced.clone());
        let mut hasher = Hasher::new(wanted.as_ref().map_or(Algorithm::Sha256, Digest::algorithm));
        hasher.update(&bytes);
        let actual = hasher.digest();
        check_digest(selector, what, &actual)?;
        if let Some(announced) = announced.filter(|announced| announced.algorithm() == actual.algorithm()) {
            check_digest(&announced.to_string(), what, &actual)?;
        }
        let mut raw = RawManifest::new(kind(&headers).as_deref(), bytes)?;
        raw.descriptor.digest = actual;
        Ok(raw)
    }

    /// Whether the registry holds the content, at its full size.
    pub(crate) async fn has(&self, descriptor: &Descriptor) -> Result<bool> {
        let endpoint = self.endpoint().await?;
        let selector = descriptor.digest.to_string();
        let request = if descriptor.is_document() {
            self.manifest_request(&endpoint, Method::HEAD, &selector, PUSH, "find")?
        } else {
            self.request(&endpoint, Method::HEAD, &format!("blobs/{selector}"), PUSH, "find", "blob")?
        };
        match self.client().send(&endpoint, &request).await {
            Ok(response) => {
                let size = text(response.headers(), &CONTENT_LENGTH).and_then(|text| text.parse().ok());
                Ok(size.is_none_or(|size: u64| size == descriptor.size))
            }
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Pushes a manifest by its digest, and lists it at its subject where the registry does not do that itself.
    pub(crate) async fn put_manifest(&self, descriptor: &Descriptor, bytes: Vec<u8>) -> Result<()> {
        let endpoint = self.endpoint().await?;
        let document = Document::parse(&bytes, Some(&descriptor.media_type))?;
        let listed = self.send_manifest(&endpoint, &descriptor.digest.to_string(), descriptor, &bytes).await?;
        match document.subject() {
            Some(subject) if !listed => self.list_at_subject(&endpoint, &subject.digest, descriptor, &document).await,
            _ => Ok(()),
        }
    }

    /// Sends a manifest to a tag or its digest; says whether the registry knows about subjects.
    pub(crate) async fn send_manifest(&self, endpoint: &Endpoint, at: &str, descriptor: &Descriptor, bytes: &[u8]) -> Result<bool> {
        let request = self.request(endpoint, Method::PUT, &format!("manifests/{at}"), PUSH, "push", "manifest")?;
        let request = request.header(CONTENT_TYPE, &descriptor.media_type)?.with_body(bytes.to_vec());
        let response = self.client().send(endpoint, &request).await?;
        if let Some(stored) = digest(response.headers()).filter(|stored| stored.algorithm() == descriptor.digest.algorithm()) {
            check_digest(&descriptor.digest.to_string(), &request.about.what, &stored)?;
        }
        Ok(response.headers().contains_key(OCI_SUBJECT))
    }

    fn manifest_request(
        &self,
        endpoint: &Endpoint,
        method: Method,
        selector: &str,
        actions: &str,
        doing: &'static str,
    ) -> Result<crate::request::Request> {
        let request = self.request(endpoint, method, &format!("manifests/{selector}"), actions, doing, "manifest")?;
        request.header(ACCEPT, &ACCEPTED.join(", "))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The digest that a registry announces; one that nacre cannot check counts as none.
pub(crate) fn digest(headers: &HeaderMap) -> Option<Digest> {
    text(headers, &CONTENT_DIGEST)?.parse().ok()
}

/// The media type that a registry announces, where it is a manifest's or an index's.
fn kind(headers: &HeaderMap) -> Option<String> {
    let kind = text(headers, &CONTENT_TYPE)?.split(';').next().unwrap_or_default().trim();
    media_type::is_document(kind).then(|| kind.to_owned())
}

/// What was asked for by digest has to have it; a tag can stand for anything.
pub(crate) fn check_digest(selector: &str, what: &str, actual: &Digest) -> Result<()> {
    match selector.parse::<Digest>() {
        Ok(expected) if expected != *actual => {
            Err(Error::Mismatch { what: what.to_owned(), expected: expected.to_string(), actual: actual.to_string() })
        }
        _ => Ok(()),
    }
}
