//! Images from registries: what `pull` does, and `run` and `create` where an image is missing.

use anyhow::{Result, bail};
use nacre_oci::{Descriptor, Platform, Reference, Select, Source, platform_of};
use nacre_plugin::Operation;
use nacre_store::Acquired;

use crate::{
    admission::admit,
    context::Context,
    failure::warn,
    output::progress::Action,
    pace::Pace,
    transfer::{Platforms, into_store, kept_name},
};

/// An image that was fetched.
pub(crate) struct Fetched {
    root: Descriptor,
    /// Whether anything of it was missing.
    moved: bool,
}

impl Fetched {
    /// Docker's two lines about it.
    pub(crate) fn summary(&self, reference: &Reference) -> String {
        let status = if self.moved { "Downloaded newer image for" } else { "Image is up to date for" };
        format!("Digest: {}\nStatus: {status} {}", self.root.digest, reference.familiar())
    }
}

/// Fetches an image into the store, unless a rule denies it, and gives it its name there.
pub(crate) fn fetch(context: &Context, reference: &Reference, platforms: &Platforms, pace: &Pace, quiet: bool) -> Result<Fetched> {
    let (store, repository) = (context.store()?, context.client()?.repository(reference));
    let root = repository.resolve(&reference.selector())?;
    let (given, host) = (&platforms.platform, vec![Platform::host()]);
    if let [first, ..] = &given[..]
        && let Some(own) = other_platform(&repository, &root, given)?
    {
        bail!("no manifest for {first} in {}; it has {own}", reference.familiar());
    }
    let select = platforms.select(Select::Platforms(host.clone()));
    admit(context, Operation::Pull, std::slice::from_ref(reference), &repository, &root, &select)?;
    let progress = context.progress(Action::Pull, quiet);
    let arrived = into_store(&store, &repository, &root, &[kept_name(reference)], Acquired::Pulled, &pace.options(select, &*progress))?;
    drop(progress);
    if given.is_empty()
        && !platforms.all_platforms
        && let Some(own) = other_platform(&store, &root, &host)?
    {
        warn(&format!("the image is for {own}, not for {}", host[0]));
    }
    Ok(Fetched { root, moved: arrived.copied.moved > 0 })
}

/// What a single image is for, if it is for none of the `wanted` platforms; an index has its own way to say so.
fn other_platform(from: &dyn Source, root: &Descriptor, wanted: &[Platform]) -> Result<Option<Platform>> {
    let own = platform_of(from, root)?;
    Ok(own.filter(|own| !wanted.iter().any(|platform| platform.rank(own).is_some())))
}
