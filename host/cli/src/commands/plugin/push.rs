use anyhow::Result;
use nacre_oci::{Memory, Select, copy};
use nacre_plugin::lifecycle::{Package, artifact};

use crate::{
    context::Context,
    output::progress::Action,
    paths::source_date,
    plugins::{Place, now},
    transfer::{new_name, options},
};

/// Send a plugin to a registry, as an artifact that other WebAssembly clients understand
#[derive(clap::Args)]
pub(crate) struct Args {
    /// An installed plugin, a file or a folder
    #[arg(value_name = "PLUGIN|FILE|FOLDER")]
    plugin: String,
    /// The name in the registry
    name: String,
    /// Print only the name of what was pushed
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let reference = new_name(&args.name)?;
    let package = package(context, &args.plugin)?;
    let memory = Memory::new();
    let created = source_date()?.map_or_else(now, |date| date.to_string());
    let root = artifact::pack(&package, &created, &memory).map_err(|fault| fault.of(&package.manifest.plugin.name))?;
    let repository = context.client()?.repository(&reference);
    let progress = context.progress(Action::Push, args.quiet);
    let tag = reference.selector();
    copy(&memory, &repository, &root, std::slice::from_ref(&tag), &options(Select::All, &*progress))?;
    drop(progress);
    match args.quiet {
        true => context.print(&reference.to_string()),
        false => context.print(&format!("{tag}: digest: {} size: {}", root.digest, root.size)),
    }
}

/// The installed plugin of this name, or what lies there.
fn package(context: &Context, name: &str) -> Result<Package> {
    if let (Place::Path(path), true) = (Place::parse(name)?, std::path::Path::new(name).exists()) {
        return Place::Path(path).fetch(context);
    }
    let lock = context.lock()?;
    let locked = lock.get(name)?;
    Place::Path(locked.folder(&context.paths.install)).fetch(context)
}
