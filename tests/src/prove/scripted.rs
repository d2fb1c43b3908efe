//! A registry that answers as a script says, and honestly where the script says nothing; and another host, which notes who
//! comes and what they show.

use std::{
    collections::BTreeMap,
    io::{BufReader, Write},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use nacre_oci::{Descriptor, Digest, Memory, media_type};

use super::http::{Head, finish};
use crate::images::{self, Recipe, layer, noise};

/// How long an answer without an end goes on: longer than any case.
const ENDLESS: Duration = Duration::from_secs(30);
/// Between two drops.
const DRIP: Duration = Duration::from_millis(50);

/// An image: its manifest and everything below it.
pub(super) struct Image {
    pub(super) manifest: Vec<u8>,
    pub(super) digest: Digest,
    pub(super) blobs: BTreeMap<String, Vec<u8>>,
}

impl Image {
    /// An image of two layers, one of which takes several reads.
    pub(super) fn new() -> Self {
        let memory = Memory::new();
        let layers = vec![layer("large", &noise(300_000, 8)), layer("small", b"small")];
        let root = images::image(&memory, &Recipe { layers, ..Recipe::default() });
        let bytes = |digest: &Digest| {
            let blob = Descriptor::new("", digest.clone(), 0);
            let mut bytes = Vec::new();
            let mut reader = nacre_oci::Source::open_unverified(&memory, &blob, 0).unwrap();
            std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
            bytes
        };
        let blobs = memory.digests().iter().map(|digest| (digest.to_string(), bytes(digest))).collect();
        Self { manifest: bytes(&root.digest), digest: root.digest, blobs }
    }

    /// The manifest, to be changed.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.manifest).unwrap()
    }
}

/// What follows what was answered.
pub(super) enum Then {
    GoOn,
    Close,
    /// These bytes again and again.
    Repeat(Vec<u8>),
    /// A byte at a time.
    Drip(Vec<u8>),
    Hang,
}

/// An answer, byte by byte.
pub(super) struct Reply {
    pub(super) bytes: Vec<u8>,
    pub(super) then: Then,
}

impl Reply {
    /// Exactly these bytes; the connection ends with them.
    pub(super) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), then: Then::Close }
    }

    /// A well-formed answer; its length is said unless the fields say something about it.
    pub(super) fn new(status: &str, fields: &str, body: &[u8]) -> Self {
        let said = fields.to_ascii_lowercase();
        let length = if said.contains("content-length:") || said.contains("transfer-encoding:") {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let head = format!("HTTP/1.1 {status}\r\n{length}{fields}\r\n");
        Self { bytes: [head.as_bytes(), body].concat(), then: Then::GoOn }
    }

    /// With something after it.
    pub(super) fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }
}

/// What a script knows.
pub(super) struct Place {
    pub(super) image: Image,
    /// The registry's own `HOST:PORT`, and the other host's.
    pub(super) own: String,
    pub(super) other: String,
    /// Documents that are there instead of the image's manifest; the first is what the tag stands for.
    pub(super) documents: Documents,
}

/// Media types and bytes of documents; the first is what the tag stands for.
pub(super) type Documents = Vec<(String, Vec<u8>)>;

/// Makes documents out of an honest image's.
pub(super) type Make = fn(&Image) -> Documents;

/// Answers a request, or leaves that to the honest registry.
pub(super) type Script = fn(&Head, &Place) -> Option<Reply>;

/// The registry and the other host. Their threads end with the test's process.
pub(super) struct Scripted {
    place: Arc<Place>,
    honest: Arc<AtomicBool>,
    elsewhere: Arc<Mutex<Vec<Head>>>,
}

impl Scripted {
    /// Starts both.
    pub(super) fn start(documents: Option<Make>, script: Option<Script>) -> Self {
        let registry = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let image = Image::new();
        let documents = documents.map(|make| make(&image)).unwrap_or_default();
        let own = registry.local_addr().unwrap().to_string();
        let other_name = format!("{}:{}", own_address(), other.local_addr().unwrap().port());
        let place = Arc::new(Place { image, own, other: other_name, documents });
        let (honest, elsewhere) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (shared, is_honest) = (Arc::clone(&place), Arc::clone(&honest));
        listen(registry, move |ask| {
            let scripted = script.filter(|_| !is_honest.load(Ordering::SeqCst));
            scripted.and_then(|script| script(ask, &shared)).unwrap_or_else(|| answer(ask, &shared, is_honest.load(Ordering::SeqCst)))
        });
        let (shared, heard) = (Arc::clone(&place), Arc::clone(&elsewhere));
        listen(other, move |ask| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(ask.clone());
            answer(ask, &shared, true)
        });
        Self { place, honest, elsewhere }
    }

    /// The image's name.
    pub(super) fn name(&self) -> String {
        format!("{}/app:1", self.place.own)
    }

    /// The registry's `HOST:PORT`.
    pub(super) fn address(&self) -> &str {
        &self.place.own
    }

    /// The image's digest.
    pub(super) fn digest(&self) -> &Digest {
        &self.place.image.digest
    }

    /// Whether the script is left aside.
    pub(super) fn be_honest(&self, honest: bool) {
        self.honest.store(honest, Ordering::SeqCst);
    }

    /// What the other host was asked, whole heads.
    pub(super) fn elsewhere(&self) -> Vec<String> {
        let heard = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        heard.iter().map(|head| String::from_utf8_lossy(&head.bytes()).into_owned()).collect()
    }
}

/// This machine's address towards others, where there are any: what is not a loopback address gets no trust.
fn own_address() -> IpAddr {
    let towards = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        // Nothing is sent: connecting only picks the address.
        socket.connect("192.0.2.1:9").ok()?;
        socket.local_addr().ok()
    };
    towards().map(|address| address.ip()).filter(|ip| !ip.is_unspecified()).unwrap_or(Ipv4Addr::new(127, 0, 0, 2).into())
}

fn listen(listener: TcpListener, answer: impl Fn(&Head) -> Reply + Send + Sync + 'static) {
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            thread::spawn(move || talk(&client, &*answer));
        }
    });
}

/// One connection; `None` is its end.
fn talk(mut client: &TcpStream, answer: &dyn Fn(&Head) -> Reply) -> Option<()> {
    client.set_read_timeout(Some(ENDLESS)).ok()?;
    client.set_nodelay(true).ok()?;
    loop {
        let ask = Head::ask(client)?;
        finish(client)?;
        ask.body(&mut BufReader::with_capacity(1, client))?;
        let reply = answer(&ask);
        client.write_all(&reply.bytes).ok()?;
        let end = Instant::now() + ENDLESS;
        match reply.then {
            Then::GoOn => {}
            Then::Close => return None,
            Then::Hang => {
                thread::sleep(ENDLESS);
                return None;
            }
            Then::Repeat(bytes) => {
                while Instant::now() < end {
                    client.write_all(&bytes).ok()?;
                }
            }
            Then::Drip(bytes) => {
                for byte in bytes.iter().cycle().take_while(|_| Instant::now() < end) {
                    client.write_all(&[*byte]).ok()?;
                    thread::sleep(DRIP);
                }
            }
        }
    }
}

/// What an honest registry answers.
fn answer(ask: &Head, place: &Place, honest: bool) -> Reply {
    let path = ask.target().split('?').next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let reads = matches!(ask.method(), "GET" | "HEAD");
    let mut reply = if path == "/v2/" {
        Reply::new("200 OK", "", b"{}")
    } else if path.ends_with("/tags/list") {
        Reply::new("200 OK", "Content-Type: application/json\r\n", br#"{"name":"app","tags":["1"]}"#)
    } else if path.contains("/manifests/") && reads {
        manifest(last, place, honest)
    } else if path.contains("/blobs/") && ask.method() == "GET" && place.image.blobs.contains_key(last) {
        blob(ask, &place.image.blobs[last])
    } else if let Some((_, bytes)) =
        place.documents.iter().find(|(kind, _)| path.contains("/blobs/") && kind == media_type::OCI_CONFIG && ask.method() == "GET")
    {
        blob(ask, bytes)
    } else if path.contains("/uploads/") && ask.method() == "PUT" || path.contains("/manifests/") {
        Reply::new("201 Created", "", b"")
    } else if path.contains("/uploads/") {
        Reply::new("202 Accepted", "Location: /v2/app/blobs/uploads/1\r\n", b"")
    } else {
        Reply::new("404 Not Found", "", br#"{"errors":[{"code":"NOT_FOUND"}]}"#)
    };
    if ask.method() == "HEAD" {
        let end = reply.bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(reply.bytes.len(), |at| at + 4);
        reply.bytes.truncate(end);
    }
    reply
}

fn manifest(selector: &str, place: &Place, honest: bool) -> Reply {
    let own = [(media_type::OCI_MANIFEST.to_owned(), place.image.manifest.clone())];
    let all = if honest || place.documents.is_empty() { &own[..] } else { &place.documents };
    let found = all.iter().find(|(_, bytes)| Digest::of(bytes).to_string() == selector);
    // A document of the script's may have the image's manifest below it.
    let found = found.or_else(|| own.iter().find(|_| place.image.digest.to_string() == selector));
    match found.or_else(|| all.first().filter(|_| !selector.contains(':'))) {
        Some((kind, bytes)) => {
            let fields = format!("Content-Type: {kind}\r\nDocker-Content-Digest: {}\r\n", Digest::of(bytes));
            Reply::new("200 OK", &fields, bytes)
        }
        None => Reply::new("404 Not Found", "", b""),
    }
}

/// A blob from where the request wants it on.
pub(super) fn blob(ask: &Head, bytes: &[u8]) -> Reply {
    let from = ask.field("range").strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')?.parse::<usize>().ok());
    match from.filter(|from| *from < bytes.len()) {
        None => Reply::new("200 OK", "", bytes),
        Some(from) => {
            let range = format!("Content-Range: bytes {from}-{}/{}\r\n", bytes.len() - 1, bytes.len());
            Reply::new("206 Partial Content", &range, &bytes[from..])
        }
    }
}
