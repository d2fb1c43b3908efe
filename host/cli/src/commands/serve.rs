use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{context::Context, failure::warn};

/// Serve the store as a registry that Docker, Podman, skopeo and crane pull from and push to
///
/// There is no authentication: whoever reaches the address may read and, without --read-only, write.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:5000")]
    addr: String,
    /// Refuse everything that would change the store
    #[arg(long)]
    read_only: bool,
    /// Show no line for each request
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let store = context.store()?;
    let log: Option<nacre_serve::Log> = (!args.quiet).then(|| Arc::new(|line: &str| warn(line)) as nacre_serve::Log);
    let options = nacre_serve::Options { read_only: args.read_only, log };
    context.runtime()?.block_on(async {
        let listener = TcpListener::bind(&args.addr).await.with_context(|| format!("cannot listen on {}", args.addr))?;
        let root = store.root().display().to_string();
        let server = nacre_serve::Server::new(store, options)?;
        // Said when it is true, so that whoever waits for the line finds everything in place.
        warn(&format!("serving {root} on http://{}", listener.local_addr()?));
        let mut terminated = signal(SignalKind::terminate())?;
        let shutdown = async move {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
        };
        Ok(server.run(listener, shutdown).await?)
    })
}
