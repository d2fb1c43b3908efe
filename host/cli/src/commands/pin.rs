use anyhow::Result;

use crate::{
    context::Context,
    failure::{Shown, warn},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names, digests or ids
    #[arg(required = true)]
    images: Vec<String>,
}

pub(crate) fn run(context: &Context, args: &Args, pinned: bool) -> Result<()> {
    let store = context.store()?;
    let mut failed = false;
    for name in &args.images {
        match store.find(name).and_then(|found| store.pin(&found.image.id, pinned)) {
            Ok(()) => context.print(name)?,
            Err(error) => {
                failed = true;
                warn(&error.to_string());
            }
        }
    }
    if failed { Err(Shown.into()) } else { Ok(()) }
}
