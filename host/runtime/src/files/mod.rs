//! A container's files, whether it runs or not.
//!
//! What looks at them and changes them is a process inside: the monitor of a running container, or a sandbox process that
//! mounts what a stopped one has. So nothing that a container's programs do leads out of the container.

pub(crate) mod protocol;

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
};

use nacre_layer::{Change, ChangeKind, Compression, Layer};
use nacre_oci::{Error, Result, Staged};
use serde::{Deserialize, Serialize};

use crate::{
    boot::Boot,
    control::Control,
    sandbox::{Running, Sandbox},
    wire::{self, Frame, Message, Task},
};
use protocol::{Answer, Question};

/// What has a path in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStat {
    /// The last part of the path that was asked for; `/` for the root, `.` if it was asked for with a dot at its end.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// Kind and permissions, as in `st_mode` (`stat(2)`).
    pub mode: u32,
    /// When it was last changed, in seconds since 1970 ...
    pub mtime: i64,
    /// ... and billionths of a second.
    pub nanos: u32,
    /// Of a symbolic link, where it leads in the container, whether or not anything is there; otherwise empty.
    pub link_target: String,
}

/// How files are copied into a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyIn {
    /// Whether a folder may take the place of something else, and something else that of a folder (the contrary of the
    /// archive API's `noOverwriteDirNonDir`).
    pub replace: bool,
    /// Whether they become the container's user's (`copyUIDGID`, `docker cp --archive`); otherwise owners are kept.
    pub as_user: bool,
}

/// A container's files.
pub struct Files<'a> {
    // Closed first: then the sandbox process ends.
    socket: UnixStream,
    _visit: Option<Running<'a>>,
    warnings: Vec<String>,
}

impl Sandbox {
    /// The files of a container, as it was or is to be started.
    ///
    /// # Errors
    /// If there is no such container, or its files cannot be mounted.
    pub fn files(&self, boot: &Boot) -> Result<Files<'_>> {
        let root = self.host.trees.parent().unwrap_or(&self.host.trees);
        // It may end, or be started, between the one and the other.
        loop {
            if let Some(control) = Control::connect(root, &boot.id)? {
                let mut socket = control.files()?;
                if is_greeted(&mut socket)? {
                    return Ok(Files { socket, _visit: None, warnings: Vec::new() });
                }
            }
            let mut visit = self.host.start(Task::Visit(Box::new(boot.clone())), Compression::None)?;
            if let (Some(socket), heard) = visit.converse()? {
                return Ok(Files { socket, _visit: Some(visit), warnings: heard.warnings });
            }
        }
    }
}

/// Waits for the greeting. False if the other side is gone before.
fn is_greeted(socket: &mut UnixStream) -> Result<bool> {
    match wire::receive(socket) {
        Ok(Some(Frame::Message(Message::Started { .. }))) => Ok(true),
        Ok(Some(Frame::Message(Message::Failed(why)))) => Err(Error::Other(why.into())),
        Ok(None) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(false),
        Ok(Some(_)) => Err(malformed()),
        Err(error) => Err(talking(error)),
    }
}

impl Files<'_> {
    /// Worth telling the user.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What was changed since the image, by the rules of `docker diff`, sorted by path. Mount points that nacre has made
    /// are left out.
    ///
    /// # Errors
    /// If something cannot be read.
    pub fn changes(&mut self) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        self.ask(&Question::Changes)?;
        let mut records = BufReader::new(Outcome::of(&mut self.socket));
        let mut record = Vec::new();
        while records.read_until(0, &mut record).map_err(talking)? > 0 {
            changes.push(change(&record).ok_or_else(malformed)?);
            record.clear();
        }
        done(records.into_inner().end()?)?;
        Ok(changes)
    }

    /// Stores in `out` the layer of what was changed; the same changes make the same layer. None, and nothing is stored, if
    /// nothing was changed. A container whose programs go on changing files meanwhile gives a sound layer too.
    ///
    /// # Errors
    /// If something cannot be read, or the layer cannot be stored.
    pub fn layer(&mut self, compression: Compression, mut out: Box<dyn Staged>) -> Result<Option<Layer>> {
        self.ask(&Question::Layer { compression: compression.media_type().into() })?;
        let Answer::Layer(layer) = self.receive(&mut *out)? else { return Err(malformed()) };
        let layer = layer.map(|(descriptor, diff_id)| Layer { descriptor: *descriptor, diff_id });
        if let Some(layer) = &layer {
            out.commit(&layer.descriptor)?;
        }
        Ok(layer)
    }

    /// Writes the whole tree as a tar, as `docker export`: with the folders of volumes, but not with what is in them.
    ///
    /// # Errors
    /// If something cannot be read, or `out` cannot be written.
    pub fn export(&mut self, out: &mut dyn Write) -> Result<()> {
        self.ask(&Question::Export)?;
        done(self.receive(out)?)
    }

    /// What has a path. A link at its end is not followed, unless the path ends in `/` or `/.`.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the path; if the path leads through a file.
    pub fn stat(&mut self, path: &str) -> Result<PathStat> {
        self.ask(&Question::Stat { path: path.into() })?;
        match self.receive(&mut io::sink())? {
            Answer::Stat(stat) => Ok(stat),
            _ => Err(malformed()),
        }
    }

    /// Writes the tar of what has a path, as Docker's archive API: a file, or a folder and what is below it, under the last
    /// part of the path that was asked for; `/` and a dot become `./`. A link at the path's end is taken as one, unless it is to
    /// be followed. What `/proc`, `/sys` and `/dev` hold is never there.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the path; if something cannot be read, or `out` cannot be written.
    pub fn copy_out(&mut self, path: &str, follow: bool, out: &mut dyn Write) -> Result<()> {
        self.ask(&Question::CopyOut { path: path.into(), follow })?;
        done(self.receive(out)?)
    }

    /// Extracts a tar, plain or compressed, into a folder that is there, as Docker's archive API.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the path; in Docker's words, if it is no folder, cannot be written, or something must not be
    /// replaced; if the tar cannot be read or is malformed. What was extracted till then stays.
    pub fn copy_in(&mut self, folder: &str, tar: &mut dyn Read, options: &CopyIn) -> Result<()> {
        self.ask(&Question::CopyIn { folder: folder.into(), options: *options })?;
        // Whoever fails inside says why afterwards.
        let sent = send_all(tar, &mut self.socket)?;
        let answer = self.receive(&mut io::sink());
        match (sent, answer) {
            (Ok(()), answer) => done(answer?),
            (Err(error), Err(Error::Io { .. }) | Ok(_)) => Err(talking(error)),
            (Err(_), Err(why)) => Err(why),
        }
    }

    fn ask(&mut self, question: &Question) -> Result<()> {
        wire::send(&mut self.socket, question).map_err(talking)
    }

    /// Passes on the content of an answer, and returns its end.
    fn receive(&mut self, out: &mut (impl Write + ?Sized)) -> Result<Answer> {
        let mut content = Outcome::of(&mut self.socket);
        while let Some(piece) = content.next().map_err(talking)? {
            if let Err(error) = out.write_all(&piece) {
                // The rest of it is in the way of any other question.
                let _ = self.socket.shutdown(Shutdown::Both);
                return Err(Error::io("write what a container has")(error));
            }
        }
        content.end()
    }
}

/// The content that comes before an answer, and then the answer.
struct Outcome<'a> {
    socket: &'a mut UnixStream,
    piece: io::Cursor<Vec<u8>>,
    answer: Option<Answer>,
}

impl<'a> Outcome<'a> {
    fn of(socket: &'a mut UnixStream) -> Self {
        Self { socket, piece: io::Cursor::default(), answer: None }
    }

    /// The next piece; none when the answer has come.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        match wire::receive(self.socket)? {
            Some(Frame::Data(piece)) => return Ok(Some(piece)),
            Some(Frame::Message(answer)) => self.answer = Some(answer),
            Some(Frame::Output(..)) => return Err(io::ErrorKind::InvalidData.into()),
            None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the container has ended")),
        }
        Ok(None)
    }

    fn end(self) -> Result<Answer> {
        match self.answer {
            Some(Answer::Failed(failure)) => Err(failure.into()),
            answer => answer.ok_or_else(malformed),
        }
    }
}

impl Read for Outcome<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.piece.read(buffer)?;
            if count > 0 || self.answer.is_some() {
                return Ok(count);
            }
            self.piece = io::Cursor::new(self.next()?.unwrap_or_default());
        }
    }
}

/// Sends content and its end. Inside: whether the other side took it.
fn send_all(content: &mut dyn Read, socket: &mut UnixStream) -> Result<io::Result<()>> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = match content.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let _ = socket.shutdown(Shutdown::Both);
                return Err(Error::io("read what is to be copied")(error));
            }
            Ok(count) => count,
        };
        let sent = wire::send_data(socket, &buffer[..count]);
        if count == 0 || sent.is_err() {
            return Ok(sent);
        }
    }
}

/// What a record says.
fn change(record: &[u8]) -> Option<Change> {
    let (kind, path) = record.strip_suffix(b"\0")?.split_first()?;
    let kind = match kind {
        b'A' => ChangeKind::Added,
        b'C' => ChangeKind::Changed,
        b'D' => ChangeKind::Deleted,
        _ => return None,
    };
    Some(Change { kind, path: path.to_vec() })
}

fn done(answer: Answer) -> Result<()> {
    if matches!(answer, Answer::Done) { Ok(()) } else { Err(malformed()) }
}

fn malformed() -> Error {
    Error::malformed("what is said of a container's files", "it is no answer to what was asked")
}

fn talking(error: io::Error) -> Error {
    Error::io("talk to the container")(error)
}
