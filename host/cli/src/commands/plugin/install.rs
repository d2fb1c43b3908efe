use anyhow::Result;

use crate::{
    context::Context,
    plugins::{Consent, Place, install},
};

/// Install a plugin from a file, a folder or a registry
///
/// It is checked, its wishes are shown and granted, and it is compiled, before it counts.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A component, a folder with plugin.toml and plugin.wasm, or a name in a registry
    #[arg(value_name = "FILE|FOLDER|NAME")]
    place: String,
    #[command(flatten)]
    consent: Consent,
    /// Install it, but do not use it yet
    #[arg(long)]
    disable: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let package = Place::parse(&args.place)?.fetch(context)?;
    let before = context.lock()?.plugins.into_iter().find(|locked| locked.name == package.manifest.plugin.name);
    let installed = install(context, &package, before.as_ref(), &args.consent, !args.disable)?;
    context.print(&format!("Installed {} {}: {}", installed.name, installed.version, installed.component))
}
