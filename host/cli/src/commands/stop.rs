use anyhow::Result;

use crate::{
    containers::{each, engine},
    context::Context,
};

/// Ask containers to end, and end them if they do not
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
    /// Seconds to wait before SIGKILL, instead of the container's own or 10; -1 for ever
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS", allow_negative_numbers = true)]
    time: Option<i64>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let engine = engine(context)?;
    each(context, &args.containers, |one| {
        engine.stop(one, args.time)?;
        Ok(Some(one.to_owned()))
    })
}
