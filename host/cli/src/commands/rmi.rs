use anyhow::Result;
use nacre_oci::Error;
use nacre_store::{Removed, Store};

use crate::{
    admission::Admission,
    context::Context,
    failure::{Shown, warn},
};

/// Remove images, or one of their names
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names, digests or ids
    #[arg(required = true)]
    images: Vec<String>,
    /// Remove an image with all its names; take a missing one as removed
    #[arg(short, long)]
    force: bool,
    /// Accepted for Docker's sake: nacre never deletes an image's untagged parents
    #[arg(long)]
    no_prune: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let (store, admission) = (context.store()?, Admission::new(context)?);
    let mut failed = false;
    for name in &args.images {
        match remove(&store, &admission, name, args.force) {
            Ok(removed) => {
                removed.untagged.iter().try_for_each(|name| context.print(&format!("Untagged: {}", name.familiar())))?;
                removed.deleted.iter().try_for_each(|digest| context.print(&format!("Deleted: {digest}")))?;
            }
            Err(error) => {
                failed |= !(args.force && matches!(error, Error::NotFound { .. }));
                warn(&error.to_string());
            }
        }
    }
    if failed { Err(Shown.into()) } else { Ok(()) }
}

/// What [`Store::remove`] removes, unless a rule denies it.
pub(crate) fn remove(store: &Store, admission: &Admission<'_>, name: &str, force: bool) -> Result<Removed, Error> {
    if admission.applies() {
        let (image, what) = store.removal(name, force)?;
        if let Some(denial) = admission.removal(store, &image, &what.untag) {
            return Err(Error::Other(format!("removing {name} is {denial}").into()));
        }
    }
    store.remove(name, force)
}
