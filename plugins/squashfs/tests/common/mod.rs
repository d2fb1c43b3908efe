//! The host's side in memory: codecs, and where a file system is written to.
#![allow(clippy::unwrap_used, dead_code, reason = "tests")]

use std::collections::BTreeMap;
use std::io::{Read, Write};

use nacre_sdk::bytes::{Block, Codec};
use nacre_sdk::entries::entry;
use nacre_sdk::files::{Entry, Kind, Xattr};
use nacre_sdk::filesystem::walk;
use nacre_sdk::memory::Memory;
use nacre_sdk::{Error, Options};
use squashfs::read::Image;
use squashfs::write::table::Encode;
use squashfs::write::{Format, Target};

pub fn decode(codec: Codec, data: &[u8], max: u32) -> Result<Vec<u8>, Error> {
    let failed = |error: std::io::Error| Error::Io(error.to_string());
    let limited = |reader: &mut dyn Read| {
        let mut bytes = Vec::new();
        reader.take(u64::from(max) + 1).read_to_end(&mut bytes).map_err(failed)?;
        Ok::<_, Error>(bytes)
    };
    let bytes = match codec {
        Codec::Zlib => limited(&mut flate2::read::ZlibDecoder::new(data))?,
        Codec::Xz => limited(&mut liblzma::read::XzDecoder::new(data))?,
        Codec::Zstd => limited(&mut zstd::stream::read::Decoder::new(data).map_err(failed)?)?,
        Codec::Lz4Block => lz4_flex::block::decompress(data, max as usize).map_err(|error| Error::Io(error.to_string()))?,
        _ => unreachable!("not in a squashfs"),
    };
    if bytes.len() > max as usize { Err(Error::Limit("too large".to_owned())) } else { Ok(bytes) }
}

pub fn encode(codec: Codec, data: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(match codec {
        Codec::Zlib => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        Codec::Xz => {
            let mut options = liblzma::stream::LzmaOptions::new_preset(6).unwrap();
            options.dict_size(8192.max(data.len().next_power_of_two() as u32));
            let mut filters = liblzma::stream::Filters::new();
            filters.lzma2(&options);
            let stream = liblzma::stream::Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc32).unwrap();
            let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        Codec::Zstd => zstd::bulk::compress(data, 3).unwrap(),
        Codec::Lz4Block => lz4_flex::block::compress(data),
        _ => unreachable!("not in a squashfs"),
    })
}

/// Path to entry and content.
pub type Files = BTreeMap<String, (Entry, Vec<u8>)>;

pub fn read(image: &[u8]) -> Result<Files, Error> {
    read_with(image, decode)
}

pub fn read_with(image: &[u8], decode: nacre_sdk::memory::Decode) -> Result<Files, Error> {
    let mut memory = Memory::new(image, decode);
    let mut filesystem = Image::open(&image, decode)?;
    walk(&mut filesystem, image.len() as u64, &mut memory)?;
    Ok(memory.files)
}

struct Output<'a>(Vec<u8>, Vec<&'a [u8]>, Encode);

impl Target for Output<'_> {
    fn write(&mut self, data: &[u8]) -> Result<(), Error> {
        self.0.extend_from_slice(data);
        Ok(())
    }
    fn write_at(&mut self, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.0[offset as usize..][..data.len()].copy_from_slice(data);
        Ok(())
    }
    fn position(&mut self) -> Result<u64, Error> {
        Ok(self.0.len() as u64)
    }
    fn content(&mut self, index: u32, _: u32) -> Result<Vec<u8>, Error> {
        Ok(self.1[index as usize].to_vec())
    }
    fn blocks(&mut self, index: u32, size: u32, codec: Codec) -> Result<Vec<Block>, Error> {
        let blocks = self.1[index as usize].chunks(size as usize).map(|block| {
            let packed = self.2(codec, block).unwrap();
            let compressed = packed.len() < block.len();
            let written = if compressed { &packed } else { block };
            self.0.extend_from_slice(written);
            Block { size: written.len() as u32, compressed }
        });
        Ok(blocks.collect())
    }
}

pub fn write<const N: usize>(files: &[(Entry, Vec<u8>)], opts: [(&str, &str); N]) -> Result<Vec<u8>, Error> {
    write_with(files, opts, encode)
}

/// Without any compression.
pub fn write_stored(files: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    write_with(files, [("compress", "gzip")], |_, data| Ok(data.to_vec())).unwrap()
}

fn write_with<const N: usize>(files: &[(Entry, Vec<u8>)], opts: [(&str, &str); N], encode: Encode) -> Result<Vec<u8>, Error> {
    let contents = files.iter().map(|(_, content)| content.as_slice()).collect();
    let mut output = Output(Vec::new(), contents, encode);
    let format = Format::of(&Options::from(opts), encode)?;
    squashfs::write::write(files.iter().map(|(entry, _)| Ok(entry.clone())), &mut output, format)?;
    Ok(output.0)
}

pub fn file(path: &str, content: &[u8]) -> (Entry, Vec<u8>) {
    (Entry { size: content.len() as u64, ..entry(path, Kind::File, 0o644) }, content.to_vec())
}

/// Bytes that do not compress.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 7u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    (0..len).map(next).collect()
}

/// One of everything, sorted by path.
pub fn sample() -> Vec<(Entry, Vec<u8>)> {
    let bare = |path: &str, kind| (entry(path, kind, 0o755), Vec::new());
    let with = |(base, content): (Entry, Vec<u8>), change: fn(&mut Entry)| {
        let mut changed = base;
        change(&mut changed);
        (changed, content)
    };
    // CAP_NET_BIND_SERVICE, effective: Linux takes no other bytes for a capability.
    let user = |entry: &mut Entry| {
        entry.xattrs = vec![
            Xattr { name: "user.a".into(), value: b"1".to_vec() },
            Xattr { name: "security.capability".into(), value: [&[1, 0, 0, 2, 0, 4], &[0; 14][..]].concat() },
        ]
    };
    let mut files = vec![
        with(bare("bin", Kind::Symlink), |entry| (entry.link, entry.mode) = (Some("usr/bin".into()), 0o777)),
        bare("dev", Kind::Directory),
        with(bare("dev/disk", Kind::BlockDevice), |entry| entry.device = Some((8, 1))),
        with(bare("dev/far", Kind::CharDevice), |entry| entry.device = Some((4095, 1_048_575))),
        bare("dev/pipe", Kind::Fifo),
        with(bare("etc", Kind::Directory), |entry| (entry.mtime, entry.mode) = (1_700_000_000, 0o1777)),
        file("etc/empty", b""),
        with(file("etc/motd", b"hello\n"), |entry| (entry.uid, entry.gid, entry.mode, entry.mtime) = (1000, 65_534, 0o4711, 4_000_000_000)),
        with(bare("etc/motd.too", Kind::Hardlink), |entry| entry.link = Some("etc/motd".into())),
        with(file("etc/caf\u{f7e9}", b"not UTF-8"), user),
        with(file("etc/zzz", b"the same attributes"), user),
        bare("many", Kind::Directory),
    ];
    files.extend((0..700).map(|i| file(&format!("many/file-{i:03}"), format!("content {i}").as_bytes())));
    files.push(bare("usr", Kind::Directory));
    files.push(bare("usr/bin", Kind::Directory));
    files.push(file("usr/bin/large", &[noise(300_000), vec![0; 400_000], noise(5)].concat()));
    files
}

/// What reading gives for what was written: the root too, and a link's attributes.
pub fn flat(files: &Files) -> Vec<String> {
    let show = |(path, (entry, content)): (&String, &(Entry, Vec<u8>))| {
        let Entry { kind, mode, uid, gid, size, mtime, link, device, xattrs, .. } = entry;
        format!("{path} {kind:?} {mode:o} {uid}:{gid} {size} {mtime} {link:?} {device:?} {xattrs:?} {:x}", sum(content))
    };
    files.iter().filter(|(path, _)| !path.is_empty()).map(show).collect()
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(5381, |sum, byte| sum.wrapping_mul(33) ^ u64::from(*byte))
}
