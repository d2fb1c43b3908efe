use anyhow::{Result, bail};
use nacre_oci::Reference;

use crate::{context::Context, fetching::fetch, pace::Pace, transfer::Platforms};

/// Fetch an image from a registry
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The image; tag `latest` if it names none
    image: String,
    /// Every tag of the repository
    #[arg(short, long)]
    all_tags: bool,
    #[command(flatten)]
    platforms: Platforms,
    #[command(flatten)]
    pace: Pace,
    /// Print only the names of what was pulled
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let reference: Reference = args.image.parse()?;
    if args.all_tags && (reference.tag().is_some() || reference.digest().is_some()) {
        bail!("a tag or digest can't be used with --all-tags/-a");
    }
    args.pace.begin(context, &format!("pull of {}", args.image))?;
    for reference in if args.all_tags { all_tags(context, &reference)? } else { vec![reference.or_latest()] } {
        pull(context, args, &reference)?;
    }
    Ok(())
}

fn all_tags(context: &Context, reference: &Reference) -> Result<Vec<Reference>> {
    let tags = context.client()?.repository(reference).tags(usize::MAX)?;
    tags.iter().map(|tag| Ok(reference.with_tag(tag)?)).collect()
}

fn pull(context: &Context, args: &Args, reference: &Reference) -> Result<()> {
    let fetched = fetch(context, reference, &args.platforms, &args.pace, args.quiet)?;
    if !args.quiet {
        context.print(&fetched.summary(reference))?;
    }
    context.print(&reference.to_string())
}
