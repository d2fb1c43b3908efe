//! Sources: the resource `source` of `wit/bytes.wit`, and single blocks.

use nacre_layer::{Bytes, Piece};
use serde::{Deserialize, Serialize};
use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, Resource};
use wasmtime::format_err;

use super::pool::Share;
use super::{MAX_BLOCK, MAX_READ, Outcome, Trouble, function, resource};
use crate::state::State;

/// A compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(enum)]
#[repr(u8)]
pub enum Codec {
    /// RFC 1952.
    #[component(name = "gzip")]
    Gzip,
    /// RFC 8878.
    #[component(name = "zstd")]
    Zstd,
    /// The `.xz` format.
    #[component(name = "xz")]
    Xz,
    /// The `.bz2` format.
    #[component(name = "bzip2")]
    Bzip2,
    /// RFC 1951.
    #[component(name = "deflate")]
    Deflate,
    /// RFC 1950.
    #[component(name = "zlib")]
    Zlib,
    /// One LZ4 block.
    #[component(name = "lz4-block")]
    Lz4Block,
}

impl From<Codec> for nacre_layer::Codec {
    fn from(codec: Codec) -> nacre_layer::Codec {
        match codec {
            Codec::Gzip => nacre_layer::Codec::Gzip,
            Codec::Zstd => nacre_layer::Codec::Zstd,
            Codec::Xz => nacre_layer::Codec::Xz,
            Codec::Bzip2 => nacre_layer::Codec::Bzip2,
            Codec::Deflate => nacre_layer::Codec::Deflate,
            Codec::Zlib => nacre_layer::Codec::Zlib,
            Codec::Lz4Block => nacre_layer::Codec::Lz4Block,
        }
    }
}

impl From<nacre_layer::Codec> for Codec {
    fn from(codec: nacre_layer::Codec) -> Codec {
        match codec {
            nacre_layer::Codec::Gzip => Codec::Gzip,
            nacre_layer::Codec::Zstd => Codec::Zstd,
            nacre_layer::Codec::Xz => Codec::Xz,
            nacre_layer::Codec::Bzip2 => Codec::Bzip2,
            nacre_layer::Codec::Deflate => Codec::Deflate,
            nacre_layer::Codec::Zlib => Codec::Zlib,
            nacre_layer::Codec::Lz4Block => Codec::Lz4Block,
        }
    }
}

#[derive(Clone, Copy, ComponentType, Lift)]
#[component(record)]
struct Range {
    offset: u64,
    size: u64,
}

#[derive(Clone, Copy, ComponentType, Lift)]
#[component(record)]
struct Packed {
    at: Range,
    codec: Codec,
    max: u32,
    skip: u32,
    take: u32,
}

#[derive(Clone, Copy, ComponentType, Lift)]
#[component(variant)]
enum WitPiece {
    #[component(name = "plain")]
    Plain(Range),
    #[component(name = "zeros")]
    Zeros(u64),
    #[component(name = "packed")]
    Packed(Packed),
}

impl From<WitPiece> for Piece {
    fn from(piece: WitPiece) -> Piece {
        match piece {
            WitPiece::Plain(Range { offset, size }) => Piece::Plain { offset, size },
            WitPiece::Zeros(size) => Piece::Zeros(size),
            WitPiece::Packed(Packed { at: Range { offset, size }, codec, max, skip, take }) => {
                Piece::Packed { offset, size, codec: codec.into(), max, skip, take }
            }
        }
    }
}

/// What a plugin's handle of a source stands for.
pub(crate) struct Source {
    bytes: Bytes,
    /// Its size is known, and a stream is kept.
    settled: bool,
    _share: Share,
}

impl State {
    /// Gives the plugin a handle of a source that nacre made itself, such as an argument.
    pub(crate) fn give(&mut self, bytes: Bytes) -> wasmtime::Result<Resource<Source>> {
        self.watch.given(bytes.known_size());
        self.push_source(bytes).map_err(|trouble| match trouble {
            Trouble::End(error) => error,
            _ => format_err!("more sources than there may be"),
        })
    }

    /// Gives the plugin a handle of a source.
    pub(crate) fn push_source(&mut self, bytes: Bytes) -> Outcome<Resource<Source>> {
        let share = self.watch.pools.sources.share(bytes.weight())?;
        Ok(self.handles.push(Source { bytes, settled: false, _share: share })?)
    }

    /// All the bytes that a handle of the plugin stands for, to be read from the first on.
    pub(crate) fn bytes(&self, source: &Resource<Source>) -> Outcome<Bytes> {
        Ok(self.handles.get(source)?.bytes.clone())
    }

    /// The same, and how many they are. A stream is read to its end for that, which counts once.
    pub(crate) fn settled(&mut self, source: &Resource<Source>) -> Outcome<(Bytes, u64)> {
        let held = self.handles.get_mut(source)?;
        let read = held.bytes.known_size().is_none() && !held.settled;
        let size = held.bytes.size()?;
        held.settled = true;
        if read {
            self.watch.count(size)?;
        }
        Ok((held.bytes.clone(), size))
    }

    /// Counts bytes that go to the plugin.
    fn crossed_in(&mut self, bytes: Vec<u8>) -> Outcome<Vec<u8>> {
        self.watch.count(bytes.len() as u64)?;
        self.counts.bytes_in += bytes.len() as u64;
        Ok(bytes)
    }

    /// Counts bytes that came from the plugin.
    pub(super) fn crossed_out(&mut self, bytes: usize) -> Outcome<()> {
        self.counts.bytes_out += bytes as u64;
        Ok(self.watch.count(bytes as u64)?)
    }
}

/// Adds all of `bytes` that is about sources and blocks.
pub(super) fn add(bytes: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    resource::<Source>(bytes, "source")?;
    function(bytes, "[method]source.size", size)?;
    function(bytes, "[method]source.read", read)?;
    function(bytes, "[method]source.read-at", read_at)?;
    function(bytes, "[method]source.part", part)?;
    function(bytes, "[method]source.decompress", decompress)?;
    function(bytes, "decode", decode)?;
    function(bytes, "encode", encode)
}

fn size(state: &mut State, (source,): (Resource<Source>,)) -> Outcome<u64> {
    Ok(state.settled(&source)?.1)
}

fn read(state: &mut State, (source, max): (Resource<Source>, u32)) -> Outcome<Vec<u8>> {
    let read = state.handles.get_mut(&source)?.bytes.read_next((max as usize).min(MAX_READ))?;
    state.crossed_in(read)
}

fn read_at(state: &mut State, (source, offset, max): (Resource<Source>, u64, u32)) -> Outcome<Vec<u8>> {
    let read = state.settled(&source)?.0.read_at(offset, (max as usize).min(MAX_READ))?;
    state.crossed_in(read)
}

fn part(state: &mut State, (source, pieces): (Resource<Source>, Vec<WitPiece>)) -> Outcome<Resource<Source>> {
    let pieces: Vec<Piece> = pieces.into_iter().map(Piece::from).collect();
    let part = state.settled(&source)?.0.part(&pieces)?;
    state.push_source(part)
}

fn decompress(state: &mut State, (source, codec): (Resource<Source>, Option<Codec>)) -> Outcome<Resource<Source>> {
    let plain = state.bytes(&source)?.decompress(codec.map(Into::into))?;
    state.push_source(plain)
}

fn decode(state: &mut State, (codec, data, max): (Codec, Vec<u8>, u32)) -> Outcome<Vec<u8>> {
    state.counts.bytes_out += data.len() as u64;
    let plain = nacre_layer::Codec::from(codec).decode_block(&data, (max as usize).min(MAX_BLOCK))?;
    state.counts.bytes_in += plain.len() as u64;
    Ok(plain)
}

fn encode(state: &mut State, (codec, data): (Codec, Vec<u8>)) -> Outcome<Vec<u8>> {
    if data.len() > MAX_BLOCK {
        return Err(Trouble::limit(format!("a block of {} bytes, more than {} MiB", data.len(), MAX_BLOCK >> 20)));
    }
    state.counts.bytes_out += data.len() as u64;
    let packed = nacre_layer::Codec::from(codec).encode_block(&data)?;
    state.counts.bytes_in += packed.len() as u64;
    Ok(packed)
}
