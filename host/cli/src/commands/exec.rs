use std::process::ExitCode;

use anyhow::Result;
use nacre_runtime::Exec;

use crate::{
    attached::{self, Client, DETACH_KEYS, Keys, Side},
    containers,
    context::Context,
};

/// Run another program in a running container
///
/// The exit code is the program's, or 126 if it cannot be run, 127 if it is not there.
#[derive(clap::Args)]
#[command(override_usage = "nacre exec [OPTIONS] CONTAINER COMMAND [ARG]...")]
pub(crate) struct Args {
    /// The container's name or id, then the program and its arguments
    #[arg(required = true, num_args = 2.., trailing_var_arg = true, value_names = ["CONTAINER", "COMMAND"])]
    words: Vec<String>,
    /// Send it standard input
    #[arg(short, long)]
    interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    /// Let it run in the background
    #[arg(short, long)]
    detach: bool,
    /// A variable; without a value the caller's
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// A file of variables, one a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<String>,
    /// Its working folder, instead of the container's
    #[arg(short, long, value_name = "FOLDER")]
    workdir: Option<String>,
    /// Whose it is, instead of the container's user
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// The keys that leave it alone
    #[arg(long, value_name = "KEYS", default_value = DETACH_KEYS)]
    detach_keys: Keys,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode> {
    if !args.detach {
        attached::check(args.tty, args.interactive)?;
    }
    let side = Side { tty: args.tty, stdin: args.interactive, signals: true, keys: args.detach_keys.clone() };
    let client = if args.detach { None } else { Some(Client::new(side)?) };
    let exec = Exec {
        args: args.words[1..].to_vec(),
        env: variables(&containers::env(&args.env_file, &args.env)?),
        cwd: args.workdir.clone(),
        user: args.user.clone(),
        tty: args.tty,
        stdin: args.interactive && !args.detach,
        detach: args.detach,
        size: client.as_ref().and_then(Client::size),
    };
    containers::exec(context, &containers::engine(context)?, &args.words[0], &exec, client)
}

/// A name that the caller has no value for says nothing.
fn variables(env: &[String]) -> Vec<(String, String)> {
    env.iter().filter_map(|text| text.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
