use anyhow::Result;
use nacre_plugin::lifecycle;

use crate::{context::Context, plugins::each};

/// Remove installed plugins
#[derive(clap::Args)]
pub(crate) struct Names {
    /// The plugins' names, with or without their publishers
    #[arg(required = true)]
    names: Vec<String>,
}

pub(crate) fn remove(context: &Context, args: &Names) -> Result<()> {
    each(&args.names, |name| {
        let removed = lifecycle::remove(&context.paths.install, name)?;
        context.print(&format!("Removed {} {}", removed.name, removed.version))
    })
}

pub(crate) fn enable(context: &Context, args: &Names, enabled: bool) -> Result<()> {
    each(&args.names, |name| context.print(&lifecycle::set_enabled(&context.paths.install, name, enabled)?))
}
