//! A wire between nacre and a registry on which faults happen, drawn from a seed.

use std::{
    collections::HashMap,
    io::{BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use super::{
    Dice,
    http::{Head, finish},
};

/// How long a connection on which nothing moves is held at most.
const HELD: Duration = Duration::from_secs(60);
/// What was written has left for the other side after this; before that, a reset takes it back.
const DELIVERED: Duration = Duration::from_millis(150);

/// What goes wrong on a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Connections are reset: before the answer, within it, or within what is sent.
    Reset,
    /// Nothing more comes, from the start or within an answer.
    Stall,
    /// Answers end too early.
    Truncation,
    /// A bit of an answer or of what is sent is another.
    Flip,
    /// Answers to a request for a range are of another one.
    Range,
    /// A request for a range is answered with everything.
    Whole,
    /// Tokens expire at any time.
    Token,
    /// 429 and 503, with every kind of `Retry-After`.
    Limit,
    /// What a proxy says whose server is gone.
    Gateway,
    /// The registry does what it is asked, and its answer gets lost.
    Lost,
    /// Any of the others.
    Mixed,
}

/// Every trouble.
pub(super) const TROUBLES: [Trouble; 11] = [
    Trouble::Reset,
    Trouble::Stall,
    Trouble::Truncation,
    Trouble::Flip,
    Trouble::Range,
    Trouble::Whole,
    Trouble::Token,
    Trouble::Limit,
    Trouble::Gateway,
    Trouble::Lost,
    Trouble::Mixed,
];

/// A wire's trouble, and how often it happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) trouble: Trouble,
    /// Of a hundred requests.
    pub(super) rate: u64,
}

/// What happens to one request.
enum Fault {
    ResetBefore,
    Silence,
    ResetAsking,
    FlipAsking,
    Lost,
    /// A status, with a `Retry-After` if there is one.
    Say(&'static str, Option<String>),
    Part(u64, End),
    FlipAnswer,
    Shifted,
    Whole,
    Expire,
}

/// How an answer ends after a part of it.
#[derive(Clone, Copy)]
enum End {
    Reset,
    Close,
    Stall,
}

/// The wire. It and its connections end with the test's process.
pub(super) struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    registry: String,
    address: SocketAddr,
    plan: Option<Plan>,
    /// How often each thing was asked.
    asked: Mutex<HashMap<String, u64>>,
    /// The token that is good.
    token: Mutex<u64>,
    /// A reset at this percentage of the first large answer.
    reset_at: Mutex<Option<u64>>,
    answered: Mutex<usize>,
}

impl Wire {
    /// A wire to `registry` (`HOST:PORT`).
    pub(super) fn start(registry: &str, plan: Option<Plan>, reset_at: Option<u64>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared {
            registry: registry.to_owned(),
            address,
            plan,
            asked: Mutex::default(),
            token: Mutex::default(),
            reset_at: Mutex::new(reset_at),
            answered: Mutex::default(),
        };
        let shared = Arc::new(shared);
        let of_threads = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&of_threads);
                thread::spawn(move || shared.talk(&client));
            }
        });
        Self { address, shared }
    }

    /// `HOST:PORT`.
    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// How many bytes of bodies were sent to nacre.
    pub(super) fn answered(&self) -> usize {
        *lock(&self.shared.answered)
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// One connection; `None` is its end.
    fn talk(&self, client: &TcpStream) -> Option<()> {
        client.set_read_timeout(Some(HELD)).ok()?;
        client.set_nodelay(true).ok()?;
        let server = TcpStream::connect(&self.registry).ok()?;
        let mut answers = BufReader::new(server.try_clone().ok()?);
        loop {
            let ask = Head::ask(client)?;
            let fault = self.fault(&ask);
            match &fault {
                Some(Fault::ResetBefore) => return None,
                Some(Fault::Silence) => return hold(client),
                _ => {}
            }
            // With the request's last byte unread, closing the connection is a reset.
            let sends = ask.length() > 0;
            if sends {
                finish(client)?;
            }
            let body = self.asked_body(client, &ask, fault.as_ref())?;
            let (head, body) = match self.instead(&ask, fault.as_ref()) {
                Some(said) => said,
                None => pass_on(&server, &mut answers, &ask, &body, fault.as_ref())?,
            };
            match fault {
                Some(Fault::Lost) => return None,
                fault => self.answer(client, &ask, head, body, fault)?,
            }
            if !sends {
                finish(client)?;
            }
        }
    }

    fn fault(&self, ask: &Head) -> Option<Fault> {
        // The names of uploads are the registry's own and never the same.
        let what = ask.target().split("uploads/").next().unwrap_or_default();
        let key = format!("{} {what}", ask.method());
        let count = {
            let mut asked = lock(&self.asked);
            let count = asked.entry(key.clone()).or_default();
            *count += 1;
            *count
        };
        let plan = self.plan.as_ref().filter(|_| !what.starts_with("/token"))?;
        let seed = key.bytes().fold(plan.seed ^ count, |mixed, byte| Dice::new(mixed ^ u64::from(byte)).roll());
        let mut dice = Dice::new(seed);
        let happens = dice.below(100) < plan.rate;
        let first_blob = count == 1 && what.contains("/blobs/") && ask.method() == "GET";
        match plan.trouble {
            // Only what breaks is asked for in ranges.
            Trouble::Range | Trouble::Whole if ask.field("range").is_empty() => first_blob.then(|| part(&mut dice, End::Close)),
            trouble => happens.then(|| draw(trouble, &mut dice, ask)),
        }
    }

    /// What was sent with the request.
    fn asked_body(&self, mut client: &TcpStream, ask: &Head, fault: Option<&Fault>) -> Option<Vec<u8>> {
        if let Some(Fault::ResetAsking) = fault {
            client.read_exact(&mut vec![0; ask.length() / 2]).ok()?;
            return None;
        }
        ask.body(&mut BufReader::with_capacity(1, client))
    }

    /// What is answered without asking the registry.
    fn instead(&self, ask: &Head, fault: Option<&Fault>) -> Option<(Head, Vec<u8>)> {
        let mut token = lock(&self.token);
        if ask.target().starts_with("/token") {
            return Some(say("200 OK", &[], &format!(r#"{{"token":"t{token}","expires_in":3600}}"#)));
        }
        if let Some(Fault::Expire) = fault {
            *token += 1;
        }
        let guarded = self.plan.as_ref().is_some_and(|plan| plan.trouble == Trouble::Token);
        if guarded && ask.field("authorization") != format!("Bearer t{token}") {
            let challenge = format!("Bearer realm=\"http://{}/token\",service=\"wire\"", self.address);
            return Some(say(
                "401 Unauthorized",
                &[("WWW-Authenticate", &challenge)],
                r#"{"errors":[{"code":"UNAUTHORIZED","message":"the token expired"}]}"#,
            ));
        }
        match fault {
            Some(Fault::Say(status, fields)) => {
                let fields: Vec<(&str, &str)> = fields.iter().map(|value| ("Retry-After", value.as_str())).collect();
                Some(say(status, &fields, "<html>try again later</html>"))
            }
            _ => None,
        }
    }

    fn answer(&self, client: &TcpStream, ask: &Head, mut head: Head, mut body: Vec<u8>, fault: Option<Fault>) -> Option<()> {
        match fault {
            Some(Fault::FlipAnswer) if !body.is_empty() => {
                let at = body.len() / 2;
                body[at] ^= 1;
            }
            Some(Fault::Shifted) if head.status() == 206 => shift(&mut head),
            _ => {}
        }
        head.drop("transfer-encoding");
        if ask.method() == "HEAD" {
            body.clear();
        }
        if ask.method() != "HEAD" && !matches!(head.status(), 204 | 304) {
            head.set("Content-Length", body.len());
        }
        let large = body.len() > 1 << 20;
        let (percent, end) = match (fault, lock(&self.reset_at).take_if(|_| large)) {
            (_, Some(percent)) => (percent, Some(End::Reset)),
            (Some(Fault::Part(percent, end)), _) => (percent, Some(end)),
            _ => (100, None),
        };
        let sent = body.len() * usize::try_from(percent).unwrap_or(100) / 100;
        send(client, &head.bytes())?;
        *lock(&self.answered) += sent;
        send(client, &body[..sent])?;
        match end {
            None => Some(()),
            Some(End::Close) => None,
            Some(End::Stall) => hold(client),
            Some(End::Reset) => {
                thread::sleep(DELIVERED);
                None
            }
        }
    }
}

/// What happens to a request on a wire with this trouble.
fn draw(trouble: Trouble, dice: &mut Dice, ask: &Head) -> Fault {
    let sends = ask.length() > 0;
    match trouble {
        Trouble::Mixed => {
            let others = TROUBLES.len() as u64 - 1;
            draw(TROUBLES[usize::try_from(dice.below(others)).unwrap_or_default()], dice, ask)
        }
        Trouble::Reset if sends => Fault::ResetAsking,
        Trouble::Reset if dice.below(2) == 0 => Fault::ResetBefore,
        Trouble::Reset => part(dice, End::Reset),
        Trouble::Stall if dice.below(4) == 0 => Fault::Silence,
        Trouble::Stall => part(dice, End::Stall),
        Trouble::Truncation => part(dice, End::Close),
        Trouble::Flip if sends => Fault::FlipAsking,
        Trouble::Flip => Fault::FlipAnswer,
        Trouble::Range => Fault::Shifted,
        Trouble::Whole => Fault::Whole,
        Trouble::Token => Fault::Expire,
        Trouble::Limit => Fault::Say(pick(dice, &["429 Too Many Requests", "503 Service Unavailable"]), Some(retry_after(dice))),
        Trouble::Gateway => Fault::Say(pick(dice, &["500 Internal Server Error", "502 Bad Gateway", "504 Gateway Timeout"]), None),
        Trouble::Lost => Fault::Lost,
    }
}

fn part(dice: &mut Dice, end: End) -> Fault {
    Fault::Part(dice.below(100), end)
}

fn pick<'a>(dice: &mut Dice, from: &[&'a str]) -> &'a str {
    from[usize::try_from(dice.below(from.len() as u64)).unwrap_or_default()]
}

/// Seconds, dates, huge ones and nonsense.
fn retry_after(dice: &mut Dice) -> String {
    let known = [
        "0",
        "1",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Wed, 21 Oct 2015 07:28:00 +0000",
        "86400",
        "18446744073709551615",
        "99999999999999999999999999",
        "-1",
        "1.5",
        "soon",
        "",
        "0x10",
        "Wed, 99 Foo 2015 77:88:99 GMT",
    ];
    pick(dice, &known).to_owned()
}

/// An answer that is the wire's own.
fn say(status: &str, fields: &[(&str, &str)], body: &str) -> (Head, Vec<u8>) {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    (Head { first: format!("HTTP/1.1 {status}"), fields }, body.as_bytes().to_vec())
}

/// Asks the registry.
fn pass_on(
    server: &TcpStream,
    answers: &mut BufReader<TcpStream>,
    ask: &Head,
    body: &[u8],
    fault: Option<&Fault>,
) -> Option<(Head, Vec<u8>)> {
    let (mut asked, mut body) = (ask.clone(), body.to_vec());
    match fault {
        Some(Fault::Whole) => asked.drop("range"),
        Some(Fault::FlipAsking) if !body.is_empty() => {
            let at = body.len() / 2;
            body[at] ^= 1;
        }
        _ => {}
    }
    // The tokens are the wire's: the registry asks for none.
    asked.drop("authorization");
    send(server, &asked.bytes())?;
    send(server, &body)?;
    let head = Head::answer(answers)?;
    let bodiless = ask.method() == "HEAD" || matches!(head.status(), 204 | 304);
    let body = if bodiless { Vec::new() } else { head.body(answers)? };
    Some((head, body))
}

/// Says of a part that it is the one a byte earlier.
fn shift(head: &mut Head) {
    let range = head.field("content-range").to_owned();
    let first = range.strip_prefix("bytes ").and_then(|rest| rest.split('-').next()?.parse::<u64>().ok());
    if let Some(first) = first {
        let moved = range.replacen(&format!("{first}-"), &format!("{}-", first.saturating_sub(1)), 1);
        head.set("Content-Range", moved);
    }
}

/// Says nothing more until the other side goes.
fn hold(mut client: &TcpStream) -> Option<()> {
    while client.read(&mut [0; 1 << 10]).ok()? > 0 {}
    None
}

fn send(mut to: &TcpStream, bytes: &[u8]) -> Option<()> {
    to.write_all(bytes).ok()
}
