//! How a client is set up. The command line fills it in: this crate reads no environment.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use crate::Credentials;

/// Hears of retries and the like, one line each.
pub type Notify = Arc<dyn Fn(&str) + Send + Sync>;

/// What a [`crate::Client`] needs to know. Hosts are written as in a reference: `host` or `host:port`, `docker.io` for Docker Hub.
#[derive(Clone)]
pub struct Config {
    /// Registries that may speak plain HTTP or show a certificate that nobody vouches for. `host` stands for all its ports.
    pub insecure: Vec<String>,
    /// Certificate authorities (PEM files) that are trusted for one host in addition to the system's.
    pub authorities: BTreeMap<String, Vec<PathBuf>>,
    /// Registry to the base URLs (`https://mirror.example/prefix`) that are asked first when reading.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Who is logged in where.
    pub credentials: Credentials,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// How often and how fast to try again.
    pub retry: Retry,
    /// Blobs larger than this many bytes go up in pieces of this size; `None` sends every blob in one request.
    pub chunk: Option<u64>,
    /// Who hears of retries.
    pub notify: Option<Notify>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            insecure: Vec::new(),
            authorities: BTreeMap::new(),
            mirrors: BTreeMap::new(),
            credentials: Credentials::default(),
            user_agent: concat!("nacre/", env!("CARGO_PKG_VERSION")).to_owned(),
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            chunk: None,
            notify: None,
        }
    }
}

/// Limits on waiting.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a connection to be made, TLS included.
    pub connect: Duration,
    /// For an answer's header after the request was sent.
    pub answer: Duration,
    /// For the next bytes of a body, in either direction.
    pub stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(20), answer: Duration::from_secs(120), stall: Duration::from_secs(30) }
    }
}

impl Timeouts {
    /// With a limit on stalls of one's own; an answer may take four times as long to begin, as by default.
    pub fn stalling(stall: Duration) -> Self {
        Self { answer: stall.saturating_mul(4), stall, ..Self::default() }
    }
}

/// When a request that failed for a passing reason is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Failures in a row, without progress between them, that end the attempt.
    pub tries: u32,
    /// The first pause; each further one is twice as long, with jitter.
    pub pause: Duration,
    /// The longest pause of our own.
    pub longest: Duration,
    /// The longest `Retry-After` that is waited for.
    pub patience: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { tries: 6, pause: Duration::from_millis(250), longest: Duration::from_secs(15), patience: Duration::from_secs(120) }
    }
}
