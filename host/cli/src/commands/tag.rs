use anyhow::Result;

use crate::{context::Context, transfer::new_name};

/// Give an image another name
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A name, a digest or an id
    source: String,
    /// The new name; tag `latest` if it has none
    target: String,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let (store, target) = (context.store()?, new_name(&args.target)?);
    store.tag(&target, &store.find(&args.source)?.image.id)?;
    Ok(())
}
