use anyhow::Result;
use nacre_container::CommitOptions;

use crate::{containers::engine, context::Context, failure::warn, paths, transfer::new_name};

/// Make an image of what a container has changed
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The container's name or id
    container: String,
    /// The image's name; tag `latest` if it has none. Without a name the image is kept, dangling
    name: Option<String>,
    /// Who made it, instead of the author of the image below
    #[arg(short, long, value_name = "WHO")]
    author: Option<String>,
    /// CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME or WORKDIR, as in a Dockerfile
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// The comment in the history
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Let the container run on meanwhile
    #[arg(long)]
    no_pause: bool,
    /// Pause the container meanwhile, as is done anyway; false for --no-pause
    #[arg(short, long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          action = clap::ArgAction::Set, hide = true)]
    pause: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let options = CommitOptions {
        author: args.author.clone(),
        changes: args.change.clone(),
        message: args.message.clone(),
        pause: args.pause && !args.no_pause,
        name: args.name.as_deref().map(new_name).transpose()?,
        created: paths::source_date()?.unwrap_or_else(jiff::Timestamp::now),
        ..CommitOptions::default()
    };
    let committed = engine(context)?.commit(&args.container, &options)?;
    committed.warnings.iter().for_each(|warning| warn(warning));
    context.print(&committed.image.to_string())
}
