//! Plain HTTP: one GET of something that is no registry's, without credentials.

use std::{
    io::{self, Read},
    net::SocketAddr,
    time::Duration,
};

use bytes::{Buf, Bytes};
use http::header::LOCATION;
use nacre_oci::{Error, Result};
use reqwest::Response;
use tokio::time::timeout;
use url::Url;

use crate::{Client, answer::causes};

/// What a server answered to a GET.
pub enum Answer {
    /// The body of a successful answer, as it comes.
    Body(Box<dyn Read + Send>),
    /// It is elsewhere: the text of `Location`, which may be relative to the URL.
    Moved(String),
}

impl Client {
    /// The addresses of a host.
    ///
    /// # Errors
    /// [`Error::Transport`] if nobody knows it.
    pub fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>> {
        let failed = |why: String| Error::Transport { doing: format!("look up {host}"), why };
        // A URL has an IPv6 address in brackets.
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        self.wait(async {
            let found = timeout(self.config().timeouts.connect, tokio::net::lookup_host((bare, port))).await;
            let found = found.map_err(|_| failed("no answer".into()))?;
            Ok(found.map_err(|error| failed(error.to_string()))?.collect())
        })
    }

    /// Asks for a URL once, at one of `addresses` and at no other: neither a proxy nor another look-up comes between.
    /// Nothing is followed or tried again, and no credential is sent.
    ///
    /// # Errors
    /// [`Error::Transport`] for no answer or one that is neither a success nor a redirect.
    pub fn get(&self, url: &Url, addresses: &[SocketAddr]) -> Result<Answer> {
        let failed = |why: String| Error::Transport { doing: format!("fetch {url}"), why };
        let timeouts = self.config().timeouts;
        let client = self.transport().pinned(url, addresses)?;
        let response = self.wait(async { timeout(timeouts.answer, client.get(url.clone()).send()).await });
        let response = response.map_err(|_| failed(format!("no answer for {} s", timeouts.answer.as_secs())))?;
        let response = response.map_err(|error| failed(causes(&error)))?;
        let status = response.status();
        match response.headers().get(LOCATION).filter(|_| status.is_redirection()) {
            Some(location) => match location.to_str() {
                Ok(location) => Ok(Answer::Moved(location.to_owned())),
                Err(_) => Err(failed("it is redirected to no URL".into())),
            },
            None if status.is_success() => Ok(Answer::Body(Box::new(Body::new(self, response)))),
            None => Err(failed(format!("the server answered {status}"))),
        }
    }
}

/// A body that is read as it comes.
pub(crate) struct Body {
    client: Client,
    response: Response,
    ready: Bytes,
    stall: Duration,
}

impl Body {
    pub(crate) fn new(client: &Client, response: Response) -> Self {
        Self { client: client.clone(), response, ready: Bytes::new(), stall: client.config().timeouts.stall }
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ready.is_empty() && !buffer.is_empty() {
            let (stall, response) = (self.stall, &mut self.response);
            let next = self.client.wait(async { timeout(stall, response.chunk()).await });
            let next = next.map_err(|_| io::Error::other(format!("no bytes for {} s", self.stall.as_secs())))?;
            let next = next.map_err(|error| io::Error::other(format!("the connection broke off: {}", causes(&error))))?;
            self.ready = next.unwrap_or_default();
        }
        let count = self.ready.len().min(buffer.len());
        self.ready.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
