//! A client that is attached to a program in a container: its terminal, its standard streams, its signals.
//!
//! Three threads: one writes what the program prints, one sends what the user types, one passes signals on. Whichever sees
//! the end first tells the caller, who leaves; the others end with the process. What the program prints goes out byte for
//! byte: it is the user's own program.

mod keys;
mod raw;
mod signals;

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Write},
    os::fd::AsFd,
    process::{ExitCode, exit},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI32, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
};

use anyhow::{Context as _, Result, anyhow};
use nacre_runtime::{Event, Input, Output, Session, Stream};

pub(crate) use self::{
    keys::{DEFAULT as DETACH_KEYS, Keys},
    raw::check,
};
use self::{
    raw::{Raw, size},
    signals::{SIGWINCH, Signals},
};
use crate::failure::{StdoutClosed, warn};

/// How much of standard input is sent at a time.
const PIECE: usize = 32 << 10;

/// How an attachment ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The program ended with this exit code.
    Exited(u8),
    /// The program runs on, and nobody is attached: the user typed the detach keys, or never wanted to be.
    Detached,
    /// What the program prints cannot be had, or nobody is there to read it. It runs on.
    Unheard(anyhow::Error),
}

impl End {
    /// Whether the program still runs, as far as is known.
    pub(crate) fn runs_on(&self) -> bool {
        !matches!(self, Self::Exited(_))
    }

    /// The exit code of the client.
    pub(crate) fn code(self) -> Result<ExitCode> {
        match self {
            Self::Exited(code) => Ok(code.into()),
            Self::Detached => Ok(ExitCode::SUCCESS),
            Self::Unheard(error) => Err(error),
        }
    }
}

/// What a client does with its own side.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    /// The program has a terminal.
    pub tty: bool,
    /// Standard input goes to the program.
    pub stdin: bool,
    /// Signals go to the program.
    pub signals: bool,
    /// Detach.
    pub keys: Keys,
}

/// A client that will be attached. A signal that comes before the program is there waits for it; a second one ends the client.
pub(crate) struct Client {
    side: Side,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    program: OnceLock<Input>,
    terminal: OnceLock<Raw>,
    /// The number of a signal that came before the program; 0 for none.
    early: AtomicI32,
}

impl Client {
    /// Catches signals; without a terminal and without passing them on there is no need to.
    pub(crate) fn new(side: Side) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        if side.signals || side.tty {
            let (told, pass_on) = (Arc::clone(&shared), side.signals);
            Signals::catch(pass_on)?.tell(move |number| told.signal(number, pass_on));
        }
        Ok(Self { side, shared })
    }

    /// Rows and columns that the program's terminal gets.
    pub(crate) fn size(&self) -> Option<(u16, u16)> {
        self.side.tty.then(size).flatten()
    }

    /// Stays with the program until it ends or the user leaves.
    pub(crate) fn stay(self, session: Session) -> Result<End> {
        let Self { side, shared } = self;
        let Session { input, output } = session;
        // Dropped on the way out, also by a panic.
        let terminal = (side.tty && side.stdin).then(Raw::new).transpose()?;
        terminal.iter().for_each(|terminal| _ = shared.terminal.set(terminal.clone()));
        let _ = shared.program.set(input.clone());
        let early = shared.early.load(Ordering::SeqCst);
        if early != 0 && side.signals {
            let _ = input.signal(early);
        }
        let (ended, end) = channel();
        if side.stdin {
            let (ended, keys) = (ended.clone(), side.tty.then_some(side.keys));
            thread::spawn(move || send(&input, keys, &ended));
        }
        thread::spawn(move || ended.send(print(output)));
        let end = end.recv().context("the program's output is gone")?;
        drop(terminal);
        if let End::Detached = end {
            // The prompt's line is not at its end.
            let _ = writeln!(io::stderr());
            warn("detached: the program runs on");
        }
        Ok(end)
    }
}

impl Shared {
    /// What becomes of a signal that was sent to the client.
    fn signal(&self, number: i32, pass_on: bool) {
        // Noted first: the program may come just now.
        let earlier = if number == SIGWINCH { 0 } else { self.early.swap(number, Ordering::SeqCst) };
        match self.program.get() {
            Some(program) if number == SIGWINCH => size().map_or((), |(rows, columns)| _ = program.resize(rows, columns)),
            Some(program) if pass_on => _ = program.signal(number),
            None if number == SIGWINCH || (pass_on && earlier == 0) => {}
            _ => self.end(number),
        }
    }

    #[allow(clippy::exit, reason = "that is what the signal asks for")]
    fn end(&self, number: i32) {
        self.restore();
        exit(128 + number)
    }

    fn restore(&self) {
        if let Some(terminal) = self.terminal.get() {
            terminal.restore();
        }
    }
}

/// Sends standard input to the program until it ends or the detach keys come.
fn send(program: &Input, mut keys: Option<Keys>, ended: &Sender<End>) {
    let mut buffer = vec![0; PIECE];
    let Ok(mut typed) = unbuffered(&io::stdin()) else { return };
    loop {
        let count = match typed.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // A terminal that was closed is an end like any other.
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        let (bytes, detach) = match &mut keys {
            Some(keys) => keys.filter(&buffer[..count]),
            None => (buffer[..count].to_vec(), false),
        };
        // What a program that has ended does not take is nobody's.
        if !bytes.is_empty() && program.write(&bytes).is_err() {
            return;
        }
        if detach {
            let _ = ended.send(End::Detached);
            return;
        }
    }
    program.close_stdin();
}

/// Writes what the program prints.
fn print(mut output: Output) -> End {
    let (mut stdout, mut stderr) = match (unbuffered(&io::stdout()), unbuffered(&io::stderr())) {
        (Ok(stdout), Ok(stderr)) => (stdout, stderr),
        (Err(error), _) | (_, Err(error)) => return End::Unheard(error.into()),
    };
    loop {
        let written = match output.next() {
            Ok(Some(Event::Ended(code))) => return End::Exited(code),
            Ok(Some(Event::Output(Stream::Stdout, bytes))) => stdout.write_all(&bytes),
            Ok(Some(Event::Output(Stream::Stderr, bytes))) => stderr.write_all(&bytes),
            Ok(None) => return End::Unheard(anyhow!("the container ended without an exit code")),
            Err(error) => return End::Unheard(error.into()),
        };
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return End::Unheard(StdoutClosed.into()),
            Err(error) => return End::Unheard(anyhow::Error::new(error).context("cannot write what the program prints")),
        }
    }
}

/// A standard stream as the bytes come: a prompt has no line's end.
fn unbuffered(stream: &impl AsFd) -> io::Result<File> {
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}
