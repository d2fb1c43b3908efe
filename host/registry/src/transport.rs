//! Connections: which scheme a host speaks, whom it has to be certified by, and one pooled HTTP client per kind of trust.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, Once, PoisonError},
};

use nacre_oci::{Error, Result};
use reqwest::{Certificate, redirect};
use url::Url;

use crate::{
    Config,
    host::{api_host, authority, is_loopback},
};

/// Where a registry's API is, and by what name credentials know it.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// As in a reference: `docker.io`, `host:port`.
    pub(crate) registry: String,
    /// Ends in `/v2/`.
    pub(crate) base: Url,
}

impl Endpoint {
    /// The URL of a path below `/v2/`. Repository names and digests are safe in a path by their grammar.
    pub(crate) fn url(&self, path: &str) -> Result<Url> {
        self.base.join(path).map_err(|e| Error::malformed(format!("the URL of {path}"), e))
    }
}

/// How certificates are checked.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Trust {
    /// By the system's authorities, and those of the named host.
    System(Option<String>),
    /// Not at all, or there is no TLS.
    None,
}

/// The connections of one client.
pub(crate) struct Transport {
    config: Arc<Config>,
    clients: Mutex<HashMap<(Trust, bool), reqwest::Client>>,
    schemes: tokio::sync::Mutex<HashMap<String, Url>>,
}

impl Transport {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        static PROVIDER: Once = Once::new();
        // An error only says that the process has a provider already.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        Self { config, clients: Mutex::default(), schemes: tokio::sync::Mutex::default() }
    }

    /// Finds out where and how a registry answers.
    ///
    /// # Errors
    /// If the name is not a host.
    pub(crate) async fn endpoint(&self, registry: &str) -> Result<Endpoint> {
        Ok(Endpoint { registry: registry.to_owned(), base: self.base(api_host(registry), "v2/").await? })
    }

    /// `scheme://host/path` in the scheme that the host speaks.
    pub(crate) async fn base(&self, host: &str, path: &str) -> Result<Url> {
        let parse =
            |scheme: &str| Url::parse(&format!("{scheme}://{host}/{path}")).map_err(|e| Error::malformed(format!("host {host}"), e));
        let https = parse("https")?;
        if !self.may_be_plain(&https) {
            return Ok(https);
        }
        let mut known = self.schemes.lock().await;
        if let Some(root) = known.get(host) {
            return parse(root.scheme());
        }
        let answers = self.client(&https)?.get(https.clone()).timeout(self.config.timeouts.connect).send().await.is_ok();
        let root = if answers { https } else { parse("http")? };
        known.insert(host.to_owned(), root.clone());
        Ok(root)
    }

    /// The endpoints that are asked before a registry when reading.
    ///
    /// # Errors
    /// If the configuration names something that is not a URL.
    pub(crate) fn mirrors(&self, registry: &str) -> Result<Vec<Endpoint>> {
        let mirror = |text: &String| {
            let text = if text.contains("://") { text.clone() } else { format!("https://{text}") };
            let base = Url::parse(&format!("{}/v2/", text.trim_end_matches('/')));
            let base = base.map_err(|e| Error::malformed(format!("mirror {text}"), e))?;
            Ok(Endpoint { registry: authority(&base), base })
        };
        self.config.mirrors.get(registry).into_iter().flatten().map(mirror).collect()
    }

    /// Whether credentials and tokens may be sent to a URL.
    pub(crate) fn may_carry_secrets(&self, url: &Url) -> bool {
        url.scheme() == "https" || is_loopback(url) || self.is_insecure(url)
    }

    /// Whether the host was called insecure, or is on this machine without an authority of its own: Docker's rule.
    pub(crate) fn may_be_plain(&self, url: &Url) -> bool {
        self.is_insecure(url) || (is_loopback(url) && !self.config.authorities.contains_key(&authority(url)))
    }

    fn is_insecure(&self, url: &Url) -> bool {
        let (host, with_port) = (url.host_str().unwrap_or_default(), authority(url));
        let named = |name: &String| *name == with_port || name == host || api_host(name) == with_port;
        self.config.insecure.iter().any(named)
    }

    /// The HTTP client for a URL. It follows no redirects: that is done by hand, where credentials are known.
    ///
    /// # Errors
    /// If an authority's file cannot be read.
    pub(crate) fn client(&self, url: &Url) -> Result<reqwest::Client> {
        let own = authority(url);
        let trust = match url.scheme() {
            "https" if !self.may_be_plain(url) => Trust::System(self.config.authorities.contains_key(&own).then_some(own)),
            _ => Trust::None,
        };
        let key = (trust, is_loopback(url));
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = Self::finish(self.build(&key.0, key.1)?)?;
        clients.insert(key, client.clone());
        Ok(client)
    }

    /// A client for one URL that connects to these addresses of its host and to no other. Whom users trust as a
    /// registry without a certificate they need not trust here.
    pub(crate) fn pinned(&self, url: &Url, addresses: &[SocketAddr]) -> Result<reqwest::Client> {
        let own = authority(url);
        let trust = match url.scheme() {
            "https" => Trust::System(self.config.authorities.contains_key(&own).then_some(own)),
            _ => Trust::None,
        };
        Self::finish(self.build(&trust, false)?.no_proxy().resolve_to_addrs(url.host_str().unwrap_or_default(), addresses))
    }

    fn build(&self, trust: &Trust, loopback: bool) -> Result<reqwest::ClientBuilder> {
        let timeouts = &self.config.timeouts;
        let builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .user_agent(&self.config.user_agent)
            .connect_timeout(timeouts.connect)
            .http1_only()
            .tcp_nodelay(true);
        // As in Go, a proxy is never asked for what is on this machine.
        let builder = if loopback { builder.no_proxy() } else { builder };
        Ok(match trust {
            // Reading the system's authorities takes milliseconds: not where nobody asks for them.
            Trust::None => builder.tls_certs_only([]).tls_danger_accept_invalid_certs(true),
            Trust::System(None) => builder,
            Trust::System(Some(host)) => builder.tls_certs_merge(self.authorities(host)?),
        })
    }

    fn finish(builder: reqwest::ClientBuilder) -> Result<reqwest::Client> {
        let failed = |e: reqwest::Error| Error::Transport { doing: "setting up TLS".into(), why: e.to_string() };
        builder.build().map_err(failed)
    }

    fn authorities(&self, host: &str) -> Result<Vec<Certificate>> {
        let mut all = Vec::new();
        for file in self.config.authorities.get(host).into_iter().flatten() {
            let pem = std::fs::read(file).map_err(Error::io(format!("read certificate authority {}", file.display())))?;
            let what = || format!("certificate authority {}", file.display());
            all.extend(Certificate::from_pem_bundle(&pem).map_err(|e| Error::malformed(what(), e))?);
        }
        Ok(all)
    }
}
