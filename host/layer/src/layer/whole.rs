//! A layer that is a tar archive as it is.

use std::io::{self, Cursor, Read};

use nacre_oci::{Descriptor, Digest, Staged};

use crate::{
    Bytes, Codec, TarReader,
    layer::{
        Compression, Ended, Layer,
        pipe::{Tee, Worker, hashing, read_chunk, storing},
        pipeline::Pipeline,
    },
};

/// Stores a tar. gzip and zstd stay as they are, as in Docker; anything else gets `compression`.
pub(crate) fn store(source: &Bytes, staged: Box<dyn Staged>, compression: Compression) -> io::Result<Ended> {
    let mut reader = source.reader_from_start()?;
    let mut head = Vec::new();
    (&mut reader).take(Codec::HEAD as u64).read_to_end(&mut head)?;
    let codec = Codec::detect(&head);
    let whole = Cursor::new(head).chain(reader);
    match codec {
        Some(Codec::Gzip) => keep(whole, staged, Compression::Gzip, Codec::Gzip),
        Some(Codec::Zstd) => keep(whole, staged, Compression::Zstd, Codec::Zstd),
        Some(codec) => recompress(codec.reader(whole)?, staged, compression),
        None => recompress(whole, staged, compression),
    }
}

/// Compressed bytes go to the store as they are, and at the same time through the decoder to be checked and hashed.
fn keep(mut reader: impl Read, staged: Box<dyn Staged>, compression: Compression, codec: Codec) -> io::Result<Ended> {
    let store = storing(staged, None);
    let plain = Worker::spawn(move |chunks| diff_id(codec.reader(chunks)?));
    loop {
        let chunk = read_chunk(&mut reader)?;
        // If one of the threads failed, it says why below.
        if chunk.is_empty() || !store.send(&chunk) || !plain.send(&chunk) {
            break;
        }
    }
    let staged = store.finish()?;
    let diff_id = plain.finish()?;
    let (digest, size) = staged.written();
    let descriptor = Descriptor::new(compression.media_type(), digest, size);
    Ok(Ended { layer: Layer { descriptor, diff_id }, staged })
}

/// The digest of a tar that is checked on the way.
fn diff_id(plain: impl Read) -> io::Result<Digest> {
    let hash = hashing();
    check(plain, |chunk| hash.send(chunk))?;
    Ok(hash.finish()?.digest())
}

fn recompress(plain: impl Read, staged: Box<dyn Staged>, compression: Compression) -> io::Result<Ended> {
    let pipeline = Pipeline::new(staged, compression);
    match check(plain, |chunk| pipeline.send(chunk)) {
        Ok(()) => pipeline.finish(),
        Err(error) => Err(pipeline.explain(error)),
    }
}

/// Goes through a tar, all of whose bytes go to `each` too.
fn check(plain: impl Read, each: impl FnMut(&super::pipe::Chunk) -> bool) -> io::Result<()> {
    let mut tar = TarReader::with_skip(Tee::new(plain, each), Tee::skip).as_layer();
    while tar.next_entry()?.is_some() {}
    tar.finish().map(drop)
}
