use anyhow::{Context as _, Result};
use clap::builder::{EnumValueParser, PossibleValuesParser};
use clap_complete::{Generator, Shell};

use crate::{context::Context, extension};

/// Print a script for a shell that completes what nacre and its plugins take
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The shell, such as in `source <(nacre completion bash)`
    #[arg(value_parser = EnumValueParser::<Shell>::new())]
    shell: Shell,
}

/// Scripts are about this large: a buffer that grows would be copied several times.
const SIZE: usize = 256 << 10;

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let mut cli = with_flat_help(extension::extended(&context.plugins()?));
    cli.set_bin_name("nacre");
    cli.build();
    let mut script = Vec::with_capacity(SIZE);
    args.shell.try_generate(&cli, &mut script).context("cannot make the script")?;
    // It is large, and nobody looks at it again.
    std::mem::forget(cli);
    crate::output::write(&script)
}

/// `help` with the verbs as values: clap's own has all verbs below it once more, which is a third of the script.
fn with_flat_help(cli: clap::Command) -> clap::Command {
    let verbs: Vec<String> = cli.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    let verb = clap::Arg::new("VERB").value_parser(PossibleValuesParser::new(verbs));
    let help = clap::Command::new("help").about("Print this message or the help of the given subcommand(s)").arg(verb);
    cli.disable_help_subcommand(true).subcommand(help)
}
