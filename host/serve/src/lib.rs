//! The store spoken as a registry over HTTP: the distribution specification 1.1, and Docker's search.
//!
//! A repository's path is a reference in Docker's grammar without a registry in front: `busybox` is the store's
//! `docker.io/library/busybox`, `ghcr.io/acme/app` is what it says. What the store holds is there for every repository:
//! blobs are not kept apart, and a blob that was pulled for one image never has to be pushed for another.
//!
//! An index may come before the manifests that it lists, or without some of them (a sparse index); what a manifest lists has to be
//! here first. Clients get a limited number of places and limited patience ([`Limits`]), so that slow ones stop nobody.
//!
//! There is no authentication: whoever reaches the address may read and, unless [`Options::read_only`] says otherwise,
//! write.

mod app;
mod arrivals;
mod blob;
mod body;
mod connection;
mod failure;
mod limits;
mod list;
mod manifest;
mod query;
mod range;
mod route;
mod search;
mod seats;
mod upload;

use std::{future::Future, sync::Arc};

use nacre_oci::Result;
use nacre_store::Store;
use tokio::net::TcpListener;

use crate::app::App;
pub use crate::limits::Limits;

/// Hears lines of the log, from any thread.
pub type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// How to serve.
#[derive(Clone, Default)]
pub struct Options {
    /// Refuse everything that would change the store.
    pub read_only: bool,
    /// Hears one line for each request. The line holds what the client sent: escape it before it reaches a terminal.
    pub log: Option<Log>,
}

/// A store that is ready to be served: what comes in is protected from here on.
pub struct Server {
    app: Arc<App>,
}

impl Server {
    /// Prepares to serve `store`.
    ///
    /// # Errors
    /// If the store cannot protect what comes in.
    pub fn new(store: Store, options: Options) -> Result<Self> {
        Self::with_limits(store, options, Limits::default())
    }

    /// The same with other limits than the default ones.
    ///
    /// # Errors
    /// If the store cannot protect what comes in.
    pub fn with_limits(store: Store, options: Options, limits: Limits) -> Result<Self> {
        Ok(Self { app: Arc::new(App::new(store, options, limits)?) })
    }

    /// Serves on `listener` until `shutdown` is ready; then what is under way may end within ten seconds.
    ///
    /// Content that was pushed and that no manifest refers to yet is safe from every prune for an hour, in this process
    /// and in others.
    ///
    /// # Errors
    /// If the store cannot record what was used.
    pub async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> Result<()> {
        let app = self.app;
        let keeper = tokio::spawn(app::housekeeping(Arc::clone(&app)));
        connection::run(listener, app::router(Arc::clone(&app)), app.limits, shutdown).await;
        keeper.abort();
        tokio::task::spawn_blocking(move || app.record_use()).await.unwrap_or(Ok(()))
    }
}
