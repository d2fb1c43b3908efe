//! A running program: what it prints goes to its clients and to the log, and they write what it reads.

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use nacre_oci::{Error, Result};

use crate::{
    inside::{
        container::{
            client::Client,
            crowd::Crowd,
            log::Log,
            process::Process,
            streams::{self, Streams, TerminalSocket, Wanted},
        },
        start::{Oci, shell_code},
    },
    sandbox::Stream,
    wire::{self, Message},
};

/// How long an ended program's output is waited for, in case a process outside of the container holds it open.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A program that was started.
pub(crate) struct Program {
    pub(crate) process: Process,
    input: Mutex<Option<Arc<File>>>,
    /// Whether its input ends with that of a client.
    once: bool,
    terminal: Option<File>,
    outputs: Mutex<Vec<(Stream, File)>>,
    audience: Mutex<Audience>,
}

#[derive(Default)]
struct Audience {
    listeners: Vec<Arc<Client>>,
    /// Those who only wait for the end.
    waiting: Vec<Arc<Client>>,
    ended: Option<u8>,
}

/// That a program could not be started.
pub(crate) struct NotStarted {
    /// What a shell would give.
    pub(crate) code: u8,
    /// In the OCI runtime's words.
    pub(crate) why: String,
}

impl Program {
    /// Starts one by a command of the OCI runtime, which is told to leave it to this process.
    pub(crate) fn start(oci: &Oci, name: &str, words: &[&str], wanted: Wanted, once: bool) -> Result<Result<Self, NotStarted>> {
        let doing = || Error::io("prepare a program's standard streams");
        let pid = oci.memory.join(format!("{name}.pid"));
        // The path of a socket can only be short; this process, the first, is in the folder that holds the bundle.
        let socket = format!("/proc/1/cwd/memory/{name}.tty");
        let terminal = match wanted {
            Wanted::Terminal(size) => Some((TerminalSocket::new(socket.as_ref()).map_err(doing())?, size)),
            _ => None,
        };
        let mut streams = Streams::default();
        let (code, complaint) = oci.call(&format!("{name}.log"), |command| {
            command.args(words).arg("--detach").arg("--pid-file").arg(&pid);
            if terminal.is_some() {
                command.args(["--console-socket", &socket]);
            }
            command.arg(&oci.id);
            streams = Streams::of(wanted, command)?;
            Ok(())
        })?;
        if code != 0 {
            let why = complaint.unwrap_or_else(|| format!("the OCI runtime ended with {code}"));
            return Ok(Err(NotStarted { code: shell_code(&why), why }));
        }
        if let Some((socket, size)) = terminal {
            streams = socket.streams(size).map_err(Error::io("get the program's terminal"))?;
        }
        let process = Process::named(&fs::read_to_string(&pid).map_err(Error::io("read the program's process id"))?)?;
        let _ = fs::remove_file(pid);
        Ok(Ok(Self::new(process, streams, once)))
    }

    fn new(process: Process, streams: Streams, once: bool) -> Self {
        let Streams { input, outputs, terminal } = streams;
        let input = Mutex::new(input.map(Arc::new));
        // A terminal's other end does not end with its client.
        let once = once && terminal.is_none();
        Self { process, input, once, terminal, outputs: Mutex::new(outputs), audience: Mutex::default() }
    }

    /// From now on what it prints is passed on. Waits for its end, and that all of it is passed on. Returns its exit code.
    pub(crate) fn watch(self: &Arc<Self>, log: Option<&File>) -> Result<u8> {
        let (sender, receiver) = mpsc::channel::<()>();
        for (stream, file) in std::mem::take(&mut *self.outputs.lock().unwrap_or_else(PoisonError::into_inner)) {
            let log = log.map(File::try_clone).transpose().map_err(Error::io("use the log"))?.map(|file| Log::new(file, stream));
            let (program, sender) = (Arc::clone(self), sender.clone());
            thread::spawn(move || {
                program.pass_on(stream, file, log);
                drop(sender);
            });
        }
        drop(sender);
        let code = self.process.wait();
        let listeners = self.audience().listeners.clone();
        listeners.iter().for_each(|client| client.hurry());
        let _ = receiver.recv_timeout(LAST_WORDS);
        Ok(code)
    }

    fn pass_on(&self, stream: Stream, mut from: File, mut log: Option<Log>) {
        let mut buffer = vec![0; 32 << 10];
        // A terminal that nobody has open any more is an error.
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let bytes = &buffer[..count];
            if let Some(log) = &mut log {
                log.add(bytes);
            }
            self.tell(stream, bytes);
        }
        if let Some(log) = &mut log {
            log.end();
        }
    }

    fn tell(&self, stream: Stream, bytes: &[u8]) {
        let listeners = {
            let mut audience = self.audience();
            audience.listeners.retain(|client| !client.is_gone());
            audience.listeners.clone()
        };
        let mut frame = Vec::with_capacity(bytes.len() + 8);
        if !listeners.is_empty() && wire::send_output(&mut frame, stream, bytes).is_ok() {
            // Nothing is held meanwhile: a slow one must not keep others from coming.
            listeners.iter().for_each(|client| client.send(frame.clone()));
        }
    }

    /// Adds a client, who first hears a message.
    pub(crate) fn listen(&self, socket: UnixStream, hello: &Message, crowd: &Crowd) -> Result<()> {
        let client = Client::new(socket, crowd);
        client.send(wire::message(hello).map_err(Error::io("talk to a client"))?);
        let mut audience = self.audience();
        match audience.ended {
            Some(code) => client.end(end(code)),
            None => audience.listeners.push(client),
        }
        Ok(())
    }

    /// Adds somebody who hears only of the end.
    pub(crate) fn tell_end(&self, socket: UnixStream, crowd: &Crowd) -> Arc<Client> {
        let client = Client::new(socket, crowd);
        let mut audience = self.audience();
        audience.waiting.retain(|client| !client.is_gone());
        match audience.ended {
            Some(code) => client.end(end(code)),
            None => audience.waiting.push(Arc::clone(&client)),
        }
        client
    }

    /// Tells all clients that it has ended.
    pub(crate) fn end(&self, code: u8) {
        let mut audience = self.audience();
        audience.ended = Some(code);
        let Audience { listeners, waiting, .. } = std::mem::take(&mut *audience);
        audience.ended = Some(code);
        listeners.iter().chain(&waiting).for_each(|client| client.end(end(code)));
    }

    /// Gives it all that comes from a client.
    pub(crate) fn feed(&self, mut from: impl Read) {
        let mut buffer = vec![0; 32 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let input = self.input.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // What nobody reads is thrown away, so that the client's end is seen.
            let _ = input.map(|input| (&*input).write_all(&buffer[..count]));
        }
        if self.once {
            self.input.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    pub(crate) fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        let terminal = self.terminal.as_ref().filter(|_| !self.process.is_over());
        let terminal = terminal.ok_or_else(|| Error::Conflict("the program has no terminal, or has ended".into()))?;
        streams::resize(terminal, rows, columns).map_err(Error::io("change the terminal's size"))
    }

    fn audience(&self) -> MutexGuard<'_, Audience> {
        self.audience.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end(code: u8) -> Vec<u8> {
    wire::message(&Message::Ended { code }).unwrap_or_default()
}
