use anyhow::{Result, anyhow, bail};
use nacre_oci::{Reference, Select};
use nacre_store::{Acquired, Lacking, Store};

use crate::{
    context::Context,
    output::progress::Action,
    transfer::{into_store, options},
};

/// Mend what system check --deep finds
///
/// Damaged content is set aside in the store's folder `damaged` and fetched again from where its image came from; metadata that is
/// damaged or missing is set aside as `meta.db.damaged-TIME` and rebuilt. What nothing needs any more is deleted. No image is removed.
#[derive(clap::Args)]
pub(crate) struct Repair {
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn repair(context: &Context, args: &Repair) -> Result<()> {
    let (store, rebuilt) = Store::open_or_rebuild(&context.paths.root, args.dry_run)?;
    let repair = store.repair(args.dry_run)?;
    rebuilt.iter().chain(&repair.done).try_for_each(|line| context.print(line))?;
    let mut left = 0;
    for lacking in &repair.lacking {
        let missing: Vec<String> = lacking.missing.iter().map(ToString::to_string).collect();
        context.print(&format!("image {}: {} is missing", name(lacking), missing.join(", ")))?;
        match if args.dry_run { origin(lacking).map(|_| ()) } else { fetch_again(context, &store, lacking) } {
            Ok(()) => {
                context.print(&format!("image {}: {}", name(lacking), if args.dry_run { "to be fetched again" } else { "whole again" }))?
            }
            Err(error) => {
                context.print(&format!("image {}: cannot be fetched again: {error:#}", name(lacking)))?;
                left += 1;
            }
        }
    }
    match left {
        0 if rebuilt.is_empty() && repair.done.is_empty() && repair.lacking.is_empty() => context.print("nothing to mend"),
        0 => Ok(()),
        left => bail!("{left} images lack content; pull, load or build them again, or remove them with nacre rmi"),
    }
}

/// What a user calls the image.
fn name(lacking: &Lacking) -> String {
    lacking.image.references.first().map_or_else(|| lacking.image.id.to_string(), Reference::to_string)
}

fn origin(lacking: &Lacking) -> Result<&String> {
    lacking.origins.first().ok_or_else(|| anyhow!("nothing is known of where it came from"))
}

/// From the first of its origins that has it.
fn fetch_again(context: &Context, store: &Store, lacking: &Lacking) -> Result<()> {
    origin(lacking)?;
    let (client, image) = (context.client()?, &lacking.image);
    let mut failed = Ok(());
    for origin in &lacking.origins {
        let repository = client.repository(&origin.parse()?);
        let progress = context.progress(Action::Pull, false);
        let select = if image.platforms.iter().all(|(_, present)| *present) {
            Select::All
        } else {
            Select::Platforms(image.platforms.iter().filter(|(_, present)| *present).map(|(platform, _)| platform.clone()).collect())
        };
        match into_store(store, &repository, &image.descriptor, &[], Acquired::Copied, &options(select, &*progress)) {
            Ok(_) => return Ok(()),
            Err(error) => failed = Err(error),
        }
    }
    failed
}
