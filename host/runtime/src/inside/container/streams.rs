//! A program's standard streams: nothing, pipes, or a terminal.

use std::{
    fs::{self, File},
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixListener,
    },
    path::Path,
    process::{Command, Stdio},
};

use rustix::{
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
    termios::{Winsize, tcsetwinsize},
};

use crate::sandbox::Stream;

/// Which streams a program is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Those of `/dev/null`.
    Nothing,
    Pipes {
        stdin: bool,
    },
    /// One with so many rows and columns at first, if they are known.
    Terminal(Option<(u16, u16)>),
}

/// The monitor's ends of a program's streams.
#[derive(Default)]
pub(crate) struct Streams {
    /// What the program reads.
    pub(crate) input: Option<File>,
    pub(crate) outputs: Vec<(Stream, File)>,
    pub(crate) terminal: Option<File>,
}

/// The OCI runtime sends the terminal that it makes to this socket.
pub(crate) struct TerminalSocket(UnixListener);

impl Streams {
    /// The streams of the program that a command starts. A terminal comes later, by a [`TerminalSocket`].
    pub(crate) fn of(wanted: Wanted, command: &mut Command) -> io::Result<Self> {
        let Wanted::Pipes { stdin } = wanted else {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            return Ok(Self::default());
        };
        let (stdout, to_stdout) = io::pipe()?;
        let (stderr, to_stderr) = io::pipe()?;
        command.stdin(Stdio::null()).stdout(to_stdout).stderr(to_stderr);
        let mut input = None;
        if stdin {
            let (theirs, ours) = io::pipe()?;
            command.stdin(theirs);
            input = Some(File::from(OwnedFd::from(ours)));
        }
        let outputs = [(Stream::Stdout, stdout), (Stream::Stderr, stderr)];
        Ok(Self { input, outputs: outputs.map(|(stream, pipe)| (stream, File::from(OwnedFd::from(pipe)))).into(), terminal: None })
    }

    /// Those of a terminal, by its end that is not the program's.
    fn of_terminal(end: OwnedFd, size: Option<(u16, u16)>) -> io::Result<Self> {
        let terminal = File::from(end);
        if let Some((rows, columns)) = size {
            resize(&terminal, rows, columns)?;
        }
        let output = (Stream::Stdout, terminal.try_clone()?);
        Ok(Self { input: Some(terminal.try_clone()?), outputs: vec![output], terminal: Some(terminal) })
    }
}

impl TerminalSocket {
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    /// The streams of the terminal, which the OCI runtime has sent before it has ended well.
    pub(crate) fn streams(self, size: Option<(u16, u16)>) -> io::Result<Streams> {
        let (runtime, _) = self.0.accept()?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut received = RecvAncillaryBuffer::new(&mut space);
        recvmsg(&runtime, &mut [IoSliceMut::new(&mut [0; 4096])], &mut received, RecvFlags::CMSG_CLOEXEC)?;
        let mut ends = received.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(files) => Some(files),
            _ => None,
        });
        let end = ends.find_map(|mut files| files.next());
        Streams::of_terminal(end.ok_or_else(|| io::Error::other("the OCI runtime has sent no terminal"))?, size)
    }
}

/// Changes a terminal's size; its programs hear of it.
pub(crate) fn resize(terminal: &File, rows: u16, columns: u16) -> io::Result<()> {
    Ok(tcsetwinsize(terminal.as_fd(), Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?)
}

/// Ends a socket's name.
impl Drop for TerminalSocket {
    fn drop(&mut self) {
        if let Some(path) = self.0.local_addr().ok().and_then(|address| address.as_pathname().map(Path::to_owned)) {
            let _ = fs::remove_file(path);
        }
    }
}
