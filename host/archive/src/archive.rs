//! Archives as sources.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Cursor, Read, Seek},
    path::Path,
};

use nacre_layer::Codec;
use nacre_oci::{Descriptor, Digest, Error, MAX_MANIFEST, Progress, Result, Source};

use crate::{
    Entry,
    atomic::doing,
    blob_path,
    docker::{self, Place},
    entry, listing, pump,
    tar::Tar,
};

/// What an archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tar of an OCI layout, such as `docker save` writes since 25, `skopeo copy … oci-archive:` and BuildKit.
    Oci,
    /// A tar with `manifest.json` and no `oci-layout`.
    Docker,
}

/// A tar of images, plain or compressed, read in place.
pub struct Archive {
    tar: Tar,
    kind: Kind,
    entries: Vec<Entry>,
    places: HashMap<Digest, Place>,
}

impl Archive {
    /// Opens an archive, whatever its kind and compression (gzip, zstd, xz and bzip2 are told by their first bytes).
    ///
    /// A plain file is read in place. Anything compressed, and what is no regular file, is first copied to an unnamed
    /// file in the folder `temp`, plain. If it is an OCI layout and a docker-archive at once, the OCI layout counts, as in
    /// Docker. `progress` is only asked whether to stop.
    ///
    /// # Errors
    /// If it is no archive of images, if it is truncated, damaged or larger than any real one, or if a name or link in it
    /// leads out of it. A docker-archive has to have its configs and layers, with the right number and diff ids.
    pub fn open(path: &Path, temp: &Path, progress: &dyn Progress) -> Result<Self> {
        let label = path.display().to_string();
        let mut file = File::open(path).map_err(doing("open", path))?;
        let meta = file.metadata().map_err(doing("open", path))?;
        if meta.is_dir() {
            return Err(Error::Conflict(format!("{label} is a folder; an OCI layout is named oci:{label}")));
        }
        if !meta.is_file() {
            return Self::from_reader(file, &label, temp, progress);
        }
        let head = head(&mut file).map_err(doing("read", path))?;
        file.rewind().map_err(doing("read", path))?;
        if Codec::detect(&head).is_none() {
            return Self::of(file, &label, progress);
        }
        Self::from_reader(file, &label, temp, progress)
    }

    /// Reads an archive that comes as a stream, such as standard input, into an unnamed file in the folder `temp`, and
    /// opens that. `label` names it in errors.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub fn from_reader(mut reader: impl Read + Send, label: &str, temp: &Path, progress: &dyn Progress) -> Result<Self> {
        let reading = || Error::io(format!("read {label}"));
        let head = head(&mut reader).map_err(reading())?;
        let codec = Codec::detect(&head);
        let whole = Cursor::new(head).chain(reader);
        let mut plain: Box<dyn Read + Send + '_> = match codec {
            Some(codec) => codec.reader(whole).map_err(reading())?,
            None => Box::new(whole),
        };
        fs::create_dir_all(temp).map_err(doing("create", temp))?;
        let mut file = tempfile::tempfile_in(temp).map_err(doing("create a file in", temp))?;
        pump(&mut plain, &mut file, progress).map_err(reading())?;
        Self::of(file, label, progress)
    }

    fn of(file: File, label: &str, progress: &dyn Progress) -> Result<Self> {
        let tar = Tar::index(file, label, progress)?;
        let Some(version) = tar.read("oci-layout", MAX_MANIFEST)? else {
            let images = docker::images(&tar, progress)?;
            return Ok(Self { tar, kind: Kind::Docker, entries: images.entries, places: images.places });
        };
        listing::check_version(&version, label)?;
        let index = tar.read("index.json", MAX_MANIFEST)?.ok_or_else(|| Error::malformed(label, "it has no index.json"))?;
        let entries = listing::entries(&index, label)?;
        Ok(Self { tar, kind: Kind::Oci, entries, places: HashMap::new() })
    }

    /// What the archive is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The images in it, in the order in which it lists them. An image that it lists under several names is one entry.
    pub fn images(&self) -> &[Entry] {
        &self.entries
    }
}

/// The first bytes, as many as tell the compression.
fn head(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    reader.take(Codec::HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

impl Source for Archive {
    /// Takes nothing for the only image, `@N` for the Nth (from 0), a digest, a tag, a reference.
    fn resolve(&self, name: &str) -> Result<Descriptor> {
        entry::find(&self.entries, name, self.tar.label()).map(|entry| entry.descriptor.clone())
    }

    fn open_unverified(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>> {
        let place = match self.places.get(&descriptor.digest) {
            Some(place) => Some(place.clone()),
            None => self.tar.find(&blob_path(&descriptor.digest))?.map(Place::Member),
        };
        match place {
            Some(Place::Member(member)) => Ok(self.tar.open(member, offset)),
            Some(Place::Bytes(bytes)) => {
                let mut reader = Cursor::new(bytes);
                reader.set_position(offset);
                Ok(Box::new(reader))
            }
            None => Err(Error::not_found(format!("{} in {}", descriptor.digest, self.tar.label()))),
        }
    }
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
