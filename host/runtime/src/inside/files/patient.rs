//! A client that may be slow, or be stopped itself.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::Arc,
    time::Duration,
};

/// How often it is asked whether the container has ended, while the client does nothing.
const PAUSE: Duration = Duration::from_millis(500);
/// How many pauses in a row a client may make when the container has ended.
const MAX_PAUSES: u32 = 10;

/// Whether the container has ended and waits for its clients only.
pub(crate) type Over = Arc<dyn Fn() -> bool + Send + Sync>;

/// A client's socket. A client is waited for as long as the container runs; after its end only while something comes or goes,
/// since nobody can start or remove the container meanwhile.
#[derive(Clone)]
pub(crate) struct Patient {
    socket: Arc<UnixStream>,
    over: Over,
}

impl Patient {
    pub(crate) fn new(socket: UnixStream, over: Over) -> io::Result<Self> {
        socket.set_read_timeout(Some(PAUSE))?;
        socket.set_write_timeout(Some(PAUSE))?;
        Ok(Self { socket: Arc::new(socket), over })
    }

    fn wait<T>(&self, mut attempt: impl FnMut(&UnixStream) -> io::Result<T>) -> io::Result<T> {
        let mut pauses = 0;
        loop {
            match attempt(&self.socket) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => pauses += u32::from((self.over)()),
                other => return other,
            }
            if pauses > MAX_PAUSES {
                // Once is enough, whatever else would be said.
                let _ = self.socket.shutdown(Shutdown::Both);
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait(|mut socket| socket.read(buffer))
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait(|mut socket| socket.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_client_that_does_nothing_is_left_when_all_is_over() {
        let (socket, mut client) = UnixStream::pair().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let mut patient = Patient::new(socket, Arc::new(move || ended.load(Ordering::Relaxed))).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(PAUSE * 2);
                client.write_all(b"late").unwrap();
            });
            patient.read_exact(&mut [0; 4]).unwrap();
        });
        over.store(true, Ordering::Relaxed);
        let stalled = (0..).find_map(|_| patient.write_all(&[0; 1 << 16]).err()).unwrap();
        assert_eq!(stalled.kind(), ErrorKind::TimedOut);
        assert_eq!(patient.write_all(b"more").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}
