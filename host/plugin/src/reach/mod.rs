//! What a plugin reaches beyond its arguments: the interfaces of `wit/reach.wit`.
//!
//! The store, registries and the network are the command line's; here they are a [`Reach`]. Every function
//! asks [`Capabilities::allows`] first, whatever was checked before the component ran.

mod context;
mod fetch;
mod images;

use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use nacre_layer::Spool;
use nacre_oci::{Digest, Reference};
use url::Url;
use wasmtime::component::Linker;

use crate::capability::{Ask, Capabilities, Denied};
use crate::data::{ImageBuilder, ImageView, Outcome, Trouble};
use crate::state::State;
use crate::terminal::Terminal;
use crate::types::{GuestError, Platform, Summary};

/// What a function of [`Reach`] answers. What the plugin cannot be told in its own terms is [`GuestError::Io`].
pub type Result<T> = std::result::Result<T, GuestError>;

/// What a server answered to a GET.
pub enum Answer {
    /// The body of a successful answer.
    Body(Box<dyn Read + Send>),
    /// It is elsewhere: the text of `Location`, which may be relative.
    Moved(String),
}

/// The outside, as one call of a plugin sees it. Nothing here asks for capabilities: that is done before.
pub trait Reach: Send {
    /// All images of the store.
    fn summaries(&mut self) -> Result<Vec<Summary>>;
    /// An image of the store, by name or id; of an index, the one for `platform` or else for this machine.
    fn open(&mut self, name: &str, platform: Option<&Platform>) -> Result<ImageView>;
    /// Begins an image.
    fn create(&mut self) -> Result<ImageBuilder>;
    /// Finishes an image under a name.
    fn commit(&mut self, image: ImageBuilder, name: &str) -> Result<Digest>;
    /// Gives an image another name.
    fn tag(&mut self, image: &str, name: &str) -> Result<()>;
    /// Takes a name away, as `nacre rmi` does; returns its lines.
    fn remove(&mut self, name: &str) -> Result<Vec<String>>;
    /// The tags of a repository.
    fn tags(&mut self, repository: &Reference) -> Result<Vec<String>>;
    /// An image as it is in its registry.
    fn open_remote(&mut self, name: &Reference, platform: Option<&Platform>) -> Result<ImageView>;
    /// The addresses of a host. An IPv6 address stands in brackets.
    fn resolve(&mut self, host: &str, port: u16) -> Result<Vec<SocketAddr>>;
    /// Asks for a URL once, at one of these addresses and no other, without credentials; follows nothing.
    fn get(&mut self, url: &Url, addresses: &[SocketAddr]) -> Result<Answer>;
    /// The folder that the command runs in.
    fn folder(&mut self) -> Result<PathBuf>;
    /// Where large temporary files go.
    fn spool(&mut self) -> Result<Spool>;
}

/// Opens the outside for one call.
pub type Opener = Arc<dyn Fn() -> Box<dyn Reach> + Send + Sync>;

/// What one call was granted, and what it has opened of it.
#[derive(Default)]
pub(crate) struct Outside {
    granted: Capabilities,
    opener: Option<Opener>,
    opened: Option<Box<dyn Reach>>,
    /// The user, if this is a command.
    pub(crate) terminal: Option<Box<dyn Terminal>>,
}

impl Outside {
    pub(crate) fn new(granted: Capabilities, opener: Option<Opener>) -> Outside {
        Outside { granted, opener, ..Outside::default() }
    }

    /// Whether the plugin may do this.
    fn allowed(&self, ask: &Ask<'_>) -> Outcome<()> {
        self.granted.allows(ask).map_err(|denied| Trouble::Guest(denied.into()))
    }

    /// What the plugin may do.
    pub(crate) fn granted(&self) -> &Capabilities {
        &self.granted
    }

    /// The outside, once the plugin may do this with it.
    fn reach(&mut self, ask: &Ask<'_>) -> Outcome<&mut dyn Reach> {
        self.allowed(ask)?;
        self.open()
    }

    fn open(&mut self) -> Outcome<&mut dyn Reach> {
        let opener = self.opener.as_ref().ok_or_else(|| Trouble::unsupported("there is nothing to reach in this call"))?;
        Ok(&mut **self.opened.get_or_insert_with(|| opener()))
    }
}

impl State {
    /// Asks the outside. However long that takes, the plugin's clock stands.
    fn ask<T>(&mut self, ask: &Ask<'_>, work: impl FnOnce(&mut dyn Reach) -> Result<T>) -> Outcome<T> {
        let begun = Instant::now();
        let outcome = self.outside.reach(ask).and_then(|reach| told(work(reach)));
        self.clock.stand(begun.elapsed(), u64::MAX);
        outcome
    }
}

/// The user's wish to end is not the plugin's business.
pub(crate) fn told<T>(outcome: Result<T>) -> Outcome<T> {
    outcome.map_err(|error| match error {
        GuestError::Cancelled => Trouble::Host(nacre_oci::Error::Cancelled),
        error => Trouble::Guest(error),
    })
}

/// The error's text goes behind a name; here it stands behind "denied: ".
impl From<Denied> for GuestError {
    fn from(denied: Denied) -> GuestError {
        GuestError::Denied(denied.to_string().trim_start_matches("is ").to_owned())
    }
}

/// What nacre's parts say, in a plugin's terms.
impl From<nacre_oci::Error> for GuestError {
    fn from(error: nacre_oci::Error) -> GuestError {
        use nacre_oci::Error;
        let text = error.to_string();
        match error {
            Error::NotFound { what } => GuestError::NotFound(what),
            Error::NoPlatform { .. } => GuestError::NotFound(text),
            Error::Denied { .. } => GuestError::Denied(text),
            Error::InvalidReference { .. } | Error::InvalidDigest { .. } | Error::InvalidPlatform { .. } | Error::Ambiguous { .. } => {
                GuestError::invalid("bad-name", text)
            }
            Error::Malformed { .. } => GuestError::invalid("bad-data", text),
            Error::Unsupported { .. } => GuestError::Unsupported(text),
            Error::TooLarge { .. } => GuestError::Limit(text),
            Error::Cancelled => GuestError::Cancelled,
            _ => GuestError::Io(text),
        }
    }
}

/// Adds the interfaces to a linker.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    images::add(linker)?;
    fetch::add(&mut linker.instance("nacre:plugin/fetch@0.1.0")?)?;
    context::add(&mut linker.instance("nacre:plugin/context@0.1.0")?)
}
