//! Compressions: telling them, taking them away within limits, and putting them on.

use std::io::{self, BufReader, Read, Write};

use liblzma::stream::{CONCATENATED, Check, Filters, LzmaOptions, Stream};

use crate::{
    encode::{self, Encoder},
    gunzip::Gunzip,
    inflate::Inflate,
    limit::{Counted, Limited},
};

/// Read and write in pieces of this size: large enough that system calls do not show beside hashing.
pub(crate) const CHUNK: usize = 256 << 10;
/// The most memory that an xz stream may ask for (its strongest preset takes 65 MiB).
const XZ_MEMORY: u64 = 128 << 20;

/// A compression of whole streams or of single blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 1952, one or more members.
    Gzip,
    /// RFC 8878, one or more frames.
    Zstd,
    /// The `.xz` format, one or more streams.
    Xz,
    /// The `.bz2` format, one or more streams.
    Bzip2,
    /// RFC 1951, without any header.
    Deflate,
    /// RFC 1950.
    Zlib,
    /// One LZ4 block without a frame; only for blocks.
    Lz4Block,
}

impl Codec {
    /// How many bytes [`Codec::detect`] wants.
    pub const HEAD: usize = 6;
    /// The most bytes of a block, decompressed.
    pub const MAX_BLOCK: usize = 16 << 20;

    /// The compression of content that starts with `head`, if it is one that can be told: gzip, zstd, xz or bzip2.
    pub fn detect(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, 0x08, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Self::Bzip2),
            _ => None,
        }
    }

    /// The compression's usual name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Deflate => "deflate",
            Self::Zlib => "zlib",
            Self::Lz4Block => "lz4",
        }
    }

    /// The plain bytes of `input`. It is read to its very end.
    ///
    /// # Errors
    /// If the compression has no streams. Reading ends in an error if the stream is cut off or damaged, if something else
    /// follows it, or if more comes out than 1 GiB plus 200 times what went in: no real archive does that, but bombs do.
    pub fn reader<'a>(self, input: impl Read + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
        self.open(input, false)
    }

    /// As [`Codec::reader`], but behind gzip there may be zeros: no layer is stored like that, but other files are.
    pub(crate) fn padded_reader<'a>(self, input: impl Read + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
        self.open(input, true)
    }

    fn open<'a>(self, input: impl Read + Send + 'a, padded: bool) -> io::Result<Box<dyn Read + Send + 'a>> {
        let (counted, consumed) = Counted::new(input);
        let input = BufReader::with_capacity(CHUNK, counted);
        let inner: Box<dyn Read + Send + 'a> = match self {
            Self::Gzip => Box::new(Gunzip::new(input, padded)),
            // Its window stays within 128 MiB, the library's own limit.
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(input)?),
            Self::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
            }
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
            Self::Deflate => Box::new(Inflate::new(input, false)),
            Self::Zlib => Box::new(Inflate::new(input, true)),
            Self::Lz4Block => return Err(blocks_only()),
        };
        Ok(Box::new(Limited::new(inner, consumed, self.name())))
    }

    /// Compresses what is written. The same bytes always give the same bytes, whatever the machine.
    ///
    /// # Errors
    /// If the compression has no streams.
    pub fn writer<W: Write>(self, out: W) -> io::Result<Encoder<W>> {
        encode::encoder(self, out)
    }

    /// Decompresses a block, to at most `max` bytes.
    ///
    /// # Errors
    /// If it is damaged or grows beyond `max`, or `max` is more than [`Codec::MAX_BLOCK`].
    pub fn decode_block(self, data: &[u8], max: usize) -> io::Result<Vec<u8>> {
        if max > Self::MAX_BLOCK {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a block has more than 16 MiB"));
        }
        if self == Self::Lz4Block {
            let mut plain = vec![0; max];
            let damaged = |error| io::Error::new(io::ErrorKind::InvalidData, format!("the lz4 data is damaged: {error}"));
            let size = lz4_flex::block::decompress_into(data, &mut plain).map_err(damaged)?;
            plain.truncate(size);
            return Ok(plain);
        }
        let mut plain = Vec::with_capacity(max.min(data.len().saturating_mul(4)));
        self.reader(data)?.take(max as u64 + 1).read_to_end(&mut plain)?;
        if plain.len() > max {
            let text = format!("a block of {} data has more than the {max} bytes that were announced", self.name());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(plain)
    }

    /// Compresses a block of at most [`Codec::MAX_BLOCK`] bytes.
    ///
    /// # Errors
    /// If it has more bytes.
    pub fn encode_block(self, data: &[u8]) -> io::Result<Vec<u8>> {
        if data.len() > Self::MAX_BLOCK {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a block has more than 16 MiB"));
        }
        match self {
            Self::Lz4Block => Ok(lz4_flex::block::compress(data)),
            Self::Xz => encode_xz(data),
            // In one go, so that the frame's window is no larger than the block: Linux' squashfs has room for no more.
            Self::Zstd => zstd::bulk::compress(data, 3),
            _ => {
                let mut encoder = self.writer(Vec::new())?;
                encoder.write_all(data)?;
                encoder.finish()
            }
        }
    }
}

/// Linux' squashfs takes CRC-32 only, and no dictionary that is larger than the block.
fn encode_xz(data: &[u8]) -> io::Result<Vec<u8>> {
    let mut options = LzmaOptions::new_preset(6)?;
    options.dict_size(u32::try_from(data.len().next_power_of_two().max(4096)).expect("at most 16 MiB"));
    let stream = Stream::new_stream_encoder(Filters::new().lzma2(&options), Check::Crc32)?;
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(data)?;
    encoder.finish()
}

pub(crate) fn blocks_only() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "lz4 is for single blocks only, not for whole streams")
}

#[cfg(test)]
#[path = "codec_tests.rs"]
pub(crate) mod tests;
