use anyhow::{Result, bail};
use nacre_oci::{Descriptor, Document, Error, Platform, Reference, Select, copy, pick_platform, plan, platform_of, read_document};
use nacre_plugin::Operation;
use nacre_store::{Found, Store};

use crate::{
    admission::admit,
    context::Context,
    failure::warn,
    output::progress::Action,
    transfer::{Platforms, new_name, options},
};

/// Send an image to a registry
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The image, by the name that it has in the registry
    image: String,
    /// Every tag of the repository that is here
    #[arg(short, long)]
    all_tags: bool,
    #[command(flatten)]
    platforms: Platforms,
    /// Print only the names of what was pushed
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let (store, reference) = (context.store()?, args.image.parse::<Reference>()?);
    if !args.all_tags {
        return push(context, args, &store, &new_name(&args.image)?);
    }
    if reference.tag().is_some() {
        bail!("a tag can't be used with --all-tags/-a");
    }
    let tags = store.tags(&reference.name())?;
    if tags.is_empty() {
        bail!("no image of {} is here", reference.familiar_name());
    }
    tags.iter().try_for_each(|tag| push(context, args, &store, &reference.with_tag(tag)?))
}

fn push(context: &Context, args: &Args, store: &Store, reference: &Reference) -> Result<()> {
    let found = store.find(&reference.familiar())?;
    let root = pushable(store, &found, &args.platforms)?;
    admit(context, Operation::Push, std::slice::from_ref(reference), store, &root, &Select::All)?;
    let repository = context.client()?.repository(reference);
    let progress = context.progress(Action::Push, args.quiet);
    let tag = reference.selector();
    copy(store, &repository, &root, std::slice::from_ref(&tag), &options(Select::All, &*progress))?;
    drop(progress);
    store.touch(std::slice::from_ref(&found.image.id))?;
    store.add_origin(&reference.without_tag(), &found.image.id)?;
    if args.quiet {
        return context.print(&reference.to_string());
    }
    context.print(&format!("{tag}: digest: {} size: {}", root.digest, root.size))
}

/// The whole image, or where not all of it is here or one platform was asked for, that platform's manifest: registries
/// take no index with holes (Docker does the same).
fn pushable(store: &Store, found: &Found, platforms: &Platforms) -> Result<Descriptor> {
    let root = &found.image.descriptor;
    let (_, document) = read_document(store, root)?;
    let Document::Index(index) = document else { return Ok(root.clone()) };
    // Attestations count: the registry asks for them too.
    let complete = match plan(store, root, &Select::All) {
        Err(Error::NotFound { .. }) => false,
        other => other.map(|_| true)?,
    };
    if platforms.all_platforms && !complete {
        bail!("not all of {} is here: pull it with --all-platforms first", found.image.id.short());
    }
    let here: Vec<Descriptor> = index.manifests.iter().filter(|child| is_here(store, child)).cloned().collect();
    let child = match (&platforms.platform[..], &here[..]) {
        ([], _) if complete => return Ok(root.clone()),
        ([], [only]) => only,
        ([], _) => pick_platform(store, root, &here, &Platform::host())?,
        ([one], _) => {
            let child = pick_platform(store, root, &index.manifests, one)?;
            if !here.contains(child) {
                bail!("{one} of {} is not here: pull it with --platform {one} first", found.image.id.short());
            }
            child
        }
        _ => bail!("push one platform at a time, or all of them"),
    };
    if platforms.platform.is_empty() {
        let platform = platform_of(store, child)?.map(|platform| format!(" for {platform}")).unwrap_or_default();
        warn(&format!("only a part of the index is here: pushing its image{platform} alone (pull with --all-platforms for the whole)"));
    }
    Ok(Descriptor { platform: None, ..child.clone() })
}

fn is_here(store: &Store, child: &Descriptor) -> bool {
    child.is_document() && !child.is_attestation() && read_document(store, child).is_ok()
}
