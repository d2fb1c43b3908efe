//! What plugins reach beyond their arguments: the store, registries and the network, as the user of this command
//! reaches them. The plugin host asks for the capability before each call.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use nacre_layer::{Compression, Spool};
use nacre_oci::{Descriptor, Digest, Platform, Reference, Select, Silent, Source};
use nacre_plugin::{Answer, GuestError, ImageBuilder, ImageView, Operation, Reach, Summary};
use nacre_store::{Acquired, Lease, Session};
use url::Url;

use crate::{
    admission::{Admission, admit},
    commands::rmi::remove,
    context::Context,
    importing::{Wishes, assemble},
    paths, policy,
    transfer::{into_store, new_name, options},
    view::view,
};

/// Tags of one repository that a plugin is told.
const MAX_TAGS: usize = 10_000;

/// The outside of one call. What it protects from prunes is protected until the call ends.
pub(crate) struct Backend {
    context: Context,
    lease: Option<Lease>,
    spool: Option<Spool>,
    sessions: Vec<Arc<Session>>,
}

impl Backend {
    pub(crate) fn new(context: Context) -> Self {
        Self { context, lease: None, spool: None, sessions: Vec::new() }
    }

    fn image(&mut self, name: &str, platform: Option<&Platform>) -> Result<ImageView> {
        let store = self.context.store()?;
        let image = store.find(name)?.image;
        if self.lease.is_none() {
            self.lease = Some(store.lease()?);
        }
        if let Some(lease) = &self.lease {
            lease.protect([&image.id])?;
        }
        self.view_of(Arc::new(store), &image.descriptor, name, platform)
    }

    fn spooled(&mut self) -> Result<Spool> {
        if let Some(spool) = &self.spool {
            return Ok(spool.clone());
        }
        Ok(self.spool.insert(Spool::new(&self.context.temporary()?)).clone())
    }

    fn view_of(&mut self, source: Arc<dyn Source>, root: &Descriptor, name: &str, platform: Option<&Platform>) -> Result<ImageView> {
        let manifest = view(&*source, root, platform)?.descriptor;
        Ok(ImageView::open(source, &manifest, name, &self.spooled()?)?)
    }

    fn remote(&mut self, name: &Reference, platform: Option<&Platform>) -> Result<ImageView> {
        let name = name.clone().or_latest();
        let repository = self.context.client()?.repository(&name);
        let root = repository.resolve(&name.selector())?;
        self.view_of(Arc::new(repository), &root, &name.to_string(), platform)
    }

    fn all(&self) -> Result<Vec<Summary>> {
        let store = self.context.store()?;
        Ok(policy::summaries(&store.survey()?))
    }

    fn begin(&mut self) -> Result<ImageBuilder> {
        let session = Arc::new(self.context.store()?.session(Acquired::Built)?);
        self.sessions.push(Arc::clone(&session));
        Ok(ImageBuilder::new(session, Compression::Gzip))
    }

    /// As `nacre import` does it: admission first, then the documents, and the name last.
    fn finish(&self, image: ImageBuilder, name: &str) -> Result<Digest> {
        let (store, names) = (self.context.store()?, [new_name(name)?]);
        let created = paths::source_date()?.unwrap_or_else(Timestamp::now).to_string();
        let wishes = Wishes { changes: &[], comment: "Made by a plugin of nacre".into(), platform: None, created };
        let (documents, root) = assemble(image.finish()?, wishes)?;
        admit(&self.context, Operation::Import, &names, &documents, &root, &Select::All)?;
        let arrived = into_store(&store, &documents, &root, &names, Acquired::Built, &options(Select::All, &Silent))?;
        Ok(arrived.copied.root.descriptor.digest)
    }

    fn name(&self, image: &str, name: &str) -> Result<()> {
        let (store, name) = (self.context.store()?, new_name(name)?);
        let found = store.find(image)?.image;
        admit(&self.context, Operation::Tag, std::slice::from_ref(&name), &store, &found.descriptor, &Select::Present)?;
        store.tag(&name, &found.id)?;
        Ok(())
    }

    fn untag(&self, name: &str) -> Result<Vec<String>> {
        let removed = remove(&self.context.store()?, &Admission::new(&self.context)?, name, false)?;
        let untagged = removed.untagged.iter().map(|name| format!("Untagged: {}", name.familiar()));
        Ok(untagged.chain(removed.deleted.iter().map(|digest| format!("Deleted: {digest}"))).collect())
    }
}

/// What went wrong, in a plugin's terms.
fn told<T>(outcome: Result<T>) -> Result<T, GuestError> {
    outcome.map_err(|error| match error.downcast::<nacre_oci::Error>() {
        Ok(own) => own.into(),
        Err(error) => GuestError::Other(crate::failure::line(&error)),
    })
}

fn ours(platform: Option<&nacre_plugin::Platform>) -> Option<Platform> {
    platform.map(|platform| Platform::new(&platform.os, &platform.arch, platform.variant.as_deref()))
}

impl Reach for Backend {
    fn summaries(&mut self) -> Result<Vec<Summary>, GuestError> {
        told(self.all())
    }

    fn open(&mut self, name: &str, platform: Option<&nacre_plugin::Platform>) -> Result<ImageView, GuestError> {
        told(self.image(name, ours(platform).as_ref()))
    }

    fn create(&mut self) -> Result<ImageBuilder, GuestError> {
        told(self.begin())
    }

    fn commit(&mut self, image: ImageBuilder, name: &str) -> Result<Digest, GuestError> {
        told(self.finish(image, name))
    }

    fn tag(&mut self, image: &str, name: &str) -> Result<(), GuestError> {
        told(self.name(image, name))
    }

    fn remove(&mut self, name: &str) -> Result<Vec<String>, GuestError> {
        told(self.untag(name))
    }

    fn tags(&mut self, repository: &Reference) -> Result<Vec<String>, GuestError> {
        told(self.context.client().and_then(|client| Ok(client.repository(repository).tags(MAX_TAGS)?)))
    }

    fn open_remote(&mut self, name: &Reference, platform: Option<&nacre_plugin::Platform>) -> Result<ImageView, GuestError> {
        told(self.remote(name, ours(platform).as_ref()))
    }

    fn resolve(&mut self, host: &str, port: u16) -> Result<Vec<SocketAddr>, GuestError> {
        told(self.context.client().and_then(|client| Ok(client.resolve(host, port)?)))
    }

    fn get(&mut self, url: &Url, addresses: &[SocketAddr]) -> Result<Answer, GuestError> {
        let answer = told(self.context.client().and_then(|client| Ok(client.get(url, addresses)?)))?;
        Ok(match answer {
            nacre_registry::Answer::Body(body) => Answer::Body(body),
            nacre_registry::Answer::Moved(to) => Answer::Moved(to),
        })
    }

    fn folder(&mut self) -> Result<PathBuf, GuestError> {
        told(std::env::current_dir().context("cannot tell the working folder"))
    }

    fn spool(&mut self) -> Result<Spool, GuestError> {
        told(self.spooled())
    }
}
