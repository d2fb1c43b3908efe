//! The client against registries that misbehave (in this process) and against real ones.
#![allow(clippy::unwrap_used, reason = "tests")]

mod auth;
mod download;
mod fake;
mod get;
mod lists;
mod peers;
mod pull;
mod push;

use std::{io::Read, sync::LazyLock, time::Duration};

use nacre_oci::{Descriptor, Result, Source, media_type};
use nacre_registry::{Client, Config, Credential, Credentials, Repository, Retry, Timeouts};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// A configuration that tries again at once.
pub(crate) fn quick() -> Config {
    let pause = Duration::from_millis(1);
    Config {
        retry: Retry { tries: 4, pause, longest: pause, ..Retry::default() },
        timeouts: Timeouts { stall: Duration::from_millis(400), ..Timeouts::default() },
        ..Config::default()
    }
}

/// With a user `nacre` at one registry.
pub(crate) fn logged_in(registry: &str, password: &str) -> Config {
    let credential = Credential::Password { user: "nacre".into(), password: password.into() };
    Config { credentials: Credentials::default().with(registry, credential), ..quick() }
}

pub(crate) fn client(config: Config) -> Client {
    Client::new(config, RUNTIME.handle().clone())
}

/// The repository `NAME` of a registry.
pub(crate) fn repository(config: Config, registry: &str, name: &str) -> Repository {
    client(config).repository(&format!("{registry}/{name}").parse().unwrap())
}

/// Reads a blob from an offset on.
pub(crate) fn read(repository: &Repository, blob: &Descriptor, offset: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut reader = repository.open_unverified(blob, offset)?;
    reader.read_to_end(&mut bytes).map_err(nacre_oci::Error::io("read"))?;
    Ok(bytes)
}

/// A blob's descriptor.
pub(crate) fn blob(bytes: &[u8]) -> Descriptor {
    Descriptor::of(media_type::OCI_LAYER, bytes)
}
