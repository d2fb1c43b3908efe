use anyhow::Result;
use clap_complete::Shell;

use crate::{context::Context, extension};

/// Print a script for a shell that completes what nacre and its plugins take
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The shell, such as in `source <(nacre completion bash)`
    #[arg(value_parser = clap::builder::EnumValueParser::<Shell>::new())]
    shell: Shell,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let mut cli = extension::extended(&context.plugins()?);
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli, "nacre", &mut script);
    crate::output::write(&script)
}
