use anyhow::Result;
use nacre_container::Error;

use crate::{
    containers::{each, engine},
    context::Context,
    failure::warn,
};

/// Remove containers
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
    /// Running ones too, by SIGKILL; take a missing one as removed
    #[arg(short, long)]
    force: bool,
    /// Accepted for Docker's sake: a container's volumes always go with it
    #[arg(short, long)]
    volumes: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let engine = engine(context)?;
    each(context, &args.containers, |one| {
        match engine.remove(one, args.force) {
            // As in Docker, only told. A damaged one may be known no more and have left its files.
            Err(error @ Error::NoSuchContainer(_)) if args.force => {
                engine.sweep()?;
                warn(&error.to_string());
                Ok(None)
            }
            removed => Ok(removed.map(|_| Some(one.to_owned()))?),
        }
    })
}
