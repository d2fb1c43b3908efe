//! The registry client: a [`Source`](nacre_oci::Source) and a [`Sink`](nacre_oci::Sink) over HTTP.
//!
//! Inside it is async on tokio; outside it is synchronous, so that it fits the rest of nacre: [`Client`] and
//! [`Repository`] block the calling thread, which therefore must not be one of the runtime's own.
//!
//! The protocol is the OCI distribution specification 1.1, with Docker's token authentication. Everything that comes
//! from a registry is capped and checked, and credentials never leave the registry's own origin.

mod answer;
mod auth;
mod auth_file;
mod blob;
mod challenge;
mod client;
mod config;
mod credentials;
mod download;
mod fetch;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod helper;
mod host;
mod list;
mod manifest;
mod referrers;
mod repository;
mod request;
mod retry;
mod search;
mod transport;
mod upload;

pub use client::Client;
pub use config::{Config, Notify, Retry, Timeouts};
pub use credentials::{Credential, Credentials};
pub use download::{Allowed, Download, Version};
pub use fetch::Answer;
pub use repository::Repository;
pub use search::SearchHit;
