//! The options that every command takes.

use std::path::PathBuf;

use clap::Args;

use crate::output::progress::Mode;

/// What every command takes.
#[derive(Args, Clone)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The folder that holds everything nacre keeps [env: NACRE_ROOT]
    #[arg(long, value_name = "FOLDER", global = true)]
    pub root: Option<PathBuf>,
    /// The folder to install plugins in and look for them, instead of the user's [env: NACRE_PLUGINS]
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
    /// Leave each call of a search filter, prune policy, admission rule or frontend in this folder, as a case for plugin test
    #[arg(long, value_name = "FOLDER", global = true, hide = true)]
    pub record: Option<PathBuf>,
}
