use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use jiff::{Timestamp, tz::TimeZone};
use nacre_container::Listed;

use super::{commit, cp, create, diff, exec, export, inspect, kill, logs, prune::confirmed, ps, rm, run as run_, start, stop, wait};
use crate::{
    containers::engine,
    context::Context,
    output::{filter::Filters, time, units::total_size},
};

/// What is done with containers: `nacre VERB` and `nacre container VERB`.
#[derive(Subcommand)]
pub(crate) enum Verb {
    Run(Box<run_::Args>),
    Create(Box<create::Args>),
    Start(start::Args),
    Stop(stop::Args),
    Kill(kill::Args),
    Rm(rm::Args),
    Logs(logs::Args),
    Exec(exec::Args),
    Cp(cp::Args),
    Diff(diff::Args),
    Export(export::Args),
    Commit(commit::Args),
    Wait(wait::Args),
}

/// `nacre container VERB`.
#[derive(Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Verb(Verb),
    #[command(aliases = ["list", "ps"])]
    Ls(ps::Args),
    /// Show everything about containers, as JSON or by a template
    Inspect(inspect::Containers),
    Prune(Prune),
}

/// Remove all containers that do not run
#[derive(clap::Args)]
pub(crate) struct Prune {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// until=TIME label=KEY[=VALUE] label!=KEY[=VALUE]
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
}

pub(crate) fn run(context: &Context, command: Command) -> Result<ExitCode> {
    match command {
        Command::Verb(verb) => do_verb(context, verb),
        Command::Ls(args) => ps::run(context, &args).map(|()| ExitCode::SUCCESS),
        Command::Inspect(args) => inspect::containers(context, &args).map(|()| ExitCode::SUCCESS),
        Command::Prune(args) => prune(context, &args).map(|()| ExitCode::SUCCESS),
    }
}

/// `nacre VERB`.
pub(crate) fn do_verb(context: &Context, verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Run(args) => return run_::run(context, &args),
        Verb::Start(args) => return start::run(context, &args),
        Verb::Exec(args) => return exec::run(context, &args),
        Verb::Create(args) => create::run(context, &args),
        Verb::Stop(args) => stop::run(context, &args),
        Verb::Kill(args) => kill::run(context, &args),
        Verb::Rm(args) => rm::run(context, &args),
        Verb::Logs(args) => logs::run(context, &args),
        Verb::Cp(args) => cp::run(context, &args),
        Verb::Diff(args) => diff::run(context, &args),
        Verb::Export(args) => export::run(context, &args),
        Verb::Commit(args) => commit::run(context, &args),
        Verb::Wait(args) => wait::run(context, &args),
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Removes what does not run, unless the user says no.
fn prune(context: &Context, args: &Prune) -> Result<()> {
    let filters = Filters::parse(&args.filter)?;
    filters.only(&["until", "label", "label!"])?;
    let now = Timestamp::now().as_second();
    let until = filters.values("until").map(|text| time::parse(text, now, &TimeZone::system())).collect::<Result<Vec<_>>>()?;
    let chosen = |listed: &Listed| {
        let created = listed.container.created / 1_000_000_000;
        until.iter().all(|until| created < *until) && filters.labels_pass(&listed.container.record.config.labels)
    };
    if !args.force && !confirmed("WARNING! This will remove all stopped containers.\n")? {
        return Ok(());
    }
    let pruned = engine(context)?.prune(&chosen)?;
    if !pruned.ids.is_empty() {
        context.print(&format!("Deleted Containers:\n{}", pruned.ids.join("\n")))?;
        context.write("\n")?;
    }
    context.print(&format!("Total reclaimed space: {}", total_size(pruned.bytes)))
}
