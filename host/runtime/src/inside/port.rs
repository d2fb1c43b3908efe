//! The sandbox process's end of the socket to its parent, which is its standard input.

use std::{
    io::{self, Write},
    os::unix::net::UnixStream,
    sync::{Mutex, PoisonError},
};

use nacre_layer::Compression;
use nacre_oci::{Algorithm, Descriptor, Digest, Error, Hasher, Result, Staged};
use rustix::stdio;
use serde::de::DeserializeOwned;

use crate::wire::{self, Frame, Message};

/// Speaks to the parent.
pub(crate) struct Port {
    socket: Mutex<UnixStream>,
}

impl Port {
    /// The one of this process.
    pub(crate) fn own() -> Result<Self> {
        let socket = stdio::stdin().try_clone_to_owned().map_err(Error::io("use the socket to the parent"))?;
        Ok(Self { socket: Mutex::new(socket.into()) })
    }

    /// The same once more.
    pub(crate) fn socket(&self) -> Result<UnixStream> {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        socket.try_clone().map_err(Error::io("use the socket to the parent"))
    }

    pub(crate) fn tell(&self, message: &Message) -> Result<()> {
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        wire::send(&mut *socket, message).map_err(Error::io("talk to the parent"))
    }

    /// Tells what the user should know. Nothing depends on it.
    pub(crate) fn warn(&self, text: impl Into<String>) {
        let _ = self.tell(&Message::Warning(text.into()));
    }

    /// The parent's next message. Not a byte more is read.
    pub(crate) fn hear<T: DeserializeOwned>(&self) -> Result<T> {
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        match wire::receive(&mut *socket).map_err(Error::io("listen to the parent"))? {
            Some(Frame::Message(message)) => Ok(message),
            Some(Frame::Data(_) | Frame::Output(..)) | None => Err(Error::Cancelled),
        }
    }
}

/// How the parent wants layers.
pub(crate) fn compression(media_type: &str) -> Compression {
    let all = [Compression::None, Compression::Gzip, Compression::Zstd];
    all.into_iter().find(|compression| compression.media_type() == media_type).unwrap_or(Compression::None)
}

/// A layer on its way to the parent, which stores it.
pub(crate) struct Uplink<W = UnixStream> {
    socket: W,
    hasher: Hasher,
}

impl Uplink {
    pub(crate) fn new(port: &Port) -> Result<Self> {
        port.socket().map(Self::over)
    }
}

impl<W: Write> Uplink<W> {
    pub(crate) fn over(socket: W) -> Self {
        Self { socket, hasher: Hasher::new(Algorithm::Sha256) }
    }
}

impl<W: Write> Write for Uplink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(1 << 20)];
        wire::send_data(&mut self.socket, bytes)?;
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write + Send> Staged for Uplink<W> {
    fn written(&self) -> (Digest, u64) {
        (self.hasher.digest(), self.hasher.count())
    }

    /// The parent commits it, when it has heard the descriptor.
    fn commit(self: Box<Self>, _descriptor: &Descriptor) -> Result<()> {
        Ok(())
    }
}
