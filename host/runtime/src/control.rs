//! The client's side of a running container's control socket.

use std::{
    io::{self, ErrorKind},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use nacre_oci::{Error, Result};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::sockopt::socket_peercred,
    process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use crate::{
    boot::{Exec, Outcome, Started},
    lock::connect,
    session::Session,
    state::{code_after_kill, container_folder},
    wire::{self, Ask, Frame, Message},
};

/// How long a monitor may take to do what is done at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to the monitor of a running container.
#[derive(Debug)]
pub struct Control {
    socket: UnixStream,
    root: PathBuf,
    id: String,
}

impl Control {
    /// Connects to the monitor of a container below a store's root. None if the container does not run.
    ///
    /// # Errors
    /// If the container is another user's.
    pub fn connect(root: &Path, id: &str) -> Result<Option<Self>> {
        match connect(&container_folder(root, id)) {
            Ok(socket) => Ok(Some(Self { socket, root: root.into(), id: id.into() })),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
            Err(error) => Err(Error::io(format!("connect to container {id}"))(error)),
        }
    }

    /// Becomes one of the program's clients: hears what it prints from now on.
    ///
    /// # Errors
    /// If the container has just ended.
    pub fn attach(mut self) -> Result<Session> {
        match self.ask(&Ask::Attach)? {
            Some(Message::Started { exec }) => Session::new(self.socket, self.root, self.id, exec),
            other => Err(self.refused(other)),
        }
    }

    /// Starts another program in the container.
    ///
    /// # Errors
    /// If the container has just ended or is paused. That there is no such program is no error.
    pub fn exec(mut self, exec: &Exec) -> Result<Started> {
        let outcome = match self.ask(&Ask::Exec(Box::new(exec.clone())))? {
            Some(Message::Started { .. }) if exec.detach => Outcome::Running(None),
            Some(Message::Started { exec }) => Outcome::Running(Some(Session::new(self.socket, self.root, self.id, exec)?)),
            Some(Message::NotStarted { code, why }) => Outcome::NotStarted { code, why },
            other => return Err(self.refused(other)),
        };
        Ok(Started { outcome, warnings: Vec::new() })
    }

    /// Sends the program a signal, by its number.
    ///
    /// # Errors
    /// If the container has just ended, or there is no such signal; if the monitor does not answer in time.
    pub fn signal(&mut self, number: i32) -> Result<()> {
        self.order(&Ask::Signal { exec: None, number })
    }

    /// Waits until the program has ended, and all that is to be done then is done. Returns its exit code.
    ///
    /// # Errors
    /// If the monitor cannot be heard.
    pub fn wait(mut self) -> Result<u8> {
        match self.ask(&Ask::Wait)? {
            Some(Message::Ended { code }) => Ok(code),
            None => Ok(code_after_kill(&self.root, &self.id)),
            other => Err(self.refused(other)),
        }
    }

    /// The same for some seconds only.
    ///
    /// # Errors
    /// If the program has not ended by then.
    pub fn wait_shortly(self) -> Result<u8> {
        self.limit(Some(PATIENCE))?;
        self.wait()
    }

    /// Kills the monitor, if it does not answer: the kernel ends the container's processes and mounts with it. Returns when the
    /// container does not run any more.
    ///
    /// # Errors
    /// If the monitor is another user's, or cannot be seen from this pid namespace.
    pub fn kill_monitor(self) -> Result<()> {
        let doing = || Error::io(format!("kill the monitor of container {}", self.id));
        let process = socket_peercred(&self.socket).and_then(|peer| pidfd_open(peer.pid, PidfdFlags::empty()));
        // Whoever is at the other end still had its number when this was opened.
        if !is_closed(&self.socket) {
            pidfd_send_signal(process.map_err(|error| doing()(error.into()))?, Signal::KILL).map_err(|error| doing()(error.into()))?;
        }
        code_after_kill(&self.root, &self.id);
        Ok(())
    }

    /// Stops all of the container's processes until [`Control::resume`], or until this connection ends.
    ///
    /// # Errors
    /// If the OCI runtime cannot do that here, as for an ordinary user's containers where control groups are of version 1.
    pub fn pause(&mut self) -> Result<()> {
        self.order(&Ask::Pause)
    }

    /// Lets the processes go on that [`Control::pause`] has stopped.
    ///
    /// # Errors
    /// If the OCI runtime fails.
    pub fn resume(&mut self) -> Result<()> {
        self.order(&Ask::Resume)
    }

    /// Hands the connection over to what speaks of files.
    pub(crate) fn files(mut self) -> Result<UnixStream> {
        wire::send(&mut self.socket, &Ask::Files).map_err(Error::io(format!("talk to container {}", self.id)))?;
        Ok(self.socket)
    }

    /// Asks for something that is done or not, and soon.
    pub(crate) fn order(&mut self, ask: &Ask) -> Result<()> {
        self.limit(Some(PATIENCE))?;
        let answer = self.ask(ask);
        self.limit(None)?;
        match answer? {
            Some(Message::Done) => Ok(()),
            other => Err(self.refused(other)),
        }
    }

    /// The next answer; none if the container has ended.
    fn ask(&mut self, ask: &Ask) -> Result<Option<Message>> {
        let doing = || Error::io(format!("talk to container {}", self.id));
        if let Err(error) = wire::send(&mut self.socket, ask) {
            return if is_gone(&error) { Ok(None) } else { Err(doing()(error)) };
        }
        match wire::receive(&mut self.socket) {
            Ok(Some(Frame::Message(message))) => Ok(Some(message)),
            Ok(None) => Ok(None),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(Error::Other(format!("the monitor of container {0} does not answer: 'nacre rm -f {0}' ends it", self.id).into()))
            }
            Err(error) => Err(doing()(error)),
            Ok(Some(_)) => Err(Error::malformed("what a container's monitor says", "no answer to what it was asked for")),
        }
    }

    /// How long an answer may take.
    fn limit(&self, time: Option<Duration>) -> Result<()> {
        self.socket.set_read_timeout(time).map_err(Error::io(format!("talk to container {}", self.id)))
    }

    fn refused(&self, answer: Option<Message>) -> Error {
        match answer {
            None => Error::Conflict(format!("container {} is not running", self.id)),
            Some(Message::Failed(why)) => Error::Other(why.into()),
            Some(_) => Error::malformed("what a container's monitor says", "no answer to what it was asked for"),
        }
    }
}

fn is_closed(socket: &UnixStream) -> bool {
    let mut polled = [PollFd::new(socket, PollFlags::empty())];
    poll(&mut polled, Some(&Timespec::default())).is_err() || polled[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof)
}
