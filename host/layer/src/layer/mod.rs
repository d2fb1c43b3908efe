//! Layers in the making.

mod names;
mod pipe;
mod pipeline;
mod whole;

use std::io::Read;

use nacre_oci::{Descriptor, Digest, Error, Result, Staged, media_type};

pub(crate) use names::{bad, below};

use crate::{Bytes, Codec, Entry, TarWriter};
use names::Names;
use pipeline::Pipeline;

/// How layers are stored (image specification, `layer.md`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Plain.
    None,
    /// What every client reads.
    #[default]
    Gzip,
    /// Faster and smaller; Docker reads it since 23.
    Zstd,
}

impl Compression {
    fn codec(self) -> Option<Codec> {
        match self {
            Self::None => None,
            Self::Gzip => Some(Codec::Gzip),
            Self::Zstd => Some(Codec::Zstd),
        }
    }

    /// The media type of layers that are stored this way.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::None => media_type::OCI_LAYER,
            Self::Gzip => media_type::OCI_LAYER_GZIP,
            Self::Zstd => media_type::OCI_LAYER_ZSTD,
        }
    }
}

/// A finished layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Of the layer as it is stored.
    pub descriptor: Descriptor,
    /// The digest of the layer uncompressed.
    pub diff_id: Digest,
}

/// A layer that is written, but not committed. Dropping it throws it away.
pub struct Ended {
    layer: Layer,
    staged: Box<dyn Staged>,
}

/// Makes one layer, from entries or from a whole tar. Threads hash, compress and store it meanwhile.
///
/// After an error the layer is spoilt: dropping it throws away what was written.
pub struct LayerWriter {
    state: State,
    compression: Compression,
}

enum State {
    Fresh(Box<dyn Staged>),
    Entries { tar: Box<TarWriter<Pipeline>>, names: Names },
    Whole(Box<Ended>),
    Spoilt,
}

impl LayerWriter {
    /// A layer without any entry, to be stored in `out`.
    pub fn new(out: Box<dyn Staged>, compression: Compression) -> Self {
        Self { state: State::Fresh(out), compression }
    }

    /// Adds an entry, and of a file its content, which must have as many bytes as the entry says.
    ///
    /// Parents that are missing are made, as folders of root with mode 0755 and no time. A path through a symbolic link of
    /// the same layer goes where an unpacked root filesystem would send it, and never out of it. Of several entries
    /// with one path the last counts. `trusted.overlay.*` and `user.overlay.*` attributes are dropped: they would
    /// speak to the overlay filesystem that the layer is unpacked for.
    ///
    /// # Errors
    /// If the path has `..`, leads through a file, or begins with the mark of whiteouts (`.wh.`); if a hard link's target
    /// is no earlier file of the layer; if the content has another size; if the layer cannot be stored.
    pub fn add(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        let compression = self.compression;
        let (mut tar, mut names) = match std::mem::replace(&mut self.state, State::Spoilt) {
            State::Fresh(staged) => (Box::new(TarWriter::new(Pipeline::new(staged, compression))), Names::default()),
            State::Entries { tar, names } => (tar, names),
            State::Whole(..) => return Err(Error::Conflict("the layer is a whole tar archive, so nothing can be added".into())),
            State::Spoilt => return Err(spoilt()),
        };
        let (parents, mut entry) = names.add(entry)?;
        entry.xattrs.retain(|xattr| !["trusted.overlay.", "user.overlay."].iter().any(|own| xattr.name.starts_with(own)));
        let mut write = || {
            parents.iter().try_for_each(|parent| tar.add(parent, &mut std::io::empty()))?;
            tar.add(&entry, content)
        };
        if let Err(error) = write() {
            return Err(Error::io("write the layer")(tar.into_inner().explain(error)));
        }
        self.state = State::Entries { tar, names };
        Ok(())
    }

    /// Makes the layer of a whole tar archive, plain or compressed, as it is. It is checked on the way; nothing in it is
    /// changed. gzip and zstd are kept (Docker's rule); what is plain, xz or bzip2 gets the layer's compression.
    ///
    /// # Errors
    /// If something was added before; if the archive is malformed (as [`TarReader`](crate::TarReader) says), cut off or
    /// damaged, or something follows it; if the layer cannot be stored.
    pub fn add_tar(&mut self, source: &Bytes) -> Result<()> {
        match std::mem::replace(&mut self.state, State::Spoilt) {
            State::Fresh(staged) => {
                let stored = whole::store(source, staged, self.compression);
                self.state = State::Whole(Box::new(stored.map_err(Error::io("read the tar archive"))?));
                Ok(())
            }
            State::Spoilt => Err(spoilt()),
            _ => Err(Error::Conflict("a whole tar archive can only be a layer of its own".into())),
        }
    }

    /// Ends the layer and commits it.
    ///
    /// # Errors
    /// If it is spoilt or cannot be stored.
    pub fn finish(self) -> Result<Layer> {
        self.end()?.commit()
    }

    /// Ends the layer without committing it: for an image that is to be there with all of its layers or not at all.
    ///
    /// # Errors
    /// If it is spoilt or cannot be written.
    pub fn end(self) -> Result<Ended> {
        match self.state {
            State::Whole(stored) => Ok(*stored),
            State::Spoilt => Err(spoilt()),
            State::Fresh(staged) => end(TarWriter::new(Pipeline::new(staged, self.compression))),
            State::Entries { tar, .. } => end(*tar),
        }
    }
}

impl Ended {
    /// Commits it.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub fn commit(self) -> Result<Layer> {
        self.staged.commit(&self.layer.descriptor)?;
        Ok(self.layer)
    }
}

fn end(mut tar: TarWriter<Pipeline>) -> Result<Ended> {
    let ended = tar.end();
    let pipeline = tar.into_inner();
    match ended {
        Ok(()) => pipeline.finish(),
        Err(error) => Err(pipeline.explain(error)),
    }
    .map_err(Error::io("write the layer"))
}

fn spoilt() -> Error {
    Error::Conflict("the layer is spoilt by an earlier failure; begin it again".into())
}

#[cfg(test)]
mod tests;
