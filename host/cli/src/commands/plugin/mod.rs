//! `nacre plugin VERB`: one file per verb or pair of verbs.

mod inspect;
mod install;
mod kit;
mod logs;
mod ls;
mod push;
mod switch;
mod update;
mod verify;

use anyhow::Result;

use crate::context::Context;

/// `nacre plugin VERB`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Install(install::Args),
    Update(update::Args),
    #[command(alias = "remove")]
    Rm(switch::Names),
    #[command(alias = "list")]
    Ls(ls::Args),
    Inspect(inspect::Args),
    /// Check that plugins are what was installed, and may be run
    Verify(verify::Args),
    /// Use a plugin again
    Enable(switch::Names),
    /// Keep a plugin, but do not use it
    Disable(switch::Names),
    /// Look for whatever is wrong with the plugins and their configuration
    Doctor,
    Push(push::Args),
    Logs(logs::Args),
    New(kit::New),
    Build(kit::Build),
    Test(kit::Test),
    Bench(kit::Bench),
    Run(kit::Run),
}

pub(crate) fn run(context: &Context, command: &Command) -> Result<()> {
    match command {
        Command::Install(args) => install::run(context, args),
        Command::Update(args) => update::run(context, args),
        Command::Rm(names) => switch::remove(context, names),
        Command::Ls(args) => ls::run(context, args),
        Command::Inspect(args) => inspect::run(context, args),
        Command::Verify(args) => verify::run(context, args),
        Command::Enable(names) => switch::enable(context, names, true),
        Command::Disable(names) => switch::enable(context, names, false),
        Command::Doctor => verify::doctor(context),
        Command::Push(args) => push::run(context, args),
        Command::Logs(args) => logs::run(context, args),
        Command::New(args) => kit::new(context, args),
        Command::Build(args) => kit::build(context, args),
        Command::Test(args) => kit::test(context, args),
        Command::Bench(args) => kit::bench(context, args),
        Command::Run(args) => kit::run(context, args),
    }
}
