//! What refers to a manifest: signatures, attestations and the like (distribution specification 1.1, "Listing Referrers").

use http::{HeaderName, Method};
use nacre_oci::{Descriptor, Digest, Document, Error, Index, RawManifest, Result, media_type};

use crate::{
    Repository,
    list::MAX_ENTRIES,
    repository::{DELETE, PULL, PUSH},
    transport::Endpoint,
};

/// Says that the registry did the filtering.
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

impl Repository {
    /// The manifests whose subject is `digest`, all or those of one artifact type; none is an empty list. Where the
    /// registry has no list of its own, the specification's tag (`sha256-HEX`) is read instead.
    ///
    /// # Errors
    /// What the registry says; [`Error::Malformed`] if its list is no index.
    pub fn referrers(&self, digest: &Digest, artifact_type: Option<&str>) -> Result<Vec<Descriptor>> {
        self.client().wait(async {
            let endpoint = self.endpoint().await?;
            let all = match self.listed(&endpoint, digest, artifact_type).await {
                Err(Error::NotFound { .. } | Error::Unsupported { .. }) => {
                    self.tagged(&endpoint, digest, PULL).await?.map(|index| index.manifests).unwrap_or_default()
                }
                listed => listed?,
            };
            let wanted = |found: &Descriptor| artifact_type.is_none() || found.artifact_type.as_deref() == artifact_type;
            Ok(all.into_iter().filter(wanted).collect())
        })
    }

    /// By the registry's own list.
    async fn listed(&self, endpoint: &Endpoint, digest: &Digest, artifact_type: Option<&str>) -> Result<Vec<Descriptor>> {
        let mut request = self.request(endpoint, Method::GET, &format!("referrers/{digest}"), PULL, "list", "referrers")?;
        if let Some(artifact_type) = artifact_type {
            request.url.query_pairs_mut().append_pair("artifactType", artifact_type);
        }
        let read = |page: &[u8]| parse(page).map(|index| index.manifests);
        let (mut all, headers) = self.client().pages(endpoint, request, MAX_ENTRIES, read).await?;
        if let Some(artifact_type) = artifact_type.filter(|_| headers.contains_key(FILTERS_APPLIED)) {
            // A registry that filtered need not repeat the type.
            all.iter_mut().for_each(|found| found.artifact_type = found.artifact_type.take().or(Some(artifact_type.to_owned())));
        }
        Ok(all)
    }

    /// By the tag that stands in for the list.
    async fn tagged(&self, endpoint: &Endpoint, digest: &Digest, actions: &str) -> Result<Option<Index>> {
        match self.fetch_manifest(endpoint, &fallback_tag(digest), actions).await {
            Ok(raw) => parse(&raw.bytes).map(Some),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Adds a manifest that was just pushed to its subject's tag ("Pushing Manifests with Subject").
    pub(crate) async fn list_at_subject(
        &self,
        endpoint: &Endpoint,
        subject: &Digest,
        pushed: &Descriptor,
        document: &Document,
    ) -> Result<()> {
        let held = self.tagged(endpoint, subject, PUSH).await?;
        let mut index = held.unwrap_or_else(empty);
        if index.manifests.iter().any(|manifest| manifest.digest == pushed.digest) {
            return Ok(());
        }
        let mut entry = Descriptor::new(document.media_type(), pushed.digest.clone(), pushed.size);
        entry.artifact_type = document.artifact_type().map(str::to_owned);
        entry.annotations.clone_from(document.annotations());
        index.manifests.push(entry);
        self.send_list(endpoint, subject, &index).await
    }

    /// The subject and the digest of a manifest that is about to be deleted, if it has a subject.
    pub(crate) async fn listing(&self, endpoint: &Endpoint, digest: &Digest) -> Result<Option<(Digest, Digest)>> {
        match self.fetch_manifest(endpoint, &digest.to_string(), DELETE).await {
            Ok(raw) => Ok(raw.document()?.subject().map(|subject| (subject.digest.clone(), digest.clone()))),
            // What nacre cannot read can be deleted all the same; what is not there, the deletion says.
            Err(Error::NotFound { .. } | Error::Malformed { .. } | Error::Unsupported { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes a manifest that was just deleted off its subject's tag ("Deleting Manifests").
    pub(crate) async fn unlist_at_subject(&self, endpoint: &Endpoint, subject: &Digest, deleted: &Digest) -> Result<()> {
        let Some(mut index) = self.tagged(endpoint, subject, DELETE).await? else { return Ok(()) };
        let before = index.manifests.len();
        index.manifests.retain(|manifest| manifest.digest != *deleted);
        if index.manifests.len() == before { Ok(()) } else { self.send_list(endpoint, subject, &index).await }
    }

    async fn send_list(&self, endpoint: &Endpoint, subject: &Digest, index: &Index) -> Result<()> {
        let bytes = serde_json::to_vec(index).expect("an index of maps with string keys is always JSON");
        let raw = RawManifest::new(Some(&index.media_type), bytes)?;
        self.send_manifest(endpoint, &fallback_tag(subject), &raw.descriptor, &raw.bytes).await.map(drop)
    }
}

fn fallback_tag(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm().name(), digest.hex())
}

fn empty() -> Index {
    Index {
        schema_version: 2,
        media_type: media_type::OCI_INDEX.to_owned(),
        artifact_type: None,
        manifests: Vec::new(),
        subject: None,
        annotations: std::collections::BTreeMap::new(),
    }
}

fn parse(bytes: &[u8]) -> Result<Index> {
    match Document::parse(bytes, Some(media_type::OCI_INDEX))? {
        Document::Index(index) => Ok(index),
        Document::Manifest(_) => Err(Error::malformed("the list of referrers", "it is not an index")),
    }
}
