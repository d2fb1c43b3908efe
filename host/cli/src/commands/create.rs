use std::path::PathBuf;

use anyhow::Result;
use nacre_oci::Platform;

use crate::{containers, context::Context};

/// Make a container of an image, without starting it
#[derive(clap::Args)]
#[command(disable_help_flag = true, override_usage = "nacre create [OPTIONS] IMAGE [COMMAND] [ARG]...")]
pub(crate) struct Args {
    #[command(flatten)]
    pub wishes: Wishes,
}

/// What `create` and `run` make containers by.
#[derive(clap::Args)]
pub(crate) struct Wishes {
    /// The image, then the program and its arguments instead of the image's own
    #[arg(required = true, trailing_var_arg = true, value_name = "IMAGE")]
    pub words: Vec<String>,
    /// Print help
    #[arg(long, action = clap::ArgAction::HelpShort)]
    help: Option<bool>,
    #[command(flatten)]
    pub container: Container,
    #[command(flatten)]
    pub program: Program,
    #[command(flatten)]
    pub files: Files,
    #[command(flatten)]
    pub network: Network,
    #[command(flatten)]
    pub image: Image,
}

/// The container itself.
#[derive(clap::Args)]
pub(crate) struct Container {
    /// Its name, instead of one that is made up
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Remove it when it ends
    #[arg(long)]
    pub rm: bool,
    /// Keep standard input open
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the program a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// A label; repeat for more
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    pub label: Vec<String>,
    /// A file of labels, one a line
    #[arg(long, value_name = "FILE")]
    pub label_file: Vec<String>,
    /// Write the container's id to this file, which must not be there
    #[arg(long, value_name = "FILE")]
    pub cidfile: Option<PathBuf>,
}

/// How the program runs.
#[derive(clap::Args)]
#[command(next_help_heading = "The program")]
pub(crate) struct Program {
    /// A variable; without a value the caller's
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// A file of variables, one a line
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<String>,
    /// The program, instead of the image's entrypoint; "" for none
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<String>,
    /// Its working folder
    #[arg(short, long, value_name = "FOLDER")]
    pub workdir: Option<String>,
    /// Whose it is
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// A limit, such as nofile=1024:2048
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    pub ulimit: Vec<String>,
    /// The signal that stops it
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<String>,
    /// Seconds from that signal to SIGKILL; -1 for ever
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub stop_timeout: Option<i64>,
}

/// The files it sees.
#[derive(clap::Args)]
#[command(next_help_heading = "Files")]
pub(crate) struct Files {
    /// A file or folder of the host's; a path alone is a folder of the container's own
    #[arg(short, long, value_name = "[SOURCE:]PATH[:ro]")]
    pub volume: Vec<String>,
    /// type=bind,source=PATH,target=PATH[,readonly] or type=tmpfs,target=PATH[,tmpfs-size=SIZE]
    #[arg(long, value_name = "FIELDS")]
    pub mount: Vec<String>,
    /// A file system in memory
    #[arg(long, value_name = "PATH[:OPTIONS]")]
    pub tmpfs: Vec<String>,
    /// Nothing of the image's can be written
    #[arg(long)]
    pub read_only: bool,
    /// The size of /dev/shm, such as 128m
    #[arg(long, value_name = "SIZE")]
    pub shm_size: Option<String>,
}

/// Its network.
#[derive(clap::Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct Network {
    /// host or none
    #[arg(long, alias = "net", value_name = "NETWORK", default_value = "host")]
    pub network: String,
    /// The host's name as the program sees it
    #[arg(short = 'h', long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// A line for /etc/hosts
    #[arg(long, value_name = "NAME:ADDRESS")]
    pub add_host: Vec<String>,
}

/// Its image.
#[derive(clap::Args)]
#[command(next_help_heading = "The image")]
pub(crate) struct Image {
    /// The image of this platform
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<Platform>,
    /// When to fetch it
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Pull::Missing)]
    pub pull: Pull,
    /// Show no progress of that
    #[arg(short, long)]
    pub quiet: bool,
}

/// `--pull`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Pull {
    /// Always.
    Always,
    /// If it is not here.
    Missing,
    /// Never.
    Never,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let engine = containers::engine(context)?;
    context.print(&containers::create(context, &engine, &args.wishes, false)?.id)
}
