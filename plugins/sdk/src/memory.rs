//! Stand-ins for the host in native tests: files of an image in memory.

use std::collections::BTreeMap;

use crate::bytes::{Codec, Packed, Piece, Range};
use crate::files::Entry;
use crate::filesystem::Files;
use crate::{Error, invalid};

/// Decompresses one block, as [`crate::bytes::decode`] does.
pub type Decode = fn(Codec, &[u8], u32) -> Result<Vec<u8>, Error>;

/// Takes the files of an image, with their content.
pub struct Memory<'a> {
    image: &'a [u8],
    decode: Decode,
    /// The block that was decompressed last: many small files may share one.
    last: Option<((u64, u64), Vec<u8>)>,
    /// By their paths.
    pub files: BTreeMap<String, (Entry, Vec<u8>)>,
}

impl<'a> Memory<'a> {
    /// Takes the files of `image`.
    pub fn new(image: &'a [u8], decode: Decode) -> Memory<'a> {
        Memory { image, decode, last: None, files: BTreeMap::new() }
    }

    fn range(&self, range: Range) -> Result<&'a [u8], Error> {
        let from = usize::try_from(range.offset).ok();
        let behind = from.and_then(|from| self.image.get(from..)).unwrap_or_default();
        let part = usize::try_from(range.size).ok().and_then(|size| behind.get(..size));
        part.ok_or_else(|| invalid("cut-off", "a piece beyond the end"))
    }

    fn piece(&mut self, piece: &Piece) -> Result<Vec<u8>, Error> {
        match *piece {
            Piece::Plain(range) => Ok(self.range(range)?.to_vec()),
            // No test looks at more.
            Piece::Zeros(size) => Ok(vec![0; size.min(4 << 20) as usize]),
            Piece::Packed(Packed { at, codec, max, skip, take }) => {
                let key = (at.offset, at.size);
                let block = match self.last.take().filter(|(last, _)| *last == key) {
                    Some((_, block)) => block,
                    None => (self.decode)(codec, self.range(at)?, max)?,
                };
                let (_, block) = self.last.insert((key, block));
                let part = block.get(skip as usize..).and_then(|behind| behind.get(..take as usize));
                part.map(<[u8]>::to_vec).ok_or_else(|| invalid("cut-off", "a piece beyond the end of its block"))
            }
        }
    }
}

impl Files for Memory<'_> {
    fn add(&mut self, entry: Entry, content: &[Piece]) -> Result<(), Error> {
        let mut bytes = Vec::new();
        for piece in content {
            bytes.extend(self.piece(piece)?);
        }
        self.files.insert(entry.path.clone(), (entry, bytes));
        Ok(())
    }
}
