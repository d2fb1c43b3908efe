//! What is on its way to a client, who may be slow, or gone without a word.

use std::{
    collections::VecDeque,
    io::Write,
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use crate::inside::container::crowd::Crowd;

/// How many bytes may be on their way before a program has to wait for the client, as in Docker.
const MAX_BYTES: usize = 1 << 20;

/// A client.
pub(crate) struct Client {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Whether no more frames will come.
    complete: bool,
    /// Whether frames are taken however many there are.
    boundless: bool,
    /// Whether the client is gone.
    gone: bool,
}

impl Client {
    /// A client that is one of the crowd until it has got all, or is gone.
    pub(crate) fn new(socket: UnixStream, crowd: &Crowd) -> Arc<Self> {
        let client = Arc::new(Self { queue: Mutex::default(), changed: Condvar::new() });
        let (own, member) = (Arc::clone(&client), crowd.enter());
        thread::spawn(move || {
            own.write(socket);
            drop(member);
        });
        client
    }

    /// Puts a frame on its way. Waits while too much is.
    pub(crate) fn send(&self, frame: Vec<u8>) {
        let mut queue = self.lock();
        while queue.bytes > MAX_BYTES && !queue.boundless && !queue.gone {
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if !queue.gone {
            queue.bytes += frame.len();
            queue.frames.push_back(frame);
        }
        self.changed.notify_all();
    }

    /// From now on nobody waits.
    pub(crate) fn hurry(&self) {
        self.lock().boundless = true;
        self.changed.notify_all();
    }

    /// Puts the last frame on its way.
    pub(crate) fn end(&self, frame: Vec<u8>) {
        self.hurry();
        self.send(frame);
        self.lock().complete = true;
        self.changed.notify_all();
    }

    /// Nobody listens any more.
    pub(crate) fn leave(&self) {
        *self.lock() = Queue { gone: true, ..Queue::default() };
        self.changed.notify_all();
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.lock().gone
    }

    fn write(&self, mut socket: UnixStream) {
        while let Some(frame) = self.next() {
            if socket.write_all(&frame).is_err() {
                self.leave();
            }
        }
        let _ = socket.shutdown(Shutdown::Both);
    }

    fn next(&self) -> Option<Vec<u8>> {
        let mut queue = self.lock();
        while queue.frames.is_empty() && !queue.complete && !queue.gone {
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let frame = queue.frames.pop_front()?;
        queue.bytes -= frame.len();
        self.changed.notify_all();
        Some(frame)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::io::Read;

    use super::*;

    #[test]
    fn all_arrives_before_the_crowd_is_gone() {
        let crowd = Crowd::default();
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        let client = Client::new(ours, &crowd);
        client.send(b"some".to_vec());
        client.end(b"thing".to_vec());
        crowd.wait();
        let mut heard = String::new();
        theirs.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "something");
    }

    #[test]
    fn a_gone_client_holds_up_nobody() {
        let crowd = Crowd::default();
        let (theirs, ours) = UnixStream::pair().unwrap();
        let client = Client::new(ours, &crowd);
        let gone = thread::spawn(move || drop(theirs));
        (0..64).for_each(|_| client.send(vec![0; 1 << 20]));
        gone.join().unwrap();
        crowd.wait();
        assert!(client.is_gone());
    }

    #[test]
    fn at_the_end_a_slow_client_holds_up_nobody() {
        let crowd = Crowd::default();
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        let client = Client::new(ours, &crowd);
        client.hurry();
        (0..64).for_each(|_| client.send(vec![0; 1 << 20]));
        client.end(vec![0]);
        let mut heard = Vec::new();
        theirs.read_to_end(&mut heard).unwrap();
        assert_eq!(heard.len(), (64 << 20) + 1);
    }
}
