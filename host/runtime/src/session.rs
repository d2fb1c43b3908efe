//! A client's connection to a program in a container: what the program prints, and what it reads.

use std::{
    io::{ErrorKind, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use nacre_oci::{Error, Result};

use crate::{
    control::Control,
    sandbox::Stream,
    state::code_after_kill,
    wire::{self, Ask, Frame, Message},
};

/// A client of a program. Both halves may be used at the same time, by different threads.
#[derive(Debug)]
pub struct Session {
    /// What goes to the program.
    pub input: Input,
    /// What comes from it.
    pub output: Output,
}

/// A program's input. The program's standard input is at its end, if it ends with this client's, when all clones and the
/// output are dropped.
#[derive(Clone, Debug)]
pub struct Input(Arc<Sending>);

#[derive(Debug)]
struct Sending {
    socket: UnixStream,
    root: PathBuf,
    id: String,
    exec: Option<u64>,
    /// For what must not wait behind the standard input; opened when it is needed.
    aside: Mutex<Option<Control>>,
}

/// A program's output.
#[derive(Debug)]
pub struct Output {
    socket: UnixStream,
    root: PathBuf,
    id: String,
    ended: bool,
}

/// What comes from a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It has printed something. With a terminal all is standard output.
    Output(Stream, Vec<u8>),
    /// It has ended with this exit code: 128 and the signal's number if a signal ended it. The last event.
    Ended(u8),
}

impl Session {
    pub(crate) fn new(socket: UnixStream, root: PathBuf, id: String, exec: Option<u64>) -> Result<Self> {
        let own = socket.try_clone().map_err(Error::io("use the connection to a container"))?;
        let output = Output { socket, root: root.clone(), id: id.clone(), ended: false };
        let input = Input(Arc::new(Sending { socket: own, root, id, exec, aside: Mutex::new(None) }));
        Ok(Self { input, output })
    }
}

impl Input {
    /// Gives the program something to read. Waits as long as the program reads nothing.
    ///
    /// # Errors
    /// If the program has ended.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        (&self.0.socket).write_all(bytes).map_err(Error::io("write to the program in the container"))
    }

    /// There is no more to read. The program hears of it if its standard input ends with this client's.
    pub fn close_stdin(&self) {
        let _ = self.0.socket.shutdown(Shutdown::Write);
    }

    /// The client's terminal has changed its size.
    ///
    /// # Errors
    /// If the program has ended, or has no terminal.
    pub fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        self.aside(&Ask::Resize { exec: self.0.exec, rows, columns })
    }

    /// Sends the program a signal, by its number.
    ///
    /// # Errors
    /// If the program has ended, or there is no such signal.
    pub fn signal(&self, number: i32) -> Result<()> {
        self.aside(&Ask::Signal { exec: self.0.exec, number })
    }

    fn aside(&self, ask: &Ask) -> Result<()> {
        let mut aside = self.0.aside.lock().unwrap_or_else(PoisonError::into_inner);
        if aside.is_none() {
            *aside = Control::connect(&self.0.root, &self.0.id)?;
        }
        let control = aside.as_mut().ok_or_else(|| Error::Conflict(format!("container {} is not running", self.0.id)))?;
        control.order(ask)
    }
}

impl Output {
    /// The next event; none after the last one. A program whose monitor was killed has ended with 137.
    ///
    /// # Errors
    /// If something comes that is no event.
    #[allow(clippy::should_implement_trait, reason = "an iterator would go on after an error")]
    pub fn next(&mut self) -> Result<Option<Event>> {
        while !self.ended {
            match wire::receive(&mut self.socket) {
                Ok(Some(Frame::Output(stream, bytes))) => return Ok(Some(Event::Output(stream, bytes))),
                Ok(Some(Frame::Message(Message::Ended { code }))) => return Ok(Some(self.end(code))),
                Ok(Some(Frame::Message(_))) => {}
                Ok(Some(Frame::Data(_))) => return Err(Error::malformed("what a container's monitor says", "data without a question")),
                Ok(None) => return Ok(Some(self.killed())),
                Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                    return Ok(Some(self.killed()));
                }
                Err(error) => return Err(Error::io("listen to a container")(error)),
            }
        }
        Ok(None)
    }

    fn killed(&mut self) -> Event {
        let code = code_after_kill(&self.root, &self.id);
        self.end(code)
    }

    fn end(&mut self, code: u8) -> Event {
        self.ended = true;
        Event::Ended(code)
    }
}
