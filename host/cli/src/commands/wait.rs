use anyhow::Result;

use crate::{
    containers::{each, engine},
    context::Context,
};

/// Wait until containers end, and print their exit codes
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let engine = engine(context)?;
    each(context, &args.containers, |one| Ok(Some(engine.wait(one)?.to_string())))
}
