//! Which compression bytes have, and taking it away within limits.

use std::{
    io::{self, BufRead, BufReader, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use liblzma::stream::{CONCATENATED, Stream};
use nacre_oci::Error;

use crate::CHUNK;

/// What comes out may be this much ...
const FREE: u64 = 1 << 30;
/// ... plus this many times what went in. Real archives and layers stay far below; bombs go far beyond.
const RATIO: u64 = 200;
/// The most memory that an xz stream may ask for (its strongest preset takes 65 MiB).
const XZ_MEMORY: u64 = 128 << 20;

/// A compression, told by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// None that is known.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// The `.xz` format.
    Xz,
    /// The `.bz2` format.
    Bzip2,
}

impl Compression {
    /// How many bytes [`Compression::detect`] needs.
    pub const HEAD: usize = 6;

    /// The compression of content that starts with `head`.
    pub fn detect(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, 0x08, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            _ => Self::None,
        }
    }

    /// The plain bytes of `input`, which ends in an error if it is cut off, damaged or a bomb.
    pub(crate) fn decode<'a>(self, input: impl Read + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
        let consumed = Arc::new(AtomicU64::new(0));
        let counted = Counted { inner: input, count: Arc::clone(&consumed) };
        let inner = self.decoder(BufReader::with_capacity(CHUNK, counted))?;
        Ok(Box::new(Limited { inner, consumed, produced: 0, limited: self != Self::None }))
    }

    fn decoder<'a>(self, input: impl BufRead + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
        Ok(match self {
            Self::None => Box::new(input),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
            // Its window stays within 128 MiB, the library's own limit.
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(input)?),
            Self::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
            }
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
        })
    }
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Ends in an error when far more comes out than went in.
struct Limited<R> {
    inner: R,
    consumed: Arc<AtomicU64>,
    produced: u64,
    limited: bool,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.produced += count as u64;
        let allowed = FREE + RATIO * self.consumed.load(Ordering::Relaxed);
        if self.limited && self.produced > allowed {
            let limit = format!("1 GiB plus {RATIO} times its compressed size");
            return Err(Error::TooLarge { what: "the decompressed content".into(), limit }.into());
        }
        Ok(count)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::io::Write;

    use super::*;

    pub(crate) const ALL: [Compression; 4] = [Compression::Gzip, Compression::Zstd, Compression::Xz, Compression::Bzip2];

    pub(crate) fn compress(with: Compression, plain: &[u8]) -> Vec<u8> {
        match with {
            Compression::None => plain.to_vec(),
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Zstd => zstd::encode_all(plain, 1).unwrap(),
            Compression::Xz => {
                let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    fn decoded(with: Compression, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        with.decode(bytes)?.read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn tells_and_takes_away_each_kind_also_when_several_streams_follow() {
        let plain = nacre_tests::images::noise(600_000, 7);
        for with in ALL {
            let packed = compress(with, &plain);
            assert_eq!(Compression::detect(&packed), with);
            assert_eq!(decoded(with, &packed).unwrap(), plain);
            let twice = [packed.clone(), packed].concat();
            assert_eq!(decoded(with, &twice).unwrap().len(), 2 * plain.len(), "{with:?}");
        }
        assert_eq!(Compression::detect(b"oci-lay"), Compression::None);
        assert_eq!(Compression::detect(b""), Compression::None);
    }

    #[test]
    fn a_cut_or_damaged_stream_is_an_error() {
        let plain = nacre_tests::images::noise(300_000, 8);
        for with in ALL {
            let packed = compress(with, &plain);
            for keep in [packed.len() - 1, packed.len() / 2, 7] {
                assert!(decoded(with, &packed[..keep]).is_err(), "{with:?} cut to {keep} bytes was accepted");
            }
            let mut damaged = packed.clone();
            damaged[packed.len() / 2] ^= 0x55;
            let same = decoded(with, &damaged).is_ok_and(|bytes| bytes == plain);
            assert!(!same, "{with:?} hid the damage");
        }
    }

    #[test]
    fn a_bomb_ends_early() {
        let bomb = Compression::Zstd.decode(BombInput { sent: false }).unwrap();
        let count = io::copy(&mut { bomb }, &mut io::sink()).unwrap_err();
        assert!(count.to_string().contains("larger than the limit"), "{count}");
    }

    /// 4 GiB of zeros in some 130 KiB of zstd, made while it is read.
    struct BombInput {
        sent: bool,
    }

    impl Read for BombInput {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.sent {
                return Ok(0);
            }
            self.sent = true;
            let bytes = bomb();
            assert!(bytes.len() <= buffer.len(), "the bomb fits one read");
            buffer[..bytes.len()].copy_from_slice(&bytes);
            Ok(bytes.len())
        }
    }

    /// One frame of run-length blocks of 128 KiB each (RFC 8878, 3.1.1.2).
    pub(crate) fn bomb() -> Vec<u8> {
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
        let header = |last: u32| ((128 << 10) << 3 | 1 << 1 | last).to_le_bytes();
        for block in 0..32_768_u32 {
            frame.extend_from_slice(&header(u32::from(block == 32_767))[..3]);
            frame.push(0);
        }
        frame
    }
}
