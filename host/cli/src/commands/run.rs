use std::process::ExitCode;

use anyhow::Result;

use crate::{
    attached::{self, Client, DETACH_KEYS, Keys, Side},
    commands::create::Wishes,
    containers,
    context::Context,
    failure::or_code,
};

/// Run a program in a new container of an image
///
/// The exit code is the program's, or 125 if nacre failed, 126 if the program cannot be run, 127 if it is not there.
#[derive(clap::Args)]
#[command(disable_help_flag = true, override_usage = "nacre run [OPTIONS] IMAGE [COMMAND] [ARG]...")]
pub(crate) struct Args {
    /// Let it run in the background, and print its id
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    attached: Attached,
    #[command(flatten)]
    wishes: Wishes,
}

/// What `run` and `start` do while they are attached.
#[derive(clap::Args)]
pub(crate) struct Attached {
    /// Pass signals on to the program
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          action = clap::ArgAction::Set)]
    pub sig_proxy: bool,
    /// The keys that leave the program alone
    #[arg(long, value_name = "KEYS", default_value = DETACH_KEYS)]
    pub detach_keys: Keys,
}

/// What is nacre's own failure ends with this, as in Docker.
pub(crate) const OWN_FAILURE: u8 = 125;

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode> {
    or_code(OWN_FAILURE, started(context, args))
}

fn started(context: &Context, args: &Args) -> Result<ExitCode> {
    let (tty, stdin) = (args.wishes.container.tty, args.wishes.container.interactive);
    if !args.detach {
        attached::check(tty, stdin)?;
    }
    let engine = containers::engine(context)?;
    let made = containers::create(context, &engine, &args.wishes, args.detach)?;
    if args.detach {
        context.print(&made.id)?;
        return containers::start(context, &engine, &made, None);
    }
    let side = Side { tty, stdin, signals: args.attached.sig_proxy, keys: args.attached.detach_keys.clone() };
    containers::start(context, &engine, &made, Some(Client::new(side)?))
}
