use anyhow::Result;

use nacre_oci::Select;
use nacre_plugin::Operation;

use crate::{admission::admit, context::Context, transfer::new_name};

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
    let image = store.find(&args.source)?.image;
    admit(context, Operation::Tag, std::slice::from_ref(&target), &store, &image.descriptor, &Select::Present)?;
    store.tag(&target, &image.id)?;
    Ok(())
}
