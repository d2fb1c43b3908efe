use std::{path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result, bail};
use nacre_layer::{Bytes, Compression, Spool};
use nacre_oci::{Platform, Reference, RunConfig, Select, Silent, Staging, change};
use nacre_plugin::{ImageBuilder, Operation};
use nacre_store::Acquired;

use crate::{
    admission::admit,
    context::Context,
    failure::warn,
    held::Held,
    importing::{Incoming, Wishes, assemble, format},
    output::progress::Action,
    paths,
    policy::pair,
    transfer::{into_store, new_name, options},
};

/// Make an image of a file, such as a root filesystem's archive, a package or a disk image
///
/// The format is found by the file's first bytes and its name: tarball (plain or compressed), cpio, zip, squashfs, ext4, deb,
/// oci-wasm, and what further plugins add.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A file, an http or https URL, or - for standard input
    source: String,
    /// The image's name; tag `latest` if it has none. Without a name the image is kept, dangling
    name: Option<String>,
    /// CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME or WORKDIR, as in a Dockerfile
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// The comment in the history, instead of where the image came from
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// What the image is for, instead of what the format says or this machine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    /// The file's format, if its first bytes do not tell it
    #[arg(long, value_name = "NAME")]
    format: Option<String>,
    /// An option of the format; repeat for more
    #[arg(long, value_name = "KEY=VALUE")]
    opt: Vec<String>,
    /// A further file for formats that take several, such as deb
    #[arg(long, value_name = "FILE")]
    add: Vec<PathBuf>,
    /// How to compress layers; a tar archive that is compressed with gzip or zstd stays as it is
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Compress::Gzip)]
    compress: Compress,
    /// Print only the image's id
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Compress {
    Gzip,
    Zstd,
    None,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    let name = args.name.as_deref().map(new_name).transpose()?;
    let opts = args.opt.iter().map(|text| pair(text, "option")).collect::<Result<Vec<_>>>()?;
    // What is wrong with the changes is said before anything is read.
    change(&mut RunConfig::default(), &args.change)?;
    let created = paths::source_date()?.unwrap_or_else(jiff::Timestamp::now).to_string();
    let (store, plugins, progress) = (context.store()?, context.plugins()?, context.progress(Action::Import, args.quiet));
    let spool = Spool::new(&context.temporary()?).watched(Arc::clone(&progress));
    plugins.watch(Arc::clone(&progress));

    let incoming = Incoming::open(context, &args.source, &spool, &progress)?;
    let (plugin, format) = format(context, &plugins, args.format.as_deref(), &incoming)?;
    // Until the image has its name, its layers are protected by the session.
    let session: Arc<dyn Staging> = Arc::new(store.session(Acquired::Loaded)?);
    let layers = Arc::new(Held::new(Arc::clone(&session)));
    let builder = ImageBuilder::new(incoming.staging(Arc::clone(&layers) as Arc<dyn Staging>, &progress), compression(args.compress));
    let built = incoming.shown(&*progress, || {
        let built = plugin.convert(&format, sources(&incoming, &args.add, &spool)?, builder, &opts);
        context.show_log(plugin);
        Ok(built?.finish()?)
    })?;
    if built.layers.is_empty() {
        bail!("the format {format} made no layer of {}", incoming.origin);
    }

    let comment = args.message.clone().filter(|text| !text.is_empty()).unwrap_or_else(|| format!("Imported from {}", incoming.origin));
    let wishes = Wishes { changes: &args.change, comment, platform: args.platform.clone(), created };
    let (documents, root) = assemble(built, wishes)?;
    let names: Vec<Reference> = name.into_iter().collect();
    admit(context, Operation::Import, &names, &documents, &root, &Select::All)?;
    layers.commit()?;
    let arrived = into_store(&store, &documents, &root, &names, Acquired::Loaded, &options(Select::All, &Silent))?;
    drop(progress);
    for (name, id) in arrived.renamed {
        warn(&format!("the image {} already exists, renaming the old one with ID {id} to empty string", name.familiar()));
    }
    context.print(&root.digest.to_string())
}

fn compression(how: Compress) -> Compression {
    match how {
        Compress::Gzip => Compression::Gzip,
        Compress::Zstd => Compression::Zstd,
        Compress::None => Compression::None,
    }
}

/// The file itself and what was added to it.
fn sources(incoming: &Incoming, added: &[PathBuf], spool: &Spool) -> Result<Vec<Bytes>> {
    let open = |path: &PathBuf| {
        let file = std::fs::File::open(path).and_then(|file| Bytes::from_file(file, spool));
        file.with_context(|| format!("cannot read {}", path.display()))
    };
    std::iter::once(Ok(incoming.bytes.clone())).chain(added.iter().map(open)).collect()
}
