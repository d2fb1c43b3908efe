use anyhow::Result;

use crate::context::Context;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names, digests or ids
    #[arg(required = true)]
    images: Vec<String>,
}

pub(crate) fn run(context: &Context, args: &Args, pinned: bool) -> Result<()> {
    let store = context.store()?;
    let found = args.images.iter().map(|name| store.find(name)).collect::<Result<Vec<_>, _>>()?;
    for (name, found) in args.images.iter().zip(found) {
        store.pin(&found.image.id, pinned)?;
        context.print(name)?;
    }
    Ok(())
}
