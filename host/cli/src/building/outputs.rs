//! `--output`: where the result goes.

use std::{
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use nacre_archive::{AtomicFile, Layout, write_docker_archive, write_oci_archive};
use nacre_build::Built;
use nacre_layer::Compression;
use nacre_oci::{Reference, Select, Silent, copy};
use nacre_plugin::Operation;
use nacre_store::{Acquired, Store};

use super::{rootfs::RootFs, values::Fields};
use crate::{
    admission::admit,
    commands::{
        build::Args,
        push::{compressed, note, send},
    },
    context::Context,
    output::progress::Action,
    transfer::options,
};

/// All outputs of one build.
pub(super) struct Outputs {
    all: Vec<Target>,
    /// Lower the times of new layers to the epoch.
    pub rewrite_timestamp: bool,
    /// How new layers are stored.
    pub compression: Compression,
    push: bool,
}

/// One of them.
struct Target {
    kind: Kind,
    /// Where to; `-` is standard output.
    dest: Option<PathBuf>,
    names: Vec<String>,
    /// An archive rather than a folder.
    archive: bool,
    /// `platform-split`
    split: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Image,
    Oci,
    Docker,
    Tar,
    Local,
}

impl Outputs {
    pub(super) fn parse(args: &Args) -> Result<Self> {
        let results = &args.results;
        let mut outputs = Self { all: Vec::new(), rewrite_timestamp: false, compression: Compression::None, push: results.push };
        for text in &results.output {
            outputs.add(text)?;
        }
        if results.output.is_empty() || results.load || outputs.push {
            outputs.all.push(Target { kind: Kind::Image, dest: None, names: Vec::new(), archive: false, split: None });
        }
        if outputs.push && args.tag.is_empty() && outputs.names().next().is_none() {
            bail!("there is no name to push to: give one with --tag");
        }
        if outputs.to_stdout() && io::stdout().is_terminal() {
            bail!("an archive is not for a terminal: redirect standard output, or name a file with dest=FILE");
        }
        Ok(outputs)
    }

    /// Adds `type=…,…`, a folder, or `-`.
    fn add(&mut self, text: &str) -> Result<()> {
        if text == "-" || !text.contains('=') {
            let (kind, archive) = if text == "-" { (Kind::Tar, true) } else { (Kind::Local, false) };
            self.all.push(Target { kind, dest: Some(text.into()), names: Vec::new(), archive, split: None });
            return Ok(());
        }
        let fields = Fields::parse("--output", text)?;
        let kind = match fields.need(&["type"])? {
            "image" => Kind::Image,
            "registry" => {
                self.push = true;
                Kind::Image
            }
            "cacheonly" => return fields.end(),
            "oci" => Kind::Oci,
            "docker" => Kind::Docker,
            "tar" => Kind::Tar,
            "local" => Kind::Local,
            other => return fields.wrong(&format!("there is no type {other}: want image, registry, oci, docker, tar, local or cacheonly")),
        };
        let dest = fields.take(&["dest", "d"]).map(PathBuf::from);
        let names = fields.take(&["name"]).into_iter().flat_map(|names| names.split(',')).map(str::to_owned).collect();
        self.rewrite_timestamp |= fields.is("rewrite-timestamp")?;
        self.push |= fields.is("push")?;
        if let Some(how) = fields.take(&["compression"]) {
            self.compression = compression(&fields, how)?;
        }
        // Docker's media types and forced compression make no difference to what nacre writes.
        let _ = (fields.take(&["oci-mediatypes"]), fields.take(&["force-compression"]), fields.take(&["compression-level"]));
        let split = if matches!(kind, Kind::Tar | Kind::Local) { fields.flag("platform-split")? } else { None };
        let archive = fields.flag("tar")?.unwrap_or(true);
        match (kind, &dest) {
            (Kind::Image, Some(_)) => return fields.wrong("an image goes to the store: it has no dest"),
            (Kind::Local, None) => return fields.wrong("dest is missing"),
            // Docker loads it into its daemon then.
            (Kind::Docker, None) => self.all.push(Target { kind: Kind::Image, dest: None, names, archive: false, split }),
            (kind, None) if kind != Kind::Image => self.all.push(Target { kind, dest: Some("-".into()), names, archive: true, split }),
            (kind, _) => self.all.push(Target { kind, dest, names, archive, split }),
        }
        fields.end()
    }

    /// The names that outputs give beside `--tag`.
    pub(super) fn names(&self) -> impl Iterator<Item = Result<Reference>> {
        self.all.iter().flat_map(|target| &target.names).map(|name| crate::transfer::new_name(name))
    }

    /// Whether an output keeps the image in the store.
    pub(super) fn keep_image(&self) -> bool {
        self.all.iter().any(|target| target.kind == Kind::Image)
    }

    /// Whether an output takes standard output.
    pub(super) fn to_stdout(&self) -> bool {
        self.all.iter().any(|target| target.dest.as_deref() == Some(Path::new("-")))
    }

    /// Writes them all.
    pub(super) fn write(&self, context: &Context, built: &Built, names: &[Reference]) -> Result<()> {
        let store = context.store()?;
        for target in &self.all {
            match target.kind {
                Kind::Image => keep(&store, built, names)?,
                Kind::Oci if !target.archive => layout(built, names, target.place())?,
                Kind::Oci | Kind::Docker => archive(built, names, target)?,
                Kind::Tar => RootFs { context, built, split: target.split }.tar(target.place())?,
                Kind::Local => RootFs { context, built, split: target.split }.local(target.place())?,
            }
        }
        if self.push { push(context, &store, built, names) } else { Ok(()) }
    }
}

impl Target {
    fn place(&self) -> &Path {
        self.dest.as_deref().unwrap_or(Path::new("-"))
    }
}

fn compression(fields: &Fields<'_>, how: &str) -> Result<Compression> {
    match how {
        "uncompressed" => Ok(Compression::None),
        "gzip" => Ok(Compression::Gzip),
        "zstd" => Ok(Compression::Zstd),
        other => fields.wrong(&format!("there is no compression {other}: want uncompressed, gzip or zstd")),
    }
}

/// Gives the image its names; images that lose one are dangling. Without a name it is kept, dangling.
fn keep(store: &Store, built: &Built, names: &[Reference]) -> Result<()> {
    built.store()?;
    for name in names {
        store.add_tagged(name, &built.root, Acquired::Built)?;
    }
    if names.is_empty() {
        store.add_image(&built.root, Acquired::Built)?;
    }
    Ok(())
}

fn archive(built: &Built, names: &[Reference], target: &Target) -> Result<()> {
    let place = target.place();
    if place == Path::new("-") {
        return Ok(write_archive(built, names, target.kind, BufWriter::with_capacity(1 << 20, io::stdout()))?.flush()?);
    }
    write_archive(built, names, target.kind, AtomicFile::create(place)?)?.commit()?;
    Ok(())
}

fn write_archive<W: Write + Send>(built: &Built, names: &[Reference], kind: Kind, out: W) -> Result<W> {
    let root = built.root.descriptor.clone();
    if kind == Kind::Docker {
        return Ok(write_docker_archive(&built.content, &[(root, names.to_vec())], &Select::All, &Silent, out)?);
    }
    let names = names.iter().map(ToString::to_string).collect();
    Ok(write_oci_archive(&built.content, &[(root, names)], &Select::All, &Silent, out)?)
}

/// An OCI layout in a folder.
fn layout(built: &Built, names: &[Reference], folder: &Path) -> Result<()> {
    let layout = Layout::create(folder)?;
    let tags: Vec<String> = names.iter().map(ToString::to_string).collect();
    copy(&built.content, &layout, &built.root.descriptor, &tags, &options(Select::All, &Silent))?;
    Ok(())
}

/// Sends the image to the registries that its names say.
fn push(context: &Context, store: &Store, built: &Built, names: &[Reference]) -> Result<()> {
    let root = &built.root.descriptor;
    let compressed = compressed(context, store, root, Compression::Gzip)?;
    for name in names {
        admit(context, Operation::Push, std::slice::from_ref(name), store, root, &Select::All)?;
        let progress = context.progress(Action::Push, false);
        send(context, store, root, compressed.as_ref(), name, &options(Select::All, &*progress))?;
        note(store, name, &root.digest, root, compressed.as_ref())?;
    }
    Ok(())
}
