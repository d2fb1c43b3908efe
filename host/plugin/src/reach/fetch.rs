//! The interface `fetch`: HTTP to the hosts that were granted.
//!
//! Each hop is checked anew: its scheme, its host and port, and the addresses that the host's name stands for. The
//! connection is made to an address that was checked, so that a second look-up cannot lead elsewhere.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nacre_layer::Bytes;
use url::Url;
use wasmtime::component::{LinkerInstance, Resource};

use super::{Answer, Outside, told};
use crate::capability::Ask;
use crate::data::{Outcome, Source, Trouble, function};
use crate::state::State;
use crate::types::GuestError;

/// Redirects that are followed: as many as a chain of shorteners and mirrors has.
const MAX_REDIRECTS: usize = 5;
/// The most bytes of a body.
const MAX_BODY: u64 = 1 << 30;
/// The longest time from the answer to the body's last byte.
const MAX_TIME: Duration = Duration::from_secs(600);

pub(super) fn add(fetch: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    function(fetch, "get", get)
}

fn get(state: &mut State, (url,): (String,)) -> Outcome<Resource<Source>> {
    let begun = Instant::now();
    let body = follow(&mut state.outside, &url);
    state.clock.stand(begun.elapsed(), u64::MAX);
    let body = Capped { inner: body?, url, left: MAX_BODY, until: Instant::now() + MAX_TIME };
    let spool = told(state.outside.open()?.spool())?;
    state.push_source(Bytes::from_reader(Box::new(body), &spool))
}

fn follow(outside: &mut Outside, text: &str) -> Outcome<Box<dyn Read + Send>> {
    let bad = |error: url::ParseError| GuestError::invalid("bad-url", format!("{text} is no URL: {error}"));
    let mut url = Url::parse(text).map_err(bad)?;
    for _ in 0..=MAX_REDIRECTS {
        let to = match step(outside, &url)? {
            Answer::Body(body) => return Ok(body),
            Answer::Moved(to) => to,
        };
        let next = url.join(&to).map_err(|error| GuestError::Io(format!("{url} is redirected to no URL: {error}")))?;
        if url.scheme() == "https" && next.scheme() != "https" {
            return Err(GuestError::Denied(format!("not allowed to follow the redirect from {url} to {next}: it is not encrypted")).into());
        }
        url = next;
    }
    Err(Trouble::limit(format!("{text} is redirected more than {MAX_REDIRECTS} times")))
}

fn step(outside: &mut Outside, url: &Url) -> Outcome<Answer> {
    let bad = |why: &str| Trouble::Guest(GuestError::invalid("bad-url", format!("{url} {why}")));
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("has a user in it: nacre sends no credentials"));
    }
    let host = url.host_str().ok_or_else(|| bad("has no host"))?;
    // Only http and https have a port that is known without being said; others are not allowed anyway.
    let port = url.port_or_known_default().unwrap_or_default();
    let found = told(outside.reach(&Ask::Net { host, port, scheme: url.scheme() })?.resolve(host, port))?;
    let addresses = allowed(outside, found).map_err(|error| error.unwrap_or_else(|| no_address(host)))?;
    told(outside.open()?.get(url, &addresses))
}

fn no_address(host: &str) -> Trouble {
    Trouble::Guest(GuestError::NotFound(format!("an address of {host}")))
}

/// Those of the addresses that may be asked, or why there is none.
fn allowed(outside: &Outside, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Option<Trouble>> {
    let mut refusal = None;
    let mut may = |address: &SocketAddr| match outside.allowed(&Ask::Address(address.ip())) {
        Ok(()) => true,
        Err(trouble) => {
            refusal.get_or_insert(trouble);
            false
        }
    };
    let addresses: Vec<SocketAddr> = found.into_iter().filter(|address| may(address)).collect();
    if addresses.is_empty() { Err(refusal) } else { Ok(addresses) }
}

/// A body that may not go on for ever.
struct Capped {
    inner: Box<dyn Read + Send>,
    url: String,
    left: u64,
    until: Instant,
}

impl Read for Capped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let over = |limit: String| nacre_oci::Error::TooLarge { what: self.url.clone(), limit };
        if Instant::now() >= self.until {
            return Err(over(format!("{} s", MAX_TIME.as_secs())).into());
        }
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| over(format!("{} GiB", MAX_BODY >> 30)))?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capped(left: u64, until: Instant) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut body = Capped { inner: Box::new(io::repeat(7).take(100)), url: "http://x/".into(), left, until };
        body.read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn a_body_ends_with_its_limits() {
        let later = Instant::now() + MAX_TIME;
        assert_eq!(capped(100, later).ok(), Some(vec![7; 100]));
        let said = |read: io::Result<Vec<u8>>| read.map_err(|error| error.to_string()).err();
        assert_eq!(said(capped(99, later)).as_deref(), Some("http://x/ is larger than the limit of 1 GiB"));
        assert_eq!(said(capped(100, Instant::now())).as_deref(), Some("http://x/ is larger than the limit of 600 s"));
    }
}
