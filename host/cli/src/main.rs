//! The `nacre` command: an image toolkit without a daemon.
//!
//! [`args`] is the command line, [`commands`] has one file per verb, [`context`] opens what a verb needs when it needs
//! it, [`transfer`] and [`view`] are what several verbs share, and [`output`] is all that reaches the user's eyes.

mod admission;
mod args;
mod attached;
mod backend;
mod building;
mod commands;
mod config;
mod containers;
mod context;
mod copying;
mod extension;
mod failure;
mod fetching;
mod global;
mod held;
mod importing;
mod output;
mod pace;
mod paths;
mod plugin_log;
mod plugins;
mod policy;
mod screen;
mod transfer;
mod view;

use std::{env, process::ExitCode};

use anyhow::Result;
use clap::{FromArgMatches, Parser};

use crate::{
    args::{Cli, Command, ImageCommand},
    commands::run::OWN_FAILURE,
    context::Context,
    extension::Early,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(code) = nacre_runtime::serve(env::args_os().nth(1).as_deref()) {
        return code;
    }
    let early = Early::read(env::args_os().skip(1));
    let done = match early.is_own().then(Cli::try_parse) {
        Some(Ok(cli)) => own(cli),
        Some(Err(error)) => return usage(&error, &early),
        None => extended(&early),
    };
    done.unwrap_or_else(|error| failure::report(&error, early.debug()))
}

/// Shows help, or what is wrong with the command line.
fn usage(error: &clap::Error, early: &Early) -> ExitCode {
    let hint = match (early.runs_a_program(), early.builds()) {
        (true, _) => containers::unsupported(error),
        (_, true) => building::unsupported(error),
        _ => None,
    };
    match hint {
        Some(hint) => failure::warn(&hint),
        // Standard error that is closed leaves nobody to tell.
        None => _ = error.print(),
    }
    let code = if error.use_stderr() && early.runs_a_program() { i32::from(OWN_FAILURE) } else { error.exit_code() };
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// One of nacre's own verbs: no plugin is looked for before the verb does it.
fn own(cli: Cli) -> Result<ExitCode> {
    let context = Context::new(cli.global)?;
    run(&context, cli.command)
}

/// Anything else: a plugin's command, help, or a mistake.
fn extended(early: &Early) -> Result<ExitCode> {
    let Some((context, plugins)) = early.plugins()? else { return own(Cli::parse()) };
    let matches = extension::extended(&plugins).get_matches();
    extension::run(&context, &plugins, &matches)
        .unwrap_or_else(|| own(Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())))
}

fn run(context: &Context, command: Command) -> Result<ExitCode> {
    match command {
        // These may end with the exit code of a program.
        Command::Container(verb) => return commands::container::do_verb(context, verb),
        Command::Containers(command) => return commands::container::run(context, command),
        Command::Ps(args) => commands::ps::run(context, &args),
        Command::Pull(args) | Command::Image(ImageCommand::Pull(args)) => commands::pull::run(context, &args),
        Command::Push(args) | Command::Image(ImageCommand::Push(args)) => commands::push::run(context, &args),
        Command::Images(args) | Command::Image(ImageCommand::Ls(args)) => commands::images::run(context, &args),
        Command::Search(args) => commands::search::run(context, &args),
        Command::Inspect(args) => commands::inspect::any(context, &args),
        Command::Image(ImageCommand::Inspect(args)) => commands::inspect::images(context, &args),
        Command::History(args) | Command::Image(ImageCommand::History(args)) => commands::history::run(context, &args),
        Command::Tag(args) | Command::Image(ImageCommand::Tag(args)) => commands::tag::run(context, &args),
        Command::Rmi(args) | Command::Image(ImageCommand::Rm(args)) => commands::rmi::run(context, &args),
        Command::Image(ImageCommand::Prune(args)) => commands::prune::run(context, &args),
        Command::Save(args) | Command::Image(ImageCommand::Save(args)) => commands::save::run(context, &args),
        Command::Load(args) | Command::Image(ImageCommand::Load(args)) => commands::load::run(context, &args),
        Command::Import(args) | Command::Image(ImageCommand::Import(args)) => commands::import::run(context, &args),
        Command::Build(args) | Command::Image(ImageCommand::Build(args)) => commands::build::run(context, &args),
        Command::Copy(args) | Command::Image(ImageCommand::Copy(args)) => commands::copy::run(context, &args),
        Command::Pin(args) | Command::Image(ImageCommand::Pin(args)) => commands::pin::run(context, &args, true),
        Command::Unpin(args) | Command::Image(ImageCommand::Unpin(args)) => commands::pin::run(context, &args, false),
        Command::Login(args) => commands::login::run(context, args),
        Command::Logout(args) => commands::login::logout(context, &args),
        Command::Serve(args) => commands::serve::run(context, &args),
        Command::Plugin(command) => commands::plugin::run(context, &command),
        Command::Completion(args) => commands::completion::run(context, &args),
        Command::Builder(command) => commands::builder::run(context, &command),
        Command::System(command) => commands::system::run(context, &command),
    }
    .map(|()| ExitCode::SUCCESS)
}
