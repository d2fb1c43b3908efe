//! A registry in this process that does exactly what a test tells it to, and remembers what it was asked.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// A header's value; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    /// The first byte of a `Range: bytes=N-`.
    pub(crate) fn from(&self) -> Option<usize> {
        self.header("range").strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// What to answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    cut: Option<usize>,
    hang: bool,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.into(), value.to_string()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Announces the whole body and closes the connection after this many bytes of it.
    pub(crate) fn cut(mut self, after: usize) -> Self {
        self.cut = Some(after);
        self
    }

    /// Instead of closing, says nothing more.
    pub(crate) fn hang(mut self) -> Self {
        self.hang = true;
        self
    }

    /// `body` from where the request wants it on.
    pub(crate) fn range(seen: &Seen, body: &[u8]) -> Self {
        match seen.from() {
            None => Self::new(200).body(body),
            Some(from) => {
                let range = format!("bytes {from}-{}/{}", body.len() - 1, body.len());
                Self::new(206).with("Content-Range", range).body(&body[from..])
            }
        }
    }
}

/// The server; its threads end with the test's process.
pub(crate) struct Fake {
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    sent: Arc<Mutex<usize>>,
}

impl Fake {
    /// Answers every request by `answer`, which also hears how many requests came before.
    pub(crate) fn start(answer: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake = Self { address: listener.local_addr().unwrap().to_string(), seen: Arc::default(), sent: Arc::default() };
        let (seen, sent, answer) = (Arc::clone(&fake.seen), Arc::clone(&fake.sent), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, sent, answer) = (Arc::clone(&seen), Arc::clone(&sent), Arc::clone(&answer));
                thread::spawn(move || serve(&stream, &seen, &sent, &*answer));
            }
        });
        fake
    }

    /// What was asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// What was asked so far, without the probe of `/v2/`, as `METHOD target`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.seen().iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect()
    }

    /// How many bytes of bodies were sent.
    pub(crate) fn sent(&self) -> usize {
        *self.sent.lock().unwrap()
    }
}

fn serve(stream: &TcpStream, seen: &Mutex<Vec<Seen>>, sent: &Mutex<usize>, answer: &dyn Fn(&Seen, usize) -> Reply) {
    let mut input = BufReader::new(stream);
    // What does not parse is a TLS greeting: the connection is closed, and the client tries plain HTTP.
    while let Some(request) = receive(&mut input) {
        let before = {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            seen.len() - 1
        };
        let reply = answer(&request, before);
        let body =
            if request.method == "HEAD" { &[][..] } else { &reply.body[..reply.cut.unwrap_or(reply.body.len()).min(reply.body.len())] };
        *sent.lock().unwrap() += body.len();
        if send(stream, &reply, body).is_err() {
            return;
        }
        if reply.hang {
            thread::sleep(Duration::from_secs(3600));
        }
        if reply.cut.is_some() {
            return;
        }
    }
}

fn receive(input: &mut impl BufRead) -> Option<Seen> {
    let mut line = String::new();
    input.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut seen = Seen { method, target, ..Seen::default() };
    loop {
        line.clear();
        input.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => seen.headers.push((name.to_owned(), value.trim().to_owned())),
            None => break,
        }
    }
    let length = seen.header("content-length").parse().unwrap_or(0);
    input.take(length).read_to_end(&mut seen.body).ok()?;
    (seen.body.len() as u64 == length).then_some(seen)
}

fn send(mut stream: &TcpStream, reply: &Reply, body: &[u8]) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} X\r\n", reply.status);
    if !reply.headers.iter().any(|(name, _)| matches!(name.as_str(), "Content-Length" | "Transfer-Encoding")) {
        head += &format!("Content-Length: {}\r\n", reply.body.len());
    }
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    // In one write: two would wait for each other's acknowledgement.
    stream.write_all(&[head.as_bytes(), b"\r\n", body].concat())
}
