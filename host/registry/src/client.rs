//! The client: what all repositories of all registries share.

use std::sync::Arc;

use http::Method;
use nacre_oci::{Error, Reference, Result};
use tokio::runtime::Handle;

use crate::{
    Config, Credential, Credentials, Repository,
    answer::{About, LOGIN_HINT},
    auth::Auth,
    list::MAX_ENTRIES,
    request::Request,
    transport::{Endpoint, Transport},
};

/// A registry client: connections, tokens and what is known of hosts. Cloning it is cheap and shares all of that.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    config: Arc<Config>,
    handle: Handle,
    transport: Transport,
    auth: Auth,
}

impl Client {
    /// A client on a multi-thread runtime. Connects to nothing yet.
    pub fn new(config: Config, handle: Handle) -> Self {
        let config = Arc::new(config);
        let transport = Transport::new(Arc::clone(&config));
        Self { shared: Arc::new(Shared { config, handle, transport, auth: Auth::default() }) }
    }

    /// The repository that a reference names; its tag and digest are left aside.
    pub fn repository(&self, reference: &Reference) -> Repository {
        Repository::new(self.clone(), reference)
    }

    /// The names of a registry's repositories (distribution's `/v2/_catalog`, which many registries forbid).
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`] where there is no catalog, [`Error::TooLarge`] for an endless one.
    pub fn catalog(&self, registry: &str) -> Result<Vec<String>> {
        self.wait(async {
            let endpoint = self.transport().endpoint(registry).await?;
            let about = About { doing: "list", what: format!("the catalog of {registry}"), registry: registry.to_owned() };
            let request = Request::new(Method::GET, endpoint.url("_catalog?n=1000")?, vec!["registry:catalog:*".into()], about);
            self.names(&endpoint, request, "repositories", MAX_ENTRIES).await
        })
    }

    /// Checks a user's password with the registry and keeps it; returns where it is kept.
    ///
    /// # Errors
    /// [`Error::Denied`] if the registry does not take it.
    pub fn login(&self, registry: &str, user: &str, password: &str) -> Result<String> {
        let credential = Credential::Password { user: user.to_owned(), password: password.to_owned() };
        let credentials = Credentials::default().with(registry, credential);
        let probe = Self::new(Config { credentials, ..(*self.shared.config).clone() }, self.shared.handle.clone());
        probe
            .wait(async {
                let endpoint = probe.transport().endpoint(registry).await?;
                let about = About { doing: "log in", what: format!("to {registry}"), registry: registry.to_owned() };
                probe.send(&endpoint, &Request::new(Method::GET, endpoint.base.clone(), Vec::new(), about)).await
            })
            .map_err(|error| login_refused(registry, error))?;
        self.config().credentials.store(registry, user, password)
    }

    /// Forgets the logins at a registry; says whether there was one.
    ///
    /// # Errors
    /// If an auth file or a helper fails.
    pub fn logout(&self, registry: &str) -> Result<bool> {
        self.config().credentials.erase(registry)
    }

    /// Runs async work to its end on this thread.
    pub(crate) fn wait<F: Future>(&self, work: F) -> F::Output {
        self.shared.handle.block_on(work)
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.shared.handle
    }

    pub(crate) fn config(&self) -> &Config {
        &self.shared.config
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.shared.transport
    }

    pub(crate) fn auth(&self) -> &Auth {
        &self.shared.auth
    }

    /// The first of a registry's mirrors, or at last the registry itself, that does what is asked.
    pub(crate) async fn first<T>(&self, registry: &str, ask: impl AsyncFn(&Endpoint) -> Result<T>) -> Result<T> {
        for mirror in self.transport().mirrors(registry)? {
            match ask(&mirror).await {
                Ok(answer) => return Ok(answer),
                Err(error @ Error::Cancelled) => return Err(error),
                Err(error) => self.notify(&format!("mirror {}: {error}", mirror.registry)),
            }
        }
        ask(&self.transport().endpoint(registry).await?).await
    }

    pub(crate) fn notify(&self, text: &str) {
        if let Some(notify) = &self.config().notify {
            notify(text);
        }
    }
}

/// Who is logging in needs no advice to log in.
fn login_refused(registry: &str, error: Error) -> Error {
    match error {
        Error::Denied { why, .. } => {
            let why = why.split(LOGIN_HINT).next().unwrap_or_default().to_owned();
            Error::Denied { what: format!("login to {registry}"), why }
        }
        other => other,
    }
}
