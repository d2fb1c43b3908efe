//! What the verbs that move images share: which platforms, and into the store under a name.

use anyhow::{Result, bail};
use nacre_oci::{Copied, Descriptor, Options, Platform, Progress, Reference, Select, Source, copy};
use nacre_store::{Acquired, Store};

use crate::pace::Pace;

/// Which platforms of an image.
#[derive(clap::Args, Clone)]
pub(crate) struct Platforms {
    /// Only this platform; repeat for more
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_delimiter = ',')]
    pub platform: Vec<Platform>,
    /// Every platform that the image has
    #[arg(long, conflicts_with = "platform")]
    pub all_platforms: bool,
}

impl Platforms {
    /// What was asked for, or `default`.
    pub(crate) fn select(&self, default: Select) -> Select {
        match (self.all_platforms, self.platform.is_empty()) {
            (true, _) => Select::All,
            (false, true) => default,
            (false, false) => Select::Platforms(self.platform.clone()),
        }
    }
}

/// How to copy where the user does not say it.
pub(crate) fn options<'a>(select: Select, progress: &'a dyn Progress) -> Options<'a> {
    Pace::default().options(select, progress)
}

/// An image that came into the store.
pub(crate) struct Arrived {
    pub copied: Copied,
    /// Names that stood for another image before.
    pub renamed: Vec<(Reference, nacre_oci::Digest)>,
}

/// Copies the image at `root` into the store and gives it `names`; without any it is kept, dangling.
pub(crate) fn into_store(
    store: &Store,
    from: &dyn Source,
    root: &Descriptor,
    names: &[Reference],
    acquired: Acquired,
    options: &Options<'_>,
) -> Result<Arrived> {
    let session = store.session(acquired)?;
    let copied = copy(from, &session, root, &[], options)?;
    let mut renamed = Vec::new();
    for name in names {
        let before = store.add_tagged(name, &copied.root, acquired)?;
        renamed.extend(before.filter(|id| *id != root.digest).map(|id| (name.clone(), id)));
    }
    if names.is_empty() {
        store.add_image(&copied.root, acquired)?;
    }
    Ok(Arrived { copied, renamed })
}

/// The name an image is kept under: by digest where one is named, as in Docker, else by tag.
pub(crate) fn kept_name(reference: &Reference) -> Reference {
    reference.digest().map_or_else(|| reference.clone().or_latest(), |digest| reference.with_digest(digest.clone()))
}

/// A name to be given: it has to have a tag and no digest.
pub(crate) fn new_name(text: &str) -> Result<Reference> {
    let reference: Reference = text.parse()?;
    if reference.digest().is_some() {
        bail!("'{text}' names a digest: give a name with a tag");
    }
    Ok(reference.or_latest())
}
