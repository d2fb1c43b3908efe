//! The command line: global options and the verbs, as `nacre VERB` and `nacre image VERB`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{commands, output::progress::Mode};

/// An image toolkit: finds, fetches, keeps, lists, inspects, prunes and publishes OCI and Docker images, without a daemon.
#[derive(Parser)]
#[command(name = "nacre", version, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The folder that holds everything nacre keeps [env: NACRE_ROOT]
    #[arg(long, value_name = "FOLDER", global = true)]
    pub root: Option<PathBuf>,
    /// The folder to look for plugins in, instead of the user's and the system's [env: NACRE_PLUGINS]
    #[arg(long, value_name = "FOLDER", global = true)]
    pub plugins: Option<PathBuf>,
    /// The configuration file, instead of the user's [env: NACRE_CONFIG]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// How to show what goes on
    #[arg(long, value_name = "MODE", value_enum, default_value_t = Mode::Auto, global = true)]
    pub progress: Mode,
    /// A registry that may speak plain HTTP or have a certificate nobody vouches for
    #[arg(long, value_name = "HOST", global = true)]
    pub insecure_registry: Vec<String>,
    /// Show the whole chain of an error, and what plugins log
    #[arg(long, global = true)]
    pub debug: bool,
}

/// The verbs.
#[derive(Subcommand)]
pub(crate) enum Command {
    Pull(commands::pull::Args),
    Push(commands::push::Args),
    Images(commands::images::Args),
    Search(commands::search::Args),
    Inspect(commands::inspect::Args),
    History(commands::history::Args),
    Tag(commands::tag::Args),
    Rmi(commands::rmi::Args),
    Save(commands::save::Args),
    Load(commands::load::Args),
    Copy(commands::copy::Args),
    /// Protect images from rmi and prune
    Pin(commands::pin::Args),
    /// End the protection of images
    Unpin(commands::pin::Args),
    Login(commands::login::Args),
    Logout(commands::login::LogoutArgs),
    Serve(commands::serve::Args),
    /// Manage images
    #[command(subcommand, arg_required_else_help = true)]
    Image(ImageCommand),
    /// See the plugins
    #[command(subcommand, arg_required_else_help = true)]
    Plugin(commands::plugin::Command),
    /// See the store
    #[command(subcommand, arg_required_else_help = true)]
    System(commands::system::Command),
}

/// `nacre image VERB`.
#[derive(Subcommand)]
pub(crate) enum ImageCommand {
    Pull(commands::pull::Args),
    Push(commands::push::Args),
    #[command(alias = "list")]
    Ls(commands::images::Args),
    Inspect(commands::inspect::Args),
    History(commands::history::Args),
    Tag(commands::tag::Args),
    #[command(alias = "remove")]
    Rm(commands::rmi::Args),
    Prune(commands::prune::Args),
    Save(commands::save::Args),
    Load(commands::load::Args),
    Copy(commands::copy::Args),
    /// Protect images from rmi and prune
    Pin(commands::pin::Args),
    /// End the protection of images
    Unpin(commands::pin::Args),
}
