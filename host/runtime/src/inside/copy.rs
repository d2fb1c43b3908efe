//! Copies of whole trees.

use std::{
    io::{self, BufReader, BufWriter, PipeWriter, Write},
    path::Path,
    thread,
};

use nacre_layer::{Changes, Compression, Form, LayerWriter, Unpacking, difference, unpack};
use nacre_oci::{Algorithm, Descriptor, Digest, Error, Hasher, Result, Staged};

use crate::inside::folder::Place;

/// Copies what is in the folder `from` into the folder `to`: as a layer of how it differs from an `empty` one, unpacked.
pub(crate) fn copy(from: &Path, to: &Path, empty: &Path, place: &Place) -> Result<()> {
    let (reader, writer) = io::pipe().map_err(Error::io("make a pipe"))?;
    let how = Unpacking { form: Form::InPlace, owners: place.owners, privileged: place.privileged };
    thread::scope(|scope| {
        let written = scope.spawn(|| {
            let pipe = Pipe { out: BufWriter::with_capacity(256 << 10, writer), hasher: Hasher::new(Algorithm::Sha256) };
            let mut layer = LayerWriter::new(Box::new(pipe), Compression::None);
            difference(&Changes::Trees { before: empty, after: from }, &[], &mut layer)?;
            layer.finish()
        });
        let unpacked = unpack(&mut BufReader::with_capacity(256 << 10, reader), to, &how);
        written.join().unwrap_or(Err(Error::Cancelled))?;
        unpacked.map(drop)
    })
}

/// A layer on its way through a pipe.
struct Pipe {
    out: BufWriter<PipeWriter>,
    hasher: Hasher,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Staged for Pipe {
    fn written(&self) -> (Digest, u64) {
        (self.hasher.digest(), self.hasher.count())
    }

    fn commit(mut self: Box<Self>, _descriptor: &Descriptor) -> Result<()> {
        self.out.flush().map_err(Error::io("write to a pipe"))
    }
}
