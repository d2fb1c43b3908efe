use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal, Seek, Write},
    path::PathBuf,
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use nacre_archive::{AtomicFile, write_docker_archive, write_oci_archive};
use nacre_layer::Spool;
use nacre_oci::{Descriptor, Progress, Reference, Select};
use nacre_plugin::{ImageView, Kv, Output, Plugin};
use nacre_store::{By, Found, Store};

use crate::{context::Context, output::progress::Action, policy::pair, transfer::Platforms, view::view};

/// Docker's archive, which Podman and skopeo read too.
const DOCKER: &str = "docker-archive";
/// The same as an OCI layout in a tar, with the index that lists the images.
const OCI: &str = "oci-archive";

/// Write images to an archive that Docker, Podman and skopeo read, or one image to a file of another format
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Names, digests or ids; a name without a tag saves all its tags
    #[arg(required = true)]
    images: Vec<String>,
    /// The file, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// docker-archive, oci-archive, or what plugins add: tarball, cpio, squashfs, …
    #[arg(long, value_name = "NAME", default_value = DOCKER)]
    format: String,
    /// An option of a plugin's format; repeat for more
    #[arg(long, value_name = "KEY=VALUE")]
    opt: Vec<String>,
    #[command(flatten)]
    platforms: Platforms,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    if args.output.is_none() && io::stdout().is_terminal() {
        bail!("an archive is not for a terminal: use -o FILE or redirect standard output");
    }
    let opts = args.opt.iter().map(|text| pair(text, "option")).collect::<Result<Vec<_>>>()?;
    match args.format.as_str() {
        DOCKER | OCI => archive(context, args, &opts),
        name => export(context, args, name, &opts),
    }
}

/// Writes the host's own formats.
fn archive(context: &Context, args: &Args, opts: &[Kv]) -> Result<()> {
    if let Some(opt) = opts.first() {
        bail!("unknown option '{}': the format {} has none", opt.key, args.format);
    }
    let store = context.store()?;
    let images = chosen(&store, &args.images)?;
    let progress = context.progress(Action::Save, args.output.is_none());
    match &args.output {
        Some(path) => write(&store, &images, args, &*progress, AtomicFile::create(path)?)?.commit()?,
        None => write(&store, &images, args, &*progress, BufWriter::with_capacity(1 << 20, io::stdout()))?.flush()?,
    }
    let used: Vec<_> = images.into_iter().map(|(root, _)| root.digest).collect();
    Ok(store.touch(&used)?)
}

fn write<W: Write + Send>(
    store: &Store,
    images: &[(Descriptor, Vec<Reference>)],
    args: &Args,
    progress: &dyn Progress,
    out: W,
) -> Result<W> {
    let select = args.platforms.select(Select::Present);
    if args.format == DOCKER {
        return Ok(write_docker_archive(store, images, &select, progress, out)?);
    }
    let named = |(root, names): &(Descriptor, Vec<Reference>)| (root.clone(), names.iter().map(ToString::to_string).collect());
    Ok(write_oci_archive(store, &images.iter().map(named).collect::<Vec<_>>(), &select, progress, out)?)
}

/// Has a plugin write one image for one platform.
fn export(context: &Context, args: &Args, format: &str, opts: &[Kv]) -> Result<()> {
    let plugins = context.plugins()?;
    if !plugins.export_formats().any(|(_, name)| name == format) {
        let mut known: Vec<&str> = plugins.export_formats().map(|(_, name)| name).chain([DOCKER, OCI]).collect();
        known.sort_unstable();
        known.dedup();
        bail!("unknown export format '{format}': known are {}", known.join(", "));
    }
    let plugin = plugins.export_format(format)?;
    let ([text], [] | [_], false) = (&args.images[..], &args.platforms.platform[..], args.platforms.all_platforms) else {
        bail!("the format {format} takes one image for one platform");
    };
    let (store, progress) = (context.store()?, context.progress(Action::Save, true));
    plugins.watch(Arc::clone(&progress));
    let found = store.find(text)?;
    let manifest = view(&store, &found.image.descriptor, args.platforms.platform.first())?.descriptor;
    let spool = Spool::new(&context.temporary()?).watched(Arc::clone(&progress));
    let image = ImageView::open(Arc::new(store.clone()), &manifest, &name(&found), &spool)?;
    let job = Job { context, plugin, format, opts };
    match &args.output {
        Some(path) => {
            let file = AtomicFile::create(path)?;
            job.write(image, file.handle()?)?;
            file.commit()?;
        }
        None => {
            let mut file = job.write(image, tempfile::tempfile_in(context.temporary()?)?)?;
            file.rewind().and_then(|()| io::copy(&mut file, &mut io::stdout())).context("cannot write to standard output")?;
        }
    }
    Ok(store.touch(std::slice::from_ref(&found.image.id))?)
}

/// A plugin with what it is asked for.
struct Job<'a> {
    context: &'a Context,
    plugin: &'a Plugin,
    format: &'a str,
    opts: &'a [Kv],
}

impl Job<'_> {
    fn write(&self, image: ImageView, file: File) -> Result<File> {
        let written = self.plugin.export(self.format, image, Output::new(file), self.opts);
        self.context.show_log(self.plugin);
        Ok(written?.finish()?)
    }
}

/// What the plugin is told that the image is called.
fn name(found: &Found) -> String {
    match &found.by {
        By::Name(name) => name.to_string(),
        By::Id => found.image.references.first().map_or_else(|| found.image.id.to_string(), ToString::to_string),
    }
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
