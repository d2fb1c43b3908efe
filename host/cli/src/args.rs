//! The command line: the verbs, as `nacre VERB` and `nacre image VERB`.

use clap::{Parser, Subcommand};

use crate::{commands, global::Global};

/// An image toolkit: finds, fetches, keeps, lists, inspects, prunes and publishes OCI and Docker images, without a daemon.
#[derive(Parser)]
#[command(name = "nacre", version, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Container(commands::container::Verb),
    Ps(commands::ps::Args),
    /// Manage containers
    #[command(subcommand, name = "container", arg_required_else_help = true)]
    Containers(commands::container::Command),
    Pull(commands::pull::Args),
    Push(commands::push::Args),
    Images(commands::images::Args),
    Search(commands::search::Args),
    Inspect(commands::inspect::Any),
    History(commands::history::Args),
    Tag(commands::tag::Args),
    Rmi(commands::rmi::Args),
    Save(commands::save::Args),
    Load(commands::load::Args),
    Import(commands::import::Args),
    Build(Box<commands::build::Args>),
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
    /// Install, see and check plugins
    #[command(subcommand, arg_required_else_help = true)]
    Plugin(commands::plugin::Command),
    Completion(commands::completion::Args),
    /// Manage what builds have cached
    #[command(subcommand, arg_required_else_help = true, alias = "buildx")]
    Builder(commands::builder::Command),
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
    Import(commands::import::Args),
    Build(Box<commands::build::Args>),
    Copy(commands::copy::Args),
    /// Protect images from rmi and prune
    Pin(commands::pin::Args),
    /// End the protection of images
    Unpin(commands::pin::Args),
}
