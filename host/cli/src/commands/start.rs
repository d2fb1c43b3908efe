use std::process::ExitCode;

use anyhow::{Result, bail};
use nacre_container::Engine;

use crate::{
    attached::{self, Client, Side},
    commands::run::Attached,
    containers::{self, each},
    context::Context,
};

/// Start containers that have ended or were never started
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
    /// Show what the program prints, pass signals on, and end with its exit code
    #[arg(short, long)]
    attach: bool,
    /// Send it standard input
    #[arg(short, long)]
    interactive: bool,
    #[command(flatten)]
    attached: Attached,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode> {
    let engine = containers::engine(context)?;
    match &args.containers[..] {
        [one] if args.attach || args.interactive => attach(context, args, &engine, one),
        _ if args.attach || args.interactive => bail!("you cannot start and attach multiple containers at once"),
        all => each(context, all, |one| {
            containers::start(context, &engine, &engine.find(one)?, None)?;
            Ok(Some(one.to_owned()))
        })
        .map(|()| ExitCode::SUCCESS),
    }
}

fn attach(context: &Context, args: &Args, engine: &Engine, one: &str) -> Result<ExitCode> {
    let container = engine.find(one)?;
    let (tty, stdin) = (container.record.tty, args.interactive && container.record.stdin);
    attached::check(tty, stdin)?;
    let side = Side { tty, stdin, signals: args.attached.sig_proxy, keys: args.attached.detach_keys.clone() };
    containers::start(context, engine, &container, Some(Client::new(side)?))
}
