use std::{num::NonZero, thread};

use anyhow::{Result, bail};
use nacre_build::{Compressed, compress_image};
use nacre_layer::{Compression, Spool};
use nacre_oci::{
    Descriptor, Digest, Document, Error, Options, Platform, Reference, Select, Source, copy, pick_platform, plan, platform_of,
    read_document,
};
use nacre_plugin::Operation;
use nacre_store::{Found, Store};

use crate::{
    admission::admit,
    context::Context,
    failure::warn,
    output::progress::Action,
    pace::Pace,
    transfer::{Platforms, new_name},
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
    /// How layers are sent that lie here uncompressed, as those of builds do; what was pulled is sent as it is
    #[arg(long, value_name = "HOW", value_enum, default_value_t = How::Gzip)]
    compression: How,
    #[command(flatten)]
    pace: Pace,
    /// Print only the names of what was pushed
    #[arg(short, long)]
    quiet: bool,
}

/// `--compression`.
#[derive(Clone, Copy, clap::ValueEnum)]
enum How {
    None,
    Gzip,
    Zstd,
}

impl From<How> for Compression {
    fn from(how: How) -> Self {
        match how {
            How::None => Self::None,
            How::Gzip => Self::Gzip,
            How::Zstd => Self::Zstd,
        }
    }
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let (store, reference) = (context.store()?, args.image.parse::<Reference>()?);
    args.pace.begin(context, &format!("push of {}", args.image))?;
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
    let how = if found.image.built.is_some() { args.compression.into() } else { Compression::None };
    let compressed = compressed(context, store, &root, how)?;
    let progress = context.progress(Action::Push, args.quiet);
    let options = args.pace.options(Select::All, &*progress);
    let sent = send(context, store, &root, compressed.as_ref(), reference, &options)?;
    drop(options);
    drop(progress);
    store.touch(std::slice::from_ref(&found.image.id))?;
    note(store, reference, &found.image.id, &root, compressed.as_ref())?;
    let tag = reference.selector();
    if args.quiet {
        return context.print(&reference.to_string());
    }
    context.print(&format!("{tag}: digest: {} size: {}", sent.digest, sent.size))
}

/// Sends an image, with compressed layers if there are such, to where its name says; returns what was sent.
pub(crate) fn send<'a>(
    context: &Context,
    store: &Store,
    root: &'a Descriptor,
    compressed: Option<&'a Compressed>,
    name: &Reference,
    options: &Options<'_>,
) -> Result<&'a Descriptor> {
    let (from, sent): (&dyn Source, _) = match compressed {
        Some(compressed) => (&compressed.content, &compressed.root.descriptor),
        None => (store, root),
    };
    copy(from, &context.client()?.repository(name), sent, &[name.selector()], options)?;
    Ok(sent)
}

/// Notes what the repository has of the image `id` now that `root`, which is that image or one of its platforms, was sent.
pub(crate) fn note(store: &Store, name: &Reference, id: &Digest, root: &Descriptor, compressed: Option<&Compressed>) -> Result<()> {
    if compressed.is_none() {
        store.add_origin(&name.without_tag(), id)?;
    }
    let sent = compressed.map_or(&root.digest, |compressed| &compressed.root.descriptor.digest);
    Ok(store.add_pushed(name, id, sent)?)
}

/// The image as it is to be sent, if that is not how it lies in the store.
pub(crate) fn compressed(context: &Context, store: &Store, root: &Descriptor, how: Compression) -> Result<Option<Compressed>> {
    let (spool, now) = (Spool::new(&context.temporary()?), jiff::Timestamp::now().as_second());
    let parallel = thread::available_parallelism().map_or(1, NonZero::get);
    Ok(compress_image(store, &spool, root, how, now, parallel)?)
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
