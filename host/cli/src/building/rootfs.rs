//! `-o type=tar` and `-o type=local`: root filesystems as an archive or as files.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use nacre_archive::AtomicFile;
use nacre_build::{Built, BuiltImage};
use nacre_layer::{Codec, Entry, Form, Kind, Spool, TarReader, TarWriter, Unpacking, unpack};
use nacre_plugin::{ImageView, Output};

use crate::context::Context;

/// How root filesystems are written.
pub(super) struct RootFs<'a> {
    pub context: &'a Context,
    pub built: &'a Built,
    /// Whether each platform has a folder of its own, such as `linux_amd64`; without a wish, if there are several (BuildKit's
    /// `platform-split`).
    pub split: Option<bool>,
}

impl RootFs<'_> {
    /// As a tar archive in a file, or `-` for standard output.
    pub(super) fn tar(&self, place: &Path) -> Result<()> {
        if place == Path::new("-") {
            let mut file = self.archive(self.temporary()?)?;
            file.rewind().and_then(|()| io::copy(&mut file, &mut io::stdout())).context("cannot write to standard output")?;
            return Ok(());
        }
        let file = AtomicFile::create(place)?;
        self.archive(file.handle()?)?;
        Ok(file.commit()?)
    }

    /// As files in a folder, over what that holds.
    pub(super) fn local(&self, folder: &Path) -> Result<()> {
        let images = &self.built.images;
        if self.built.epoch.is_some() || (images.len() > 1 && !self.is_split()) {
            let mut file = self.archive(self.temporary()?)?;
            file.rewind().context("cannot read the root filesystem again")?;
            return place(&mut BufReader::new(file), folder);
        }
        images.iter().try_for_each(|image| match self.folder_of(image) {
            Some(name) => self.layers(image, &folder.join(name)),
            None => self.layers(image, folder),
        })
    }

    fn is_split(&self) -> bool {
        self.split.unwrap_or(self.built.images.len() > 1)
    }

    fn folder_of(&self, image: &BuiltImage) -> Option<String> {
        self.is_split().then(|| image.platform.to_string().replace('/', "_"))
    }

    fn temporary(&self) -> Result<File> {
        Ok(tempfile::tempfile_in(self.context.temporary()?)?)
    }

    /// Unpacks an image's layers into a folder.
    fn layers(&self, image: &BuiltImage, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        for layer in &image.layers {
            let stored = nacre_oci::open(&self.built.content, &layer.descriptor)?;
            let mut plain: Box<dyn Read + Send> = match codec(&layer.descriptor.media_type) {
                Some(codec) => codec.reader(stored).context("cannot read a layer")?,
                None => Box::new(stored),
            };
            place(&mut plain, folder)?;
        }
        Ok(())
    }

    /// Writes all root filesystems as one archive; all that is in it has the time of the epoch, if there is one.
    fn archive(&self, out: File) -> Result<File> {
        if let ([image], None, false) = (&self.built.images[..], self.built.epoch, self.is_split()) {
            return self.one(image, out);
        }
        let mut archive = Archive { out: TarWriter::new(BufWriter::new(out)), epoch: self.built.epoch, seen: HashSet::new() };
        for image in &self.built.images {
            let mut part = self.one(image, self.temporary()?)?;
            part.rewind().context("cannot read the root filesystem again")?;
            archive.add(part, self.folder_of(image).as_deref())?;
        }
        Ok(archive.out.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?)
    }

    /// One root filesystem, by the plugin that `save --format tarball` uses.
    fn one(&self, image: &BuiltImage, out: File) -> Result<File> {
        let plugins = self.context.plugins()?;
        let plugin = plugins.export_format("tarball")?;
        let spool = Spool::new(&self.context.temporary()?);
        let view = ImageView::open(Arc::new(self.built.content.clone()), &image.manifest.descriptor, "build", &spool)?;
        let written = plugin.export("tarball", view, Output::new(out), &[]);
        self.context.show_log(plugin);
        Ok(written?.finish()?)
    }
}

/// Several root filesystems on their way into one archive.
struct Archive<W: Write> {
    out: TarWriter<W>,
    epoch: Option<i64>,
    /// What of them is no folder.
    seen: HashSet<Vec<u8>>,
}

impl<W: Write> Archive<W> {
    /// Adds what another archive has, below a folder if one is named.
    fn add(&mut self, part: impl Read, below: Option<&str>) -> Result<()> {
        let mut tar = TarReader::new(BufReader::new(part));
        if let Some(below) = below {
            let folder = Entry { mode: 0o755, mtime: self.epoch.unwrap_or_default(), ..Entry::new(below, Kind::Directory) };
            self.out.add(&folder, &mut io::empty())?;
        }
        while let Some(member) = tar.next_entry()? {
            let mut entry = member.entry;
            if entry.path.is_empty() {
                continue;
            }
            if let Some(epoch) = self.epoch {
                (entry.mtime, entry.nanos) = (epoch, 0);
            }
            entry.path = moved(&entry.path, below);
            if entry.kind == Kind::Hardlink {
                entry.link = entry.link.map(|link| moved(&link, below));
            }
            if entry.kind != Kind::Directory && !self.seen.insert(entry.path.clone()) {
                bail!("several platforms have {}: leave out platform-split=false, or choose one with --platform", entry.name());
            }
            self.out.add(&entry, &mut tar)?;
        }
        Ok(())
    }
}

/// A path below a folder, if one is named.
fn moved(path: &[u8], below: Option<&str>) -> Vec<u8> {
    below.map_or_else(|| path.to_vec(), |below| [below.as_bytes(), b"/", path].concat())
}

/// Unpacks an archive over what the folder holds.
fn place(tar: &mut (impl Read + ?Sized), folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let privileged = rustix::process::geteuid().is_root();
    let how = Unpacking { form: Form::InPlace, owners: privileged, privileged };
    unpack(&mut { tar }, folder, &how)?;
    Ok(())
}

/// How a layer of this media type is compressed.
fn codec(media_type: &str) -> Option<Codec> {
    match media_type {
        gzip if gzip.ends_with("gzip") => Some(Codec::Gzip),
        zstd if zstd.ends_with("zstd") => Some(Codec::Zstd),
        _ => None,
    }
}
