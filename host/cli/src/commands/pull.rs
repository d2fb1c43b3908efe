use anyhow::{Result, bail};
use nacre_oci::{Descriptor, Platform, Reference, Select, Source, platform_of};
use nacre_plugin::Operation;
use nacre_store::Acquired;

use crate::{
    admission::admit,
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
    let (given, host) = (&args.platforms.platform, vec![Platform::host()]);
    if let [first, ..] = &given[..]
        && let Some(own) = other_platform(&repository, &root, given)?
    {
        bail!("no manifest for {first} in {}; it has {own}", reference.familiar());
    }
    let select = args.platforms.select(Select::Platforms(host.clone()));
    admit(context, Operation::Pull, std::slice::from_ref(reference), &repository, &root, &select)?;
    let progress = context.progress(Action::Pull, args.quiet);
    let arrived = into_store(&store, &repository, &root, &[kept_name(reference)], Acquired::Pulled, &options(select, &*progress))?;
    drop(progress);
    if given.is_empty()
        && !args.platforms.all_platforms
        && let Some(own) = other_platform(&store, &root, &host)?
    {
        warn(&format!("the image is for {own}, not for {}", host[0]));
    }
    if !args.quiet {
        let status = if arrived.copied.moved == 0 { "Image is up to date for" } else { "Downloaded newer image for" };
        context.print(&format!("Digest: {}\nStatus: {status} {}", root.digest, reference.familiar()))?;
    }
    context.print(&reference.to_string())
}

/// What a single image is for, if it is for none of the `wanted` platforms; an index has its own way to say so.
fn other_platform(from: &dyn Source, root: &Descriptor, wanted: &[Platform]) -> Result<Option<Platform>> {
    let own = platform_of(from, root)?;
    Ok(own.filter(|own| !wanted.iter().any(|platform| platform.rank(own).is_some())))
}
