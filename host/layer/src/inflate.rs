//! Deflate streams that end where they have to: flate2's own readers take one that is cut off for a short one.

use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress, Status};

/// The plain bytes of one RFC 1951 or RFC 1950 stream.
pub(crate) struct Inflate<R> {
    input: R,
    state: Decompress,
    done: bool,
}

impl<R: BufRead> Inflate<R> {
    /// With `zlib`, the stream has RFC 1950's header and checksum.
    pub(crate) fn new(input: R, zlib: bool) -> Self {
        Self { input, state: Decompress::new(zlib), done: false }
    }

    /// Nothing may follow.
    fn end(&mut self) -> io::Result<usize> {
        if self.input.fill_buf()?.is_empty() { Ok(0) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "something follows its end")) }
    }
}

impl<R: BufRead> Read for Inflate<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.done && !buffer.is_empty() {
            let input = self.input.fill_buf()?;
            let ended = input.is_empty();
            let (before, written) = (self.state.total_in(), self.state.total_out());
            let damaged = |error: flate2::DecompressError| io::Error::new(io::ErrorKind::InvalidData, error);
            let status = self.state.decompress(input, buffer, FlushDecompress::None).map_err(damaged)?;
            let consumed = self.state.total_in() - before;
            self.input.consume(usize::try_from(consumed).expect("no more than the buffer holds"));
            let count = usize::try_from(self.state.total_out() - written).expect("no more than the buffer holds");
            self.done = status == Status::StreamEnd;
            if count > 0 {
                return Ok(count);
            }
            if ended && !self.done {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        if self.done { self.end() } else { Ok(0) }
    }
}
