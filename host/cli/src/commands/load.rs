use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};

use anyhow::{Result, bail};
use nacre_archive::{Archive, Entry};
use nacre_oci::Select;
use nacre_plugin::Operation;
use nacre_store::Acquired;

use crate::{
    admission::Admission,
    context::Context,
    output::progress::Action,
    transfer::{Platforms, into_store, options},
};

/// Read images from an archive: docker save's, an OCI archive, plain or compressed
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The file, instead of standard input
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    #[command(flatten)]
    platforms: Platforms,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let (store, temporary) = (context.store()?, context.temporary()?);
    let progress = context.progress(Action::Load, args.quiet);
    let archive = match &args.input {
        Some(path) => Archive::open(path, &temporary, &*progress)?,
        None if io::stdin().is_terminal() => bail!("there is no archive: use -i FILE or redirect standard input"),
        None => Archive::from_reader(io::stdin(), "standard input", &temporary, &*progress)?,
    };
    let select = args.platforms.select(Select::Present);
    // All of them before the first comes in.
    let admission = Admission::new(context)?;
    let admit = |entry: &Entry| admission.admit(Operation::Load, &entry.names, &archive, &entry.descriptor, &select);
    archive.images().iter().try_for_each(admit)?;
    for entry in archive.images() {
        let arrived =
            into_store(&store, &archive, &entry.descriptor, &entry.names, Acquired::Loaded, &options(select.clone(), &*progress))?;
        for (name, id) in arrived.renamed {
            context.print(&format!("The image {} already exists, renaming the old one with ID {id} to empty string", name.familiar()))?;
        }
        entry.names.iter().try_for_each(|name| context.print(&format!("Loaded image: {}", name.familiar())))?;
        if entry.names.is_empty() {
            context.print(&format!("Loaded image ID: {}", entry.descriptor.digest))?;
        }
    }
    Ok(())
}
