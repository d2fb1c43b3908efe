//! The parent's side: starts sandbox processes and listens to them.

use std::{
    ffi::OsString,
    io::{self, PipeReader, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    path::PathBuf,
    process::{Child, Command},
};

use nacre_layer::{Compression, Layer};
use nacre_oci::{Error, Result, Staged};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{
    find,
    ids::{Ids, one_id},
    inside::{ENTER, ENTER_AS_USER, LEAVE, LEAVE_AS_USER},
    preflight,
    request::{Kept, Reclaim, Run},
    wire::{self, Frame, Mapped, Message, Request, Task},
};

/// How often it is asked whether to stop, while nothing happens.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// What a sandbox needs to know of its surroundings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// nacre's own program: whatever calls [`serve`](crate::serve) first thing.
    pub program: PathBuf,
    /// The store's root; trees are kept in its folder `trees`.
    pub root: PathBuf,
    /// An OCI runtime to use rather than the first of runc, crun and youki that is installed: a path or a name.
    pub runtime: Option<PathBuf>,
    /// The search path for programs, as in `PATH`.
    pub path: OsString,
}

/// Runs programs in root filesystems. May be used by several threads at once.
#[derive(Debug)]
pub struct Sandbox {
    pub(crate) host: Host,
    warnings: Vec<String>,
}

/// What sandbox processes are started with.
#[derive(Debug)]
pub(crate) struct Host {
    program: PathBuf,
    pub(crate) trees: PathBuf,
    /// Empty where no program is to be run.
    runtime: PathBuf,
    fuse: Option<PathBuf>,
    ids: Ids,
}

/// Where a program printed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Who watches a run.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Hears all that the program prints, in pieces.
    pub output: &'a dyn Fn(Stream, &[u8]),
    /// Whether to stop; asked several times a second.
    pub cancelled: &'a dyn Fn() -> bool,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    /// How the program ended.
    pub status: Status,
    /// What it changed; only if it ended with 0.
    pub layer: Option<Layer>,
    /// Worth telling the user.
    pub warnings: Vec<String>,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// With this exit code; 128 and the signal's number if a signal ended it.
    Exited(u8),
    /// It could not be started.
    NotStarted {
        /// What a shell would give: 127 if it is not there, else 126.
        code: u8,
        /// Why, in the OCI runtime's or BuildKit's words.
        why: String,
    },
}

impl Sandbox {
    /// Looks for all that running needs, and tries to make the namespaces.
    ///
    /// # Errors
    /// One that names everything that is missing and what installs or permits it.
    pub fn open(settings: Settings) -> Result<Self> {
        let (ids, warning) = Ids::of_this_process(&settings.path);
        let runtime = find::runtime(settings.runtime.as_deref(), &settings.path);
        let forbidden = if ids == Ids::Root { None } else { preflight::user_namespaces() };
        let runtime = match (runtime, forbidden) {
            (Ok(runtime), None) => runtime,
            (Ok(_), Some(lack)) | (Err(lack), None) => return Err(lacking(lack)),
            (Err(lack), Some(another)) => return Err(lacking(format!("{lack}; {another}"))),
        };
        let mut sandbox = Self { host: Host::new(settings, runtime, ids), warnings: warning.into_iter().collect() };
        // Whoever has root's powers can make namespaces; others are better asked before any work is done.
        if sandbox.host.ids != Ids::Root {
            sandbox.probe()?;
        }
        Ok(sandbox)
    }

    /// Worth telling the user before anything is run.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Runs a program and, if it ends with 0, stores in `out` the layer of what it changed.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; if the root filesystem or a mount cannot be made, the layer cannot be stored, or the sandbox
    /// process dies. How the program itself ended is no error.
    pub fn run(&self, run: Run, compression: Compression, out: Box<dyn Staged>, watch: Watch<'_>) -> Result<Ran> {
        let running = self.host.start(Task::Run(Box::new(run)), compression)?;
        let heard = running.listen(Some(out), watch);
        if heard.is_err() {
            // A sandbox process that was ended in the middle has left its folder and its control groups. What cannot be
            // deleted now is by the next run.
            let _ = self.host.ask(Task::Sweep);
        }
        let Heard { status, layer, warnings, .. } = heard?;
        let status = status.ok_or_else(|| Error::Other("the sandbox process did not say how the program ended".into()))?;
        Ok(Ran { status, layer, warnings })
    }

    /// Tries the namespaces. Where the subordinate ids cannot be mapped one id has to do.
    fn probe(&mut self) -> Result<()> {
        let Err(error) = self.host.ask(Task::Probe) else { return Ok(()) };
        if !matches!(self.host.ids, Ids::Subordinate(_)) || !matches!(error, Error::Denied { .. }) {
            return Err(error);
        }
        self.host.ids = Ids::One;
        self.warnings.push(one_id(&error.to_string()));
        self.host.ask(Task::Probe).map(drop)
    }
}

/// Measures what sandboxes keep below a store's root, and deletes of it what is asked for and not in use. That needs no OCI
/// runtime, but the same ids.
///
/// # Errors
/// If there can be no sandbox process, or something cannot be deleted.
pub fn reclaim(settings: Settings, what: Reclaim) -> Result<Kept> {
    let (ids, _) = Ids::of_this_process(&settings.path);
    let host = Host::new(settings, PathBuf::new(), ids);
    if !host.trees.is_dir() && !host.trees.with_file_name("containers").is_dir() {
        return Ok(Kept::default());
    }
    Ok(host.ask(Task::Reclaim(what))?.kept)
}

impl Host {
    pub(crate) fn new(settings: Settings, runtime: PathBuf, ids: Ids) -> Self {
        let fuse = find::program("fuse-overlayfs", &settings.path);
        Self { program: settings.program, trees: settings.root.join("trees"), runtime, fuse, ids }
    }

    /// The store's root.
    pub(crate) fn root(&self) -> PathBuf {
        self.trees.parent().unwrap_or(&self.trees).into()
    }

    /// Has something done that prints nothing and makes no layer.
    pub(crate) fn ask(&self, task: Task) -> Result<Heard> {
        let watch = Watch { output: &|_, _| {}, cancelled: &|| false };
        self.start(task, Compression::None)?.listen(None, watch)
    }

    pub(crate) fn start(&self, task: Task, compression: Compression) -> Result<Running<'_>> {
        let doing = || Error::io("start the sandbox process");
        let place = wire::Place {
            trees: self.trees.clone(),
            runtime: self.runtime.clone(),
            fuse: self.fuse.clone(),
            compression: compression.media_type().into(),
        };
        let argument = match (&self.ids, &task) {
            (Ids::Root, Task::Start { .. }) => LEAVE,
            (Ids::Root, _) => ENTER,
            (_, Task::Start { .. }) => LEAVE_AS_USER,
            _ => ENTER_AS_USER,
        };
        let request = wire::message(&Request { place, task });
        let request = request.map_err(Error::io("describe what is to be run"))?;
        let (socket, theirs) = UnixStream::pair().map_err(doing())?;
        let (stdout, theirs_out) = io::pipe().map_err(doing())?;
        let (stderr, theirs_err) = io::pipe().map_err(doing())?;
        let mut command = Command::new(&self.program);
        command.arg(argument);
        // A group of its own: Ctrl-C is nacre's to hear, and what follows from it is done by closing the socket.
        command.stdin(OwnedFd::from(theirs)).stdout(theirs_out).stderr(theirs_err).process_group(0).env_clear().current_dir("/");
        let child = command.spawn().map_err(doing())?;
        // Else its copies of the other ends stay open.
        drop(command);
        let mut running = Running { host: self, child, request, socket: Some(socket), stdout: Some(stdout), stderr: Some(stderr) };
        if self.ids == Ids::Root {
            running.ask();
        }
        Ok(running)
    }
}

fn lacking(why: String) -> Error {
    Error::Unsupported { what: "running programs here".into(), why }
}

/// A sandbox process. Dropping it ends all of its processes and mounts.
pub(crate) struct Running<'a> {
    host: &'a Host,
    child: Child,
    request: Vec<u8>,
    socket: Option<UnixStream>,
    stdout: Option<PipeReader>,
    stderr: Option<PipeReader>,
}

/// What came from a sandbox process so far.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) status: Option<Status>,
    layer: Option<Layer>,
    pub(crate) warnings: Vec<String>,
    kept: Kept,
    started: bool,
    /// That what was to be started runs already.
    pub(crate) already: bool,
    done: bool,
}

impl Running<'_> {
    fn listen(mut self, mut out: Option<Box<dyn Staged>>, watch: Watch<'_>) -> Result<Heard> {
        let mut heard = Heard::default();
        while !heard.done {
            if (watch.cancelled)() {
                return Err(Error::Cancelled);
            }
            let ready = self.wait().map_err(Error::io("listen to the sandbox process"))?;
            self.pass_on(ready, watch)?;
            if ready[2] {
                self.hear(&mut heard, &mut out)?;
            }
        }
        self.socket = None;
        // Now that no process is left, the pipes end.
        while self.stdout.is_some() || self.stderr.is_some() {
            let ready = self.wait().map_err(Error::io("listen to the sandbox process"))?;
            self.pass_on(ready, watch)?;
        }
        if let (Some(layer), Some(out)) = (&heard.layer, out) {
            out.commit(&layer.descriptor)?;
        }
        Ok(heard)
    }

    /// Waits for a greeting, and hands over the socket, for what is said from then on, with what was heard so far. None if the
    /// process has ended without one.
    pub(crate) fn converse(&mut self) -> Result<(Option<UnixStream>, Heard)> {
        let watch = Watch { output: &|_, _| {}, cancelled: &|| false };
        let mut heard = Heard::default();
        while !heard.done && !heard.started {
            let ready = self.wait().map_err(Error::io("listen to the sandbox process"))?;
            self.pass_on(ready, watch)?;
            if ready[2] {
                self.hear(&mut heard, &mut None)?;
            }
        }
        Ok((self.socket.take().filter(|_| heard.started), heard))
    }

    fn socket(&mut self) -> &mut UnixStream {
        self.socket.as_mut().expect("closed only at the end")
    }

    /// Sends the request. What the sandbox process dies of before it has read this comes out when it is listened to.
    fn ask(&mut self) {
        let _ = self.socket.as_mut().expect("closed only at the end").write_all(&self.request);
    }

    /// Which of standard output, standard error and the socket have something.
    fn wait(&self) -> io::Result<[bool; 3]> {
        let sources = [self.stdout.as_ref().map(AsFd::as_fd), self.stderr.as_ref().map(AsFd::as_fd), self.socket.as_ref().map(AsFd::as_fd)];
        let mut polled: Vec<PollFd<'_>> = sources.iter().flatten().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        match poll(&mut polled, Some(&PAUSE)) {
            Err(Errno::INTR) => return Ok([false; 3]),
            other => other?,
        };
        let mut events = polled.iter().map(|fd| !fd.revents().is_empty());
        Ok(sources.map(|source| source.is_some() && events.next().unwrap_or(false)))
    }

    fn pass_on(&mut self, ready: [bool; 3], watch: Watch<'_>) -> Result<()> {
        let doing = || Error::io("read what the program prints");
        let mut buffer = vec![0; 64 << 10];
        for (ready, pipe, stream) in [(ready[0], &mut self.stdout, Stream::Stdout), (ready[1], &mut self.stderr, Stream::Stderr)] {
            let Some(open) = pipe.as_mut().filter(|_| ready) else { continue };
            match open.read(&mut buffer).map_err(doing())? {
                0 => *pipe = None,
                count => (watch.output)(stream, &buffer[..count]),
            }
        }
        Ok(())
    }

    fn hear(&mut self, heard: &mut Heard, out: &mut Option<Box<dyn Staged>>) -> Result<()> {
        let frame = wire::receive(self.socket()).map_err(Error::io("listen to the sandbox process"))?;
        let message = match frame {
            Some(Frame::Message(message)) => message,
            Some(Frame::Data(data)) => {
                return out.as_mut().map_or(Ok(()), |out| out.write_all(&data)).map_err(Error::io("store the layer"));
            }
            Some(Frame::Output(..)) => return Ok(()),
            None => return Err(self.died()),
        };
        match message {
            Message::Unmapped => return self.map(),
            Message::Warning(text) => heard.warnings.push(text),
            Message::Ended { code } => heard.status = Some(Status::Exited(code)),
            Message::NotStarted { code, why } => heard.status = Some(Status::NotStarted { code, why }),
            Message::Layer { descriptor, diff_id } => heard.layer = Some(Layer { descriptor: *descriptor, diff_id }),
            Message::Kept(kept) => heard.kept = kept,
            Message::Started { .. } => heard.started = true,
            Message::Already => heard.already = true,
            Message::Done => heard.done = true,
            Message::Failed(why) => return Err(Error::Other(why.into())),
        }
        Ok(())
    }

    fn map(&mut self) -> Result<()> {
        let mapped = self.host.ids.map(self.child.id());
        mapped.map_err(|why| Error::Denied { what: "mapping ids into a user namespace".into(), why })?;
        wire::send(self.socket(), &Mapped).map_err(Error::io("talk to the sandbox process"))?;
        self.ask();
        Ok(())
    }

    /// It is gone without a word: what it left on standard error is all there is.
    fn died(&mut self) -> Error {
        let mut text = String::new();
        if let Some(stderr) = &mut self.stderr {
            let _ = stderr.take(4096).read_to_string(&mut text);
        }
        let last = text.lines().last().unwrap_or("it said nothing").to_owned();
        Error::Other(format!("the sandbox process ended too early: {last}").into())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.socket = None;
        let _ = self.child.wait();
    }
}
