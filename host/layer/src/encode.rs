//! Compressing streams.

use std::io::{self, Write};

use liblzma::stream::{Check, Stream};

use crate::{
    codec::{Codec, blocks_only},
    gzip::GzipWriter,
};

/// Compresses what is written to it. Without [`Encoder::finish`] the stream is cut off.
pub struct Encoder<W: Write>(Inner<W>);

enum Inner<W: Write> {
    Gzip(GzipWriter<W>),
    Zstd(zstd::stream::write::Encoder<'static, W>),
    Xz(liblzma::write::XzEncoder<W>),
    Bzip2(bzip2::write::BzEncoder<W>),
    Deflate(flate2::write::DeflateEncoder<W>),
    Zlib(flate2::write::ZlibEncoder<W>),
}

/// Levels are those at which a core writes some 200 MB/s, where the format has one; xz and bzip2 are slow anyway.
pub(crate) fn encoder<W: Write>(codec: Codec, out: W) -> io::Result<Encoder<W>> {
    Ok(Encoder(match codec {
        Codec::Gzip => Inner::Gzip(GzipWriter::new(out)),
        Codec::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(out, 3)?;
            encoder.include_checksum(true)?;
            Inner::Zstd(encoder)
        }
        // Linux unpacks an initramfs only with CRC-32.
        Codec::Xz => Inner::Xz(liblzma::write::XzEncoder::new_stream(out, Stream::new_easy_encoder(6, Check::Crc32)?)),
        Codec::Bzip2 => Inner::Bzip2(bzip2::write::BzEncoder::new(out, bzip2::Compression::best())),
        Codec::Deflate => Inner::Deflate(flate2::write::DeflateEncoder::new(out, flate2::Compression::default())),
        Codec::Zlib => Inner::Zlib(flate2::write::ZlibEncoder::new(out, flate2::Compression::default())),
        Codec::Lz4Block => return Err(blocks_only()),
    }))
}

impl<W: Write> Encoder<W> {
    /// Ends the stream and returns what it was written to.
    ///
    /// # Errors
    /// If the rest cannot be written.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Inner::Gzip(encoder) => encoder.finish(),
            Inner::Zstd(encoder) => encoder.finish(),
            Inner::Xz(encoder) => encoder.finish(),
            Inner::Bzip2(encoder) => encoder.finish(),
            Inner::Deflate(encoder) => encoder.finish(),
            Inner::Zlib(encoder) => encoder.finish(),
        }
    }

    fn inner(&mut self) -> &mut dyn Write {
        match &mut self.0 {
            Inner::Gzip(encoder) => encoder,
            Inner::Zstd(encoder) => encoder,
            Inner::Xz(encoder) => encoder,
            Inner::Bzip2(encoder) => encoder,
            Inner::Deflate(encoder) => encoder,
            Inner::Zlib(encoder) => encoder,
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner().write(bytes)
    }

    /// Cuts no block short, so that flushing does not change the stream.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
