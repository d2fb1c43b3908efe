use anyhow::{Result, bail};

use crate::{
    containers::files,
    context::Context,
    copying::{self, Place},
};

/// Copy files between a container and the host; `-` is a tar archive on a standard stream
#[derive(clap::Args)]
pub(crate) struct Args {
    /// CONTAINER:PATH, PATH or -
    source: String,
    /// CONTAINER:PATH, PATH or -
    target: String,
    /// Keep owners; what is copied into a container becomes its user's
    #[arg(short, long)]
    archive: bool,
    /// Copy what a symbolic link at the source leads to
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Accepted for Docker's sake: there is no progress to show
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let (follow, owners) = (args.follow_link, args.archive);
    match (Place::of(&args.source), Place::of(&args.target)) {
        (Place::Container(..), Place::Container(..)) => bail!("copying between containers is not supported"),
        (Place::Container(container, path), Place::Stream) => files(context, container, |files| copying::to_stream(files, path, follow)),
        (Place::Container(container, path), Place::Local(to)) => {
            files(context, container, |files| copying::to_host(files, path, follow, to, owners))
        }
        (Place::Stream, Place::Container(container, path)) => files(context, container, |files| copying::from_stream(files, path, owners)),
        (Place::Local(from), Place::Container(container, path)) => {
            files(context, container, |files| copying::to_container(files, from, follow, path, owners))
        }
        _ => bail!("must specify at least one container source: write it as CONTAINER:PATH"),
    }
}
