use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Context as _, Result, bail};

use crate::{context::Context, failure::warn};

/// Log in to a registry
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The registry's host; Docker Hub if there is none
    #[arg(default_value = "docker.io")]
    server: String,
    /// The account
    #[arg(short, long)]
    username: Option<String>,
    /// The password; others on this machine can see it in the list of processes
    #[arg(short, long, conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    password_stdin: bool,
}

/// Forget a registry's credentials
#[derive(clap::Args)]
pub(crate) struct LogoutArgs {
    /// The registry's host; Docker Hub if there is none
    #[arg(default_value = "docker.io")]
    server: String,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<()> {
    let server = host(&args.server);
    let user = args.username.map_or_else(|| prompt("Username: "), Ok)?;
    let password = match args.password {
        Some(password) => {
            warn("a password on the command line is seen by others on this machine: use --password-stdin");
            password
        }
        None if args.password_stdin => first_line()?,
        None if !io::stdin().is_terminal() => bail!("there is no terminal to ask for the password on: use --password-stdin"),
        None => rpassword::prompt_password("Password: ").context("cannot read the password")?,
    };
    if user.is_empty() || password.is_empty() {
        bail!("a user name and a password are needed");
    }
    let place = context.client()?.login(server, &user, &password)?;
    context.print(&format!("Login Succeeded ({place})"))
}

pub(crate) fn logout(context: &Context, args: &LogoutArgs) -> Result<()> {
    let server = host(&args.server);
    if !context.client()?.logout(server)? {
        warn(&format!("not logged in to {server}"));
        return Ok(());
    }
    context.print(&format!("Removing login credentials for {server}"))
}

/// Docker's users write `https://HOST/v1/` too.
fn host(server: &str) -> &str {
    let server = server.split_once("://").map_or(server, |(_, rest)| rest);
    let server = server.split('/').next().unwrap_or(server);
    if matches!(server, "index.docker.io" | "registry-1.docker.io") { nacre_oci::DEFAULT_REGISTRY } else { server }
}

fn prompt(text: &str) -> Result<String> {
    if !io::stdin().is_terminal() {
        bail!("there is no terminal to ask for the user name on: use --username");
    }
    io::stderr().write_all(text.as_bytes())?;
    first_line()
}

fn first_line() -> Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("cannot read standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
