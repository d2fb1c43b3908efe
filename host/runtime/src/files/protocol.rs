//! What is said about a container's files: after a greeting, any number of questions, each with its answer.
//!
//! Content comes in data frames before the answer. What is to be copied in follows its question, and ends with an empty one.

use std::io::{self, Read, Write};

use nacre_oci::{Descriptor, Digest, Error};
use serde::{Deserialize, Serialize};

use crate::{
    files::{CopyIn, PathStat},
    wire::{self, Frame},
};

/// The most bytes of content in one frame.
const PIECE: usize = 1 << 20;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Question {
    /// Answered by records of a kind (`A`, `C`, `D`), a path and a NUL.
    Changes,
    Layer {
        /// The media type.
        compression: String,
    },
    Export,
    Stat {
        path: String,
    },
    CopyOut {
        path: String,
        follow: bool,
    },
    CopyIn {
        folder: String,
        options: CopyIn,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Stat(PathStat),
    /// Without one nothing was changed.
    Layer(Option<(Box<Descriptor>, Digest)>),
    Done,
    Failed(Failure),
}

/// An error, as what it was.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Failure {
    NotFound(String),
    Conflict(String),
    Unsupported(String, String),
    Other(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound { what } => Self::NotFound(what),
            Error::Conflict(why) => Self::Conflict(why),
            Error::Unsupported { what, why } => Self::Unsupported(what, why),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotFound(what) => Self::NotFound { what },
            Failure::Conflict(why) => Self::Conflict(why),
            Failure::Unsupported(what, why) => Self::Unsupported { what, why },
            Failure::Other(why) => Self::Other(why.into()),
        }
    }
}

/// Content on its way out, in frames.
pub(crate) struct Outgoing<W>(pub(crate) W);

impl<W: Write> Write for Outgoing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(PIECE)];
        if !bytes.is_empty() {
            wire::send_data(&mut self.0, bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Content on its way in, out of frames up to an empty one.
pub(crate) struct Incoming<R> {
    from: R,
    piece: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<R: Read> Incoming<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, piece: Vec::new(), at: 0, ended: false }
    }

    /// Reads what is left of it. False if the other side has given up.
    pub(crate) fn finish(&mut self) -> bool {
        while !self.ended {
            self.at = self.piece.len();
            if self.fill().is_err() {
                return false;
            }
        }
        true
    }

    fn fill(&mut self) -> io::Result<()> {
        match wire::receive::<()>(&mut self.from)? {
            Some(Frame::Data(piece)) => {
                self.ended = piece.is_empty();
                (self.piece, self.at) = (piece, 0);
                Ok(())
            }
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl<R: Read> Read for Incoming<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() && !self.ended {
            self.fill()?;
        }
        let count = buffer.len().min(self.piece.len() - self.at);
        buffer[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn content_comes_out_as_it_went_in() {
        let content: Vec<u8> = (0..3_000_000_u32).map(|number| number as u8).collect();
        let mut frames = Vec::new();
        Outgoing(&mut frames).write_all(&content).unwrap();
        wire::send_data(&mut frames, b"").unwrap();
        frames.extend(b"what follows");
        let mut rest = frames.as_slice();
        let mut incoming = Incoming::new(&mut rest);
        let mut bytes = Vec::new();
        incoming.read_to_end(&mut bytes).unwrap();
        assert!(bytes == content && incoming.finish());
        assert_eq!(rest, b"what follows");
        let mut rest = frames.as_slice();
        let mut incoming = Incoming::new(&mut rest);
        incoming.read_exact(&mut [0; 10]).unwrap();
        assert!(incoming.finish());
        assert_eq!(rest, b"what follows");
        assert!(!Incoming::new(&frames[..100]).finish());
    }
}
