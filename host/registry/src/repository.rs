//! One repository of a registry, as a source and a sink.

use std::io::{Cursor, Read};

use http::Method;
use nacre_oci::{Content, Descriptor, Digest, Error, MAX_MANIFEST, Put, RawManifest, Reference, Result, Sink, Source};

use crate::{Client, answer::About, blob::BlobReader, request::Request, transport::Endpoint};

/// What a token for reading allows.
pub(crate) const PULL: &str = "pull";
/// What a token for writing allows.
pub(crate) const PUSH: &str = "pull,push";
/// What a token for deleting allows.
pub(crate) const DELETE: &str = "pull,push,delete";

/// A repository. As a [`Source`] it knows tags and digests; as a [`Sink`] it takes them.
#[derive(Clone)]
pub struct Repository {
    client: Client,
    name: Reference,
}

impl Repository {
    pub(crate) fn new(client: Client, reference: &Reference) -> Self {
        Self { client, name: reference.without_tag() }
    }

    /// The repository's name, without tag and digest.
    pub fn name(&self) -> &Reference {
        &self.name
    }

    /// Deletes a tag, or by its digest a manifest with all its tags (distribution specification, "Deleting manifests").
    /// Where the registry keeps no list of referrers, a deleted one is taken off its subject's tag.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Unsupported`] if the registry does not delete, or not by tag.
    pub fn delete(&self, selector: &str) -> Result<()> {
        self.check_selector(selector)?;
        self.client.wait(async {
            let endpoint = self.endpoint().await?;
            let listed = match selector.parse::<Digest>() {
                Ok(digest) => self.listing(&endpoint, &digest).await?,
                Err(_) => None,
            };
            let request = self.request(&endpoint, Method::DELETE, &format!("manifests/{selector}"), DELETE, "delete", "manifest")?;
            self.client.send(&endpoint, &request).await?;
            match listed {
                Some((subject, digest)) => self.unlist_at_subject(&endpoint, &subject, &digest).await,
                None => Ok(()),
            }
        })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The registry itself: writes go nowhere else.
    pub(crate) async fn endpoint(&self) -> Result<Endpoint> {
        self.client.transport().endpoint(self.name.registry()).await
    }

    /// A request to a path below the repository's. `kind` says in errors what the path's last part names.
    pub(crate) fn request(
        &self,
        endpoint: &Endpoint,
        method: Method,
        path: &str,
        actions: &str,
        doing: &'static str,
        kind: &str,
    ) -> Result<Request> {
        let last = path.rsplit('/').next().unwrap_or_default().split('?').next().unwrap_or_default();
        let name = self.name.name();
        let what = match (kind, last) {
            (_, "") => format!("{kind} {name}"),
            ("manifest", digest) if digest.contains(':') => format!("{kind} {name}@{digest}"),
            ("manifest", tag) => format!("{kind} {name}:{tag}"),
            _ => format!("{kind} {last} of {name}"),
        };
        let what = if endpoint.registry == self.name.registry() { what } else { format!("{what} at {}", endpoint.registry) };
        let about = About { doing, what, registry: endpoint.registry.clone() };
        let url = endpoint.url(&format!("{}/{path}", self.name.repository()))?;
        Ok(Request::new(method, url, vec![self.scope(actions)], about))
    }

    fn scope(&self, actions: &str) -> String {
        format!("repository:{}:{actions}", self.name.repository())
    }

    /// Only tags and digests may become a part of a URL.
    pub(crate) fn check_selector(&self, selector: &str) -> Result<()> {
        if selector.contains(':') { selector.parse::<Digest>().map(drop) } else { self.name.with_tag(selector).map(drop) }
    }
}

impl Source for Repository {
    /// Resolves a tag, a digest, or `tag@digest` (by the digest).
    fn resolve(&self, name: &str) -> Result<Descriptor> {
        let selector = name.rsplit_once('@').map_or(name, |(_, digest)| digest);
        self.check_selector(selector)?;
        let ask = async |endpoint: &Endpoint| self.resolve_at(endpoint, selector).await;
        self.client.wait(self.client.first(self.name.registry(), ask))
    }

    fn open_unverified(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>> {
        if !descriptor.is_document() {
            return Ok(Box::new(BlobReader::open(self, descriptor, offset)?));
        }
        if descriptor.size > MAX_MANIFEST {
            return Err(Error::TooLarge { what: format!("manifest {}", descriptor.digest), limit: format!("{} MiB", MAX_MANIFEST >> 20) });
        }
        let selector = descriptor.digest.to_string();
        let ask = async |endpoint: &Endpoint| self.fetch_manifest(endpoint, &selector, PULL).await;
        let fetched = self.client.wait(self.client.first(self.name.registry(), ask))?;
        let mut reader = Cursor::new(fetched.bytes);
        reader.set_position(offset);
        Ok(Box::new(reader))
    }

    fn origins(&self, _descriptor: &Descriptor) -> Vec<Reference> {
        vec![self.name.clone()]
    }
}

impl Sink for Repository {
    fn contains(&self, descriptor: &Descriptor) -> Result<bool> {
        self.client.wait(self.has(descriptor))
    }

    fn put(&self, descriptor: &Descriptor, content: &Content<'_>) -> Result<Put> {
        if !descriptor.is_document() {
            return self.put_blob(descriptor, content);
        }
        let bytes = content.open()?.into_vec(MAX_MANIFEST)?;
        self.client.wait(self.put_manifest(descriptor, bytes))?;
        Ok(Put::Stored)
    }

    fn tag(&self, name: &str, target: &RawManifest) -> Result<()> {
        self.check_selector(name)?;
        self.client.wait(async { self.send_manifest(&self.endpoint().await?, name, &target.descriptor, &target.bytes).await.map(drop) })
    }
}
