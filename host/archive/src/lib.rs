//! Archives and folders of images as [`Source`](nacre_oci::Source) and [`Sink`](nacre_oci::Sink): docker-archive, OCI archive and OCI layout.
//!
//! [`Archive`] reads a tar of either kind without unpacking it, [`Layout`] reads and writes a folder,
//! [`write_docker_archive`] and [`write_oci_archive`] stream a tar out, and [`AtomicFile`] is where such a stream
//! becomes a file at its end and not before. Whatever comes in is untrusted: names, links, sizes and compression are
//! checked and capped here, digests by [`nacre_oci::Content`].

mod archive;
mod atomic;
mod docker;
mod entry;
mod hash;
mod layout;
mod listing;
mod save;
mod tar;
#[cfg(test)]
mod testing;
mod writer;

pub use archive::{Archive, Kind};
pub use atomic::AtomicFile;
pub use entry::Entry;
pub use layout::Layout;
pub use save::{write_docker_archive, write_oci_archive};
pub use writer::TarWriter;

use std::{
    io::{self, Read, Write},
    sync::mpsc,
    thread,
};

use nacre_oci::{Digest, Error, Progress};

/// The annotation that holds a tag, or with some tools a whole reference (image specification, `annotations.md`).
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation that holds the full reference (containerd, Docker since 25).
const IMAGE_NAME: &str = "io.containerd.image.name";
/// What the file `oci-layout` says (image specification, `image-layout.md`).
const LAYOUT_FILE: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Read and write in pieces of this size: large enough that system calls do not show beside hashing.
const CHUNK: usize = 256 << 10;

/// Where a layout keeps content.
fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

/// Copies until the end, with a large buffer, unless `progress` says to stop.
fn pump(from: &mut dyn Read, to: &mut dyn Write, progress: &dyn Progress) -> io::Result<u64> {
    let mut buffer = vec![0; CHUNK];
    let mut total = 0;
    loop {
        if progress.cancelled() {
            return Err(Error::Cancelled.into());
        }
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        to.write_all(&buffer[..count])?;
        total += count as u64;
    }
}

/// As [`pump`], but reads, and with that checks, on a thread of its own while what was read before is written.
fn pump_ahead(from: &mut (dyn Read + Send), to: &mut dyn Write) -> io::Result<()> {
    /// Pieces that are on their way.
    const AHEAD: usize = 4;
    let (read, pieces) = mpsc::sync_channel(AHEAD);
    let (give_back, spare) = mpsc::channel();
    thread::scope(move |scope| {
        scope.spawn(move || read_ahead(from, &read, &spare));
        for piece in pieces {
            let piece: Vec<u8> = piece?;
            to.write_all(&piece)?;
            // Whoever has read everything takes none back.
            _ = give_back.send(piece);
        }
        Ok(())
    })
}

/// Reads to the end, or until nobody takes the pieces any more.
fn read_ahead(from: &mut dyn Read, pieces: &mpsc::SyncSender<io::Result<Vec<u8>>>, spare: &mpsc::Receiver<Vec<u8>>) {
    loop {
        let mut piece = spare.try_recv().unwrap_or_default();
        piece.resize(CHUNK, 0);
        let read = match from.read(&mut piece) {
            Ok(0) => return,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other,
        };
        let failed = read.is_err();
        let piece = read.map(|count| {
            piece.truncate(count);
            piece
        });
        if pieces.send(piece).is_err() || failed {
            return;
        }
    }
}
