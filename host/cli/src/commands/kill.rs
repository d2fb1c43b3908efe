use anyhow::Result;
use nacre_container::signal;

use crate::{
    containers::{each, engine},
    context::Context,
};

/// Send containers a signal
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
    /// The signal: its name or its number
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    signal: String,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let engine = engine(context)?;
    let number = signal(&args.signal)?;
    each(context, &args.containers, |one| {
        engine.kill(one, number)?;
        Ok(Some(one.to_owned()))
    })
}
