//! A wire between nacre and a registry that counts, stalls and breaks.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// Passes connections on. It and its connections end with the test's process.
pub(crate) struct Proxy {
    address: SocketAddr,
    wire: Arc<Wire>,
}

struct Wire {
    /// What came from the registry, in bytes.
    answered: AtomicU64,
    /// Once so much was answered, nothing more comes.
    stall_at: AtomicU64,
    /// Each connection breaks after so many bytes of answers.
    cut_after: u64,
    /// What was asked, in bytes.
    asked: AtomicU64,
    /// Once so much was asked, the connection breaks; only once.
    cut_asking_at: AtomicU64,
}

impl Proxy {
    /// Stands before `registry` (`HOST:PORT`) and breaks each connection after `cut_after` bytes of answers.
    pub(crate) fn start(registry: &str, cut_after: u64) -> Self {
        let (listener, registry) = (TcpListener::bind("127.0.0.1:0").unwrap(), registry.to_owned());
        let address = listener.local_addr().unwrap();
        let never = || AtomicU64::new(u64::MAX);
        let wire = Wire { answered: AtomicU64::new(0), stall_at: never(), cut_after, asked: AtomicU64::new(0), cut_asking_at: never() };
        let wire = Arc::new(wire);
        let shared = Arc::clone(&wire);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&registry) else { return };
                let wire = Arc::clone(&shared);
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let asking = Arc::clone(&wire);
                thread::spawn(move || ask(&asking, from, to));
                thread::spawn(move || answer(&wire, server, client));
            }
        });
        Self { address, wire }
    }

    /// A reference through the proxy.
    pub(crate) fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.address)
    }

    /// The bytes that came from the registry so far.
    pub(crate) fn answered(&self) -> u64 {
        self.wire.answered.load(Ordering::SeqCst)
    }

    /// The bytes that the registry was sent so far.
    pub(crate) fn asked(&self) -> u64 {
        self.wire.asked.load(Ordering::SeqCst)
    }

    /// Once `bytes` bytes were sent to the registry, the connection breaks.
    pub(crate) fn cut_asking_at(&self, bytes: u64) {
        self.wire.cut_asking_at.store(bytes, Ordering::SeqCst);
    }

    /// From `bytes` answered bytes on, nothing more comes; `u64::MAX` ends that.
    pub(crate) fn stall_at(&self, bytes: u64) {
        self.wire.stall_at.store(bytes, Ordering::SeqCst);
    }
}

fn ask(wire: &Wire, client: TcpStream, server: TcpStream) {
    pass(client, server, |count| {
        let asked = wire.asked.fetch_add(count, Ordering::SeqCst) + count;
        let cut = asked >= wire.cut_asking_at.load(Ordering::SeqCst);
        if cut {
            wire.cut_asking_at.store(u64::MAX, Ordering::SeqCst);
        }
        !cut
    });
}

fn answer(wire: &Wire, server: TcpStream, client: TcpStream) {
    let mut own = 0;
    pass(server, client, |count| {
        own += count;
        wire.answered.fetch_add(count, Ordering::SeqCst);
        while wire.answered.load(Ordering::SeqCst) >= wire.stall_at.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        own < wire.cut_after
    });
}

/// Passes bytes on until the end, or until `go_on` says no to a count of bytes.
fn pass(mut from: TcpStream, mut to: TcpStream, mut go_on: impl FnMut(u64) -> bool) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() || !go_on(count as u64) {
            break;
        }
    }
    // Either side may be gone already.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
