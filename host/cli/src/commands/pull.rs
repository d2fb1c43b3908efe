use anyhow::{Result, bail};
use nacre_oci::{Platform, Reference, Select, Source};
use nacre_store::Acquired;

use crate::{
    context::Context,
    failure::warn,
    output::progress::Action,
    transfer::{Platforms, into_store, kept_name, options},
};

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
    /// Print only the names of what was pulled
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let reference: Reference = args.image.parse()?;
    if args.all_tags && (reference.tag().is_some() || reference.digest().is_some()) {
        bail!("a tag or digest can't be used with --all-tags/-a");
    }
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
    let (store, repository) = (context.store()?, context.client()?.repository(reference));
    let root = repository.resolve(&reference.selector())?;
    let select = args.platforms.select(Select::Platforms(vec![Platform::host()]));
    let progress = context.progress(Action::Pull, args.quiet);
    let arrived = into_store(&store, &repository, &root, &[kept_name(reference)], Acquired::Pulled, &options(select, &*progress))?;
    drop(progress);
    check_platform(context, args, &root)?;
    if !args.quiet {
        let status = if arrived.copied.moved == 0 { "Image is up to date for" } else { "Downloaded newer image for" };
        context.print(&format!("Digest: {}\nStatus: {status} {}", root.digest, reference.familiar()))?;
    }
    context.print(&reference.to_string())
}

/// A single image is what it is: say so where it is not what was asked for, or will not run here.
fn check_platform(context: &Context, args: &Args, root: &nacre_oci::Descriptor) -> Result<()> {
    if nacre_oci::media_type::is_index(&root.media_type) || args.platforms.all_platforms {
        return Ok(());
    }
    let Some(own) = nacre_oci::platform_of(&context.store()?, root)? else { return Ok(()) };
    let wanted = if args.platforms.platform.is_empty() { vec![Platform::host()] } else { args.platforms.platform.clone() };
    if !wanted.iter().any(|platform| platform.rank(&own).is_some()) {
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        warn(&format!("the image is for {own} and has nothing for {}", wanted.join(", ")));
    }
    Ok(())
}
