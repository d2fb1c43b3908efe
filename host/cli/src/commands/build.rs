use std::path::PathBuf;

use anyhow::Result;
use nacre_oci::Platform;

use crate::{building, context::Context};

/// Build an image from a file such as a Dockerfile, without a daemon
///
/// The file's first lines can name another frontend than the bundled one: # syntax=PLUGIN. Programs run with runc, crun or
/// youki; a file without RUN needs none of them.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder with the files of the build; a git or http URL; or - for a Dockerfile or a tar archive on standard input
    pub context: String,
    /// The file that says how to build [default: CONTEXT/Dockerfile]; - for standard input
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<String>,
    /// A name for the image; repeat for more
    #[arg(short, long, value_name = "NAME[:TAG]")]
    pub tag: Vec<String>,
    #[command(flatten)]
    pub wishes: Wishes,
    #[command(flatten)]
    pub cache: Cache,
    #[command(flatten)]
    pub programs: Programs,
    #[command(flatten)]
    pub results: Results,
    #[command(flatten)]
    pub ignored: Ignored,
}

/// What scripts from before BuildKit say, and what it takes no notice of either: there are no containers between the steps.
#[derive(clap::Args)]
pub(crate) struct Ignored {
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    rm: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    force_rm: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    compress: Option<bool>,
}

/// What the image shall be.
#[derive(clap::Args)]
#[command(next_help_heading = "What to build")]
pub(crate) struct Wishes {
    /// The stage to build, instead of the last one
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// A value for the file's ARG; without one the environment's
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub build_arg: Vec<String>,
    /// A further input: a folder, a git or http URL, docker-image://IMAGE or oci-layout://FOLDER[:TAG|@DIGEST]
    #[arg(long, value_name = "NAME=WHERE")]
    pub build_context: Vec<String>,
    /// What to build for, instead of this machine; repeat for more
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_delimiter = ',', value_parser = platform)]
    pub platform: Vec<Platform>,
    /// A label of the image
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// An annotation of the image's manifest, or with a prefix of its index: [manifest|index|manifest-descriptor:]KEY=VALUE
    #[arg(long, value_name = "KEY=VALUE")]
    pub annotation: Vec<String>,
    /// The frontend, instead of the one that the file names
    #[arg(long, value_name = "NAME")]
    pub frontend: Option<String>,
    /// An option of the frontend
    #[arg(long, value_name = "KEY=VALUE")]
    pub opt: Vec<String>,
    /// Only look for mistakes in the file
    #[arg(long)]
    pub check: bool,
    /// What to do with the file, as in Docker
    #[arg(long, value_name = "METHOD", value_enum, hide = true)]
    pub call: Option<Call>,
    /// Print the graph of the build, and do not build
    #[arg(long, value_name = "HOW", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "json")]
    pub print_graph: Option<Graph>,
}

/// `--call`. Docker's others list what a file takes.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Call {
    /// Build it.
    Build,
    /// Only look for mistakes, as `--check`.
    Check,
}

/// `--print-graph`.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Graph {
    /// As JSON.
    Json,
    /// For Graphviz.
    Dot,
}

/// A platform, or buildx's word for this machine's.
fn platform(text: &str) -> nacre_oci::Result<Platform> {
    if text == "local" { Ok(Platform::host()) } else { text.parse() }
}

/// What is not done again.
#[derive(clap::Args)]
#[command(next_help_heading = "Cache")]
pub(crate) struct Cache {
    /// Do everything again
    #[arg(long)]
    pub no_cache: bool,
    /// Do these stages again
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub no_cache_filter: Vec<String>,
    /// Look for newer base images in their registries
    #[arg(long)]
    pub pull: bool,
    /// Use another build's cache: type=local,src=FOLDER or type=registry,ref=NAME
    #[arg(long, value_name = "SPEC")]
    pub cache_from: Vec<String>,
    /// Keep this build's cache for others: type=local,dest=FOLDER or type=registry,ref=NAME
    #[arg(long, value_name = "SPEC")]
    pub cache_to: Vec<String>,
}

/// What programs of the build get.
#[derive(clap::Args)]
#[command(next_help_heading = "Programs of the build")]
pub(crate) struct Programs {
    /// A secret for RUN --mount=type=secret: id=ID[,src=FILE|,env=NAME]; it reaches no layer
    #[arg(long, value_name = "SPEC")]
    pub secret: Vec<String>,
    /// An ssh agent for RUN --mount=type=ssh: default, ID=SOCKET, or ID=KEY for one that has the key of a file
    #[arg(long, value_name = "ID[=SOCKET|KEY[,KEY…]]")]
    pub ssh: Vec<String>,
    /// The network of a RUN that asks for none
    #[arg(long, value_name = "MODE", value_enum, default_value_t = Network::Default)]
    pub network: Network,
    /// A line for /etc/hosts
    #[arg(long, value_name = "HOST:IP")]
    pub add_host: Vec<String>,
    /// The size of /dev/shm, such as 128m
    #[arg(long, value_name = "SIZE")]
    pub shm_size: Option<String>,
    /// A limit, such as nofile=1024:2048
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    pub ulimit: Vec<String>,
    /// Something that is not allowed otherwise: network.host
    #[arg(long, value_name = "WHAT")]
    pub allow: Vec<String>,
}

/// `--network`.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Network {
    /// What the sandbox has.
    Default,
    /// None.
    None,
    /// The host's.
    Host,
}

/// What becomes of the image.
#[derive(clap::Args)]
#[command(next_help_heading = "Results")]
pub(crate) struct Results {
    /// Where the result goes, instead of the store: type=oci|docker|tar|local,dest=PATH, type=image|registry,name=NAME,
    /// type=cacheonly, a folder, or - for a tar archive; with compression=gzip|zstd, rewrite-timestamp=true and platform-split=false if wanted
    #[arg(short, long, value_name = "SPEC")]
    pub output: Vec<String>,
    /// Send the image to its registries too
    #[arg(long)]
    pub push: bool,
    /// Keep the image in the store, as is done without any output
    #[arg(long)]
    pub load: bool,
    /// Write the image's id to a file
    #[arg(long, value_name = "FILE")]
    pub iidfile: Option<PathBuf>,
    /// Write what was built to a file, as JSON
    #[arg(long, value_name = "FILE")]
    pub metadata_file: Option<PathBuf>,
    /// Say in an attestation how the image was made: true, mode=min or mode=max
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub provenance: Option<String>,
    /// Print only the image's id
    #[arg(short, long)]
    pub quiet: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    building::build(context, args)
}
