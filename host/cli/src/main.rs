//! The `nacre` command: an image toolkit without a daemon.
//!
//! [`args`] is the command line, [`commands`] has one file per verb, [`context`] opens what a verb needs when it needs
//! it, [`transfer`] and [`view`] are what several verbs share, and [`output`] is all that reaches the user's eyes.

mod args;
mod commands;
mod config;
mod context;
mod failure;
mod global;
mod output;
mod paths;
mod policy;
mod transfer;
mod view;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    args::{Cli, Command, ImageCommand},
    context::Context,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let debug = cli.global.debug;
    let done = Context::new(cli.global).and_then(|context| run(&context, cli.command));
    done.map_or_else(|error| failure::report(&error, debug), |()| ExitCode::SUCCESS)
}

fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Pull(args) | Command::Image(ImageCommand::Pull(args)) => commands::pull::run(context, &args),
        Command::Push(args) | Command::Image(ImageCommand::Push(args)) => commands::push::run(context, &args),
        Command::Images(args) | Command::Image(ImageCommand::Ls(args)) => commands::images::run(context, &args),
        Command::Search(args) => commands::search::run(context, &args),
        Command::Inspect(args) | Command::Image(ImageCommand::Inspect(args)) => commands::inspect::run(context, &args),
        Command::History(args) | Command::Image(ImageCommand::History(args)) => commands::history::run(context, &args),
        Command::Tag(args) | Command::Image(ImageCommand::Tag(args)) => commands::tag::run(context, &args),
        Command::Rmi(args) | Command::Image(ImageCommand::Rm(args)) => commands::rmi::run(context, &args),
        Command::Image(ImageCommand::Prune(args)) => commands::prune::run(context, &args),
        Command::Save(args) | Command::Image(ImageCommand::Save(args)) => commands::save::run(context, &args),
        Command::Load(args) | Command::Image(ImageCommand::Load(args)) => commands::load::run(context, &args),
        Command::Copy(args) | Command::Image(ImageCommand::Copy(args)) => commands::copy::run(context, &args),
        Command::Pin(args) | Command::Image(ImageCommand::Pin(args)) => commands::pin::run(context, &args, true),
        Command::Unpin(args) | Command::Image(ImageCommand::Unpin(args)) => commands::pin::run(context, &args, false),
        Command::Login(args) => commands::login::run(context, args),
        Command::Logout(args) => commands::login::logout(context, &args),
        Command::Serve(args) => commands::serve::run(context, &args),
        Command::Plugin(command) => commands::plugin::run(context, &command),
        Command::System(command) => commands::system::run(context, &command),
    }
}
