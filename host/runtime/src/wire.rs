//! What nacre and its sandbox process say to each other over their socket.
//!
//! Frames of a kind (one byte), a length (four bytes, big endian) and as many bytes: JSON messages, pieces of a layer, or
//! of what a program prints.

use std::{
    io::{self, Read, Write},
    path::PathBuf,
};

use nacre_oci::Descriptor;
use nacre_oci::Digest;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    boot::{Boot, Exec},
    request::{Kept, Reclaim, Run},
    sandbox::Stream,
};

/// The longest frame. A request with its secrets is far shorter.
const MAX_FRAME: u32 = 64 << 20;
const MESSAGE: u8 = b'M';
const DATA: u8 = b'D';
const STDOUT: u8 = b'O';
const STDERR: u8 = b'E';

/// What the parent asks for. The only frame but [`Mapped`], which goes before it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) place: Place,
    pub(crate) task: Task,
}

/// Where and with what.
#[derive(Serialize, Deserialize)]
pub(crate) struct Place {
    /// Where trees are kept: `ROOT/trees`.
    pub(crate) trees: PathBuf,
    /// The OCI runtime.
    pub(crate) runtime: PathBuf,
    /// fuse-overlayfs, if there is one.
    pub(crate) fuse: Option<PathBuf>,
    /// How the layer is to be compressed: the media type.
    pub(crate) compression: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Task {
    /// Only the namespaces are tried.
    Probe,
    /// What ended runs have left is deleted.
    Sweep,
    /// What nobody uses is measured, and deleted.
    Reclaim(Reclaim),
    Run(Box<Run>),
    /// A container is started, and watched until it ends.
    Start {
        boot: Box<Boot>,
        /// Whether the connection becomes a client's.
        attach: bool,
    },
    /// A container's folder is deleted.
    Remove(String),
    /// A stopped container's files are shown.
    Visit(Box<Boot>),
}

/// What a client asks a container's monitor for. After [`Ask::Attach`] and [`Ask::Exec`] all bytes are the program's input.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    Attach,
    Exec(Box<Exec>),
    /// To the container's first process, or to that of an [`Ask::Exec`].
    Signal {
        exec: Option<u64>,
        number: i32,
    },
    Resize {
        exec: Option<u64>,
        rows: u16,
        columns: u16,
    },
    /// Answered when the container has ended.
    Wait,
    /// Until [`Ask::Resume`] or the connection's end.
    Pause,
    Resume,
    /// The container's files: another protocol from here on.
    Files,
}

/// The parent has mapped the ids of the user namespace.
#[derive(Serialize, Deserialize)]
pub(crate) struct Mapped;

/// What the sandbox process tells.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Message {
    /// It is in its user namespace and waits for [`Mapped`].
    Unmapped,
    /// Worth telling the user.
    Warning(String),
    /// The program runs; output may follow.
    Started {
        /// Its number among those that a container's clients have started.
        exec: Option<u64>,
    },
    /// The container that is to be started runs already.
    Already,
    /// The program has ended.
    Ended {
        code: u8,
    },
    /// The program could not be started.
    NotStarted {
        code: u8,
        why: String,
    },
    /// The layer, whose bytes were in the frames before.
    Layer {
        descriptor: Box<Descriptor>,
        diff_id: Digest,
    },
    Kept(Kept),
    /// All is done and cleaned up.
    Done,
    /// It has failed.
    Failed(String),
}

/// What was received.
pub(crate) enum Frame<T> {
    Message(T),
    Data(Vec<u8>),
    Output(Stream, Vec<u8>),
}

/// A message as it is sent.
pub(crate) fn message<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    send(&mut bytes, message)?;
    Ok(bytes)
}

pub(crate) fn send<T: Serialize>(out: &mut impl Write, message: &T) -> io::Result<()> {
    write_frame(out, MESSAGE, &serde_json::to_vec(message)?)
}

pub(crate) fn send_data(out: &mut impl Write, data: &[u8]) -> io::Result<()> {
    write_frame(out, DATA, data)
}

pub(crate) fn send_output(out: &mut impl Write, stream: Stream, bytes: &[u8]) -> io::Result<()> {
    write_frame(out, if stream == Stream::Stdout { STDOUT } else { STDERR }, bytes)
}

fn write_frame(out: &mut impl Write, kind: u8, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= MAX_FRAME);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "too much for one message"))?;
    let mut head = [kind, 0, 0, 0, 0];
    head[1..].copy_from_slice(&length.to_be_bytes());
    out.write_all(&head)?;
    out.write_all(bytes)
}

/// The next frame; none if the other side is gone.
pub(crate) fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<Frame<T>>> {
    let mut head = [0; 5];
    match from.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    if length > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message is too long"));
    }
    let mut bytes = vec![0; length as usize];
    from.read_exact(&mut bytes)?;
    match head[0] {
        MESSAGE => Ok(Some(Frame::Message(serde_json::from_slice(&bytes)?))),
        DATA => Ok(Some(Frame::Data(bytes))),
        STDOUT => Ok(Some(Frame::Output(Stream::Stdout, bytes))),
        STDERR => Ok(Some(Frame::Output(Stream::Stderr, bytes))),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a message of an unknown kind")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in() {
        let mut bytes = Vec::new();
        send(&mut bytes, &Message::Ended { code: 3 }).unwrap();
        send_data(&mut bytes, b"tar").unwrap();
        let mut from = bytes.as_slice();
        assert!(matches!(receive(&mut from).unwrap(), Some(Frame::Message(Message::Ended { code: 3 }))));
        assert!(matches!(receive::<Message>(&mut from).unwrap(), Some(Frame::Data(data)) if data == b"tar"));
        assert!(receive::<Message>(&mut from).unwrap().is_none());
    }

    #[test]
    fn a_frame_that_is_cut_off_is_an_error() {
        let mut bytes = Vec::new();
        send_data(&mut bytes, b"tar").unwrap();
        assert!(receive::<Message>(&mut &bytes[..bytes.len() - 1]).is_err());
        assert!(receive::<Message>(&mut &[b'D', 255, 255, 255, 255][..]).is_err());
    }
}
