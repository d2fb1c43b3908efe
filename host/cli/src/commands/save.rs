use std::{
    io::{self, BufWriter, IsTerminal, Write},
    path::PathBuf,
};

use anyhow::{Result, bail};
use nacre_archive::{AtomicFile, write_docker_archive};
use nacre_oci::{Descriptor, Reference, Select};
use nacre_store::{By, Store};

use crate::{context::Context, output::progress::Action, transfer::Platforms};

/// Write images to an archive that Docker, Podman and skopeo read
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names, digests or ids; a name without a tag saves all its tags
    #[arg(required = true)]
    images: Vec<String>,
    /// The file, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    platforms: Platforms,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let store = context.store()?;
    let images = chosen(&store, &args.images)?;
    let select = args.platforms.select(Select::Present);
    let progress = context.progress(Action::Save, args.output.is_none());
    match &args.output {
        Some(path) => write_docker_archive(&store, &images, &select, &*progress, AtomicFile::create(path)?)?.commit()?,
        None if io::stdout().is_terminal() => bail!("an archive is not for a terminal: use -o FILE or redirect standard output"),
        None => write_docker_archive(&store, &images, &select, &*progress, BufWriter::with_capacity(1 << 20, io::stdout()))?.flush()?,
    }
    let used: Vec<_> = images.into_iter().map(|(root, _)| root.digest).collect();
    Ok(store.touch(&used)?)
}

/// Each image with the names that it shall have in the archive; by id or digest it has none.
fn chosen(store: &Store, names: &[String]) -> Result<Vec<(Descriptor, Vec<Reference>)>> {
    let mut images: Vec<(Descriptor, Vec<Reference>)> = Vec::new();
    let mut add = |root: Descriptor, name: Option<Reference>| match images.iter_mut().find(|(held, _)| held.digest == root.digest) {
        Some((_, names)) => names.extend(name),
        None => images.push((root, name.into_iter().collect())),
    };
    for text in names {
        let tags = text.parse::<Reference>().ok().filter(|name| name.tag().is_none() && name.digest().is_none());
        let tags = tags.map(|name| Ok::<_, nacre_oci::Error>((store.tags(&name.name())?, name))).transpose()?;
        match tags {
            Some((tags, name)) if !tags.is_empty() => {
                for tag in tags {
                    let tagged = name.with_tag(&tag)?;
                    add(store.find(&tagged.to_string())?.image.descriptor, Some(tagged));
                }
            }
            _ => {
                let found = store.find(text)?;
                let name = if let By::Name(name) = found.by { Some(name).filter(|name| name.tag().is_some()) } else { None };
                add(found.image.descriptor, name);
            }
        }
    }
    Ok(images)
}
