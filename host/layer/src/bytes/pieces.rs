//! Sources that are put together from pieces of another.

use std::{io, sync::Arc};

use crate::{
    Codec,
    bytes::base::{Base, Kind, lock, shorter},
    limit::{believable, bomb},
};

/// The most pieces of one source: a file of 32 GiB in blocks of 128 KiB.
const MAX_PIECES: usize = 1 << 18;

/// One piece of a composed source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes as they are.
    Plain {
        /// Where they begin.
        offset: u64,
        /// How many they are.
        size: u64,
    },
    /// So many zero bytes: a hole.
    Zeros(u64),
    /// Bytes out of a compressed block.
    Packed {
        /// Where the block begins.
        offset: u64,
        /// How many compressed bytes it has.
        size: u64,
        /// Its compression.
        codec: Codec,
        /// The most bytes that it has when decompressed, at most [`Codec::MAX_BLOCK`].
        max: u32,
        /// Leave out so many of the decompressed bytes ...
        skip: u32,
        /// ... and take so many.
        take: u32,
    },
}

impl Piece {
    /// How many bytes of the result it is.
    fn len(&self) -> u64 {
        match self {
            Self::Plain { size, .. } | Self::Zeros(size) => *size,
            Self::Packed { take, .. } => u64::from(*take),
        }
    }

    /// Its bytes from `skip` on, at most `take`.
    fn cut(self, from: u64, count: u64) -> Self {
        let small = |number: u64| u32::try_from(number).expect("a part of a piece of at most 4 GiB");
        match self {
            Self::Plain { offset, .. } => Self::Plain { offset: offset + from, size: count },
            Self::Zeros(_) => Self::Zeros(count),
            Self::Packed { offset, size, codec, max, skip, .. } => {
                Self::Packed { offset, size, codec, max, skip: skip + small(from), take: small(count) }
            }
        }
    }

    /// Whether it lies within `size` bytes and says nothing absurd.
    fn check(&self, size: u64) -> io::Result<()> {
        let (offset, length) = match self {
            Self::Plain { offset, size } | Self::Packed { offset, size, .. } => (*offset, *size),
            Self::Zeros(_) => (0, 0),
        };
        if offset.checked_add(length).is_none_or(|end| end > size) {
            return Err(invalid(format!("a piece of {length} bytes at {offset} reaches beyond the end at {size}")));
        }
        match self {
            Self::Packed { max, .. } if *max as usize > Codec::MAX_BLOCK => Err(invalid("a compressed block has more than 16 MiB")),
            Self::Packed { size, .. } if *size > 2 * Codec::MAX_BLOCK as u64 => Err(invalid("a compressed block has more than 32 MiB")),
            Self::Packed { max, skip, take, .. } if skip.checked_add(*take).is_none_or(|end| end > *max) => {
                Err(invalid("more is to be taken out of a compressed block than it has"))
            }
            _ => Ok(()),
        }
    }
}

fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text.into())
}

/// Pieces of one base.
pub(crate) struct Pieces {
    of: Arc<Base>,
    /// Where each begins in the result, ascending.
    starts: Vec<u64>,
    pieces: Vec<Piece>,
    size: u64,
}

/// A source of these pieces of `of`.
pub(crate) fn compose(of: &Arc<Base>, pieces: &[Piece]) -> io::Result<Base> {
    let size = of.size()?;
    pieces.iter().try_for_each(|piece| piece.check(size))?;
    let (of, composed) = match &of.kind {
        Kind::Pieces(below) => match below.flatten(pieces)? {
            Some(flat) => (Arc::clone(&below.of), flat),
            None => (Arc::clone(of), pieces.to_vec()),
        },
        _ => (Arc::clone(of), pieces.to_vec()),
    };
    let composed = Pieces::new(&of, composed)?;
    Base::above(&of, Kind::Pieces(composed))
}

impl Pieces {
    fn new(of: &Arc<Base>, mut pieces: Vec<Piece>) -> io::Result<Self> {
        pieces.retain(|piece| piece.len() > 0);
        pieces.dedup_by(|next, last| merge(last, next));
        if pieces.len() > MAX_PIECES {
            return Err(invalid(format!("a source of more than {MAX_PIECES} pieces")));
        }
        pieces.shrink_to_fit();
        let mut starts = Vec::with_capacity(pieces.len());
        let mut size = 0_u64;
        for piece in &pieces {
            starts.push(size);
            size = size.checked_add(piece.len()).ok_or_else(|| bomb("a composed source"))?;
        }
        if size > believable(of.size()?) {
            return Err(bomb("a composed source").into());
        }
        Ok(Self { of: Arc::clone(of), starts, pieces, size })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn weight(&self) -> usize {
        self.pieces.len() * (size_of::<Piece>() + size_of::<u64>())
    }

    /// Pieces of these pieces, as pieces of what these are made of; `None` if a compressed block does not lie in one
    /// piece.
    fn flatten(&self, pieces: &[Piece]) -> io::Result<Option<Vec<Piece>>> {
        let mut flat = Vec::new();
        for piece in pieces {
            match *piece {
                Piece::Plain { offset, size } => flat.extend(self.range(offset, size)),
                Piece::Zeros(_) => flat.push(*piece),
                Piece::Packed { offset, size, codec, max, skip, take } => match self.range(offset, size).collect::<Vec<_>>()[..] {
                    [Piece::Plain { offset, .. }] => flat.push(Piece::Packed { offset, size, codec, max, skip, take }),
                    _ => return Ok(None),
                },
            }
            if flat.len() > MAX_PIECES {
                return Err(invalid(format!("a source of more than {MAX_PIECES} pieces")));
            }
        }
        Ok(Some(flat))
    }

    /// The pieces that `size` bytes from `offset` on are made of.
    fn range(&self, offset: u64, size: u64) -> impl Iterator<Item = Piece> {
        let first = self.index(offset);
        let end = offset + size;
        let pieces = self.pieces[first..].iter().zip(&self.starts[first..]);
        pieces.take_while(move |(_, start)| **start < end).filter_map(move |(piece, start)| {
            let from = offset.max(*start);
            let to = end.min(start + piece.len());
            (from < to).then(|| piece.cut(from - start, to - from))
        })
    }

    /// The piece that the byte at `offset` lies in.
    fn index(&self, offset: u64) -> usize {
        self.starts.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        let index = self.index(offset);
        let into = offset - self.starts[index];
        let piece = self.pieces[index];
        let count = buffer.len().min(usize::try_from(piece.len() - into).unwrap_or(usize::MAX));
        let buffer = &mut buffer[..count];
        match piece {
            Piece::Zeros(_) => buffer.fill(0),
            Piece::Plain { offset, .. } => {
                let read = self.of.read_at(buffer, offset + into)?;
                return if read == 0 { Err(shorter()) } else { Ok(read) };
            }
            Piece::Packed { skip, take, .. } => {
                let block = self.block(piece)?;
                let taken = block.get(skip as usize..skip as usize + take as usize);
                let taken = taken.ok_or_else(|| {
                    let text = format!("a compressed block has only {} bytes, fewer than are to be taken", block.len());
                    io::Error::new(io::ErrorKind::InvalidData, text)
                })?;
                let into = usize::try_from(into).expect("within a block");
                buffer.copy_from_slice(&taken[into..into + count]);
            }
        }
        Ok(count)
    }

    /// The decoded block of a packed piece.
    fn block(&self, piece: Piece) -> io::Result<Arc<[u8]>> {
        let Piece::Packed { offset, size, codec, max, .. } = piece else { unreachable!("only packed pieces have a block") };
        let key = (self.of.number, offset, size, codec, max);
        if let Some(block) = lock(self.of.spool.blocks()).get(&key) {
            return Ok(block);
        }
        let data = self.of.read_vec(offset, usize::try_from(size).expect("at most 32 MiB"))?;
        if data.len() as u64 != size {
            return Err(shorter());
        }
        let block: Arc<[u8]> = codec.decode_block(&data, max as usize)?.into();
        lock(self.of.spool.blocks()).put(key, Arc::clone(&block));
        Ok(block)
    }
}

/// Adds `next` to `last` if it goes on where that ends.
fn merge(last: &mut Piece, next: &Piece) -> bool {
    match (last, next) {
        (Piece::Plain { offset, size }, Piece::Plain { offset: next, size: more }) if *offset + *size == *next => {
            *size += more;
            true
        }
        (Piece::Zeros(count), Piece::Zeros(more)) if count.checked_add(*more).is_some() => {
            *count += more;
            true
        }
        _ => false,
    }
}
