//! Downloads: a file that the user names by its URL and that is no registry's.

use std::io::{self, Read};

use http::{
    HeaderName, Method, StatusCode,
    header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION},
};
use nacre_oci::{Error, Result};
use oci_distribution::secrets::RegistryAuth;
use reqwest::Response;
use url::Url;

use crate::{
    Client,
    answer::About,
    fetch::Body,
    host::authority,
    request::{MAX_REDIRECTS, Request},
    retry::{Backoff, Failure},
};

/// What a server says that tells one version of a file from another (RFC 9110, 8.8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// Its entity tag, quotes included.
    pub etag: Option<String>,
    /// When it was last modified, as the server spells it.
    pub modified: Option<String>,
}

/// A file on its way; reading it ends in an error if the connection breaks off.
pub struct Download {
    /// How many bytes it has, if the server says so.
    pub size: Option<u64>,
    /// Which version of the file it is, as far as the server says so.
    pub version: Version,
    body: Body,
}

/// Whether a place may be asked, at first and after each redirect.
pub type Allowed<'a> = &'a (dyn Fn(&Url) -> Result<()> + Sync);

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.body.read(buffer)
    }
}

impl Client {
    /// Begins to download from an `http` or `https` URL, with the system's proxy and authorities, and the configuration's.
    /// Redirects are followed, except from TLS to plain HTTP; no registry's credentials are sent.
    ///
    /// # Errors
    /// [`Error::NotFound`], and [`Error::Transport`] for no answer or one that is no success.
    pub fn download(&self, url: &Url) -> Result<Download> {
        let unchanged =
            || Error::Transport { doing: format!("fetch {}", shown(url)), why: "the server answered 304 to a plain request".into() };
        self.download_changed(url, &Version::default(), &|_| Ok(()))?.ok_or_else(unchanged)
    }

    /// As [`Client::download`], only from where it is `allowed`; none if the file still is the `known` version.
    ///
    /// # Errors
    /// As [`Client::download`], and what `allowed` says.
    pub fn download_changed(&self, url: &Url, known: &Version, allowed: Allowed<'_>) -> Result<Option<Download>> {
        let about = About { doing: "fetch", what: shown(url), registry: authority(url) };
        let mut request = Request::new(Method::GET, url.clone(), Vec::new(), about);
        for (name, value) in [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.modified)] {
            if let Some(value) = value {
                request = request.header(name, value)?;
            }
        }
        let response = self.wait(async {
            let mut backoff = Backoff::new(self.config().retry);
            loop {
                match self.follow(&request, allowed).await {
                    Ok(response) => return Ok(response),
                    Err(failure) => self.pause(&mut backoff, failure).await?,
                }
            }
        })?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let version = Version { etag: said(&response, ETAG), modified: said(&response, LAST_MODIFIED) };
        Ok(Some(Download { size: response.content_length(), version, body: Body::new(self, response) }))
    }

    /// One attempt, wherever it is redirected to.
    async fn follow(&self, request: &Request, allowed: Allowed<'_>) -> Result<Response, Failure> {
        let mut url = request.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            allowed(&url)?;
            let response = self.exchange(&url, request, &RegistryAuth::Anonymous, reqwest::Body::default()).await?;
            match response.status() {
                status if status.is_success() || status == StatusCode::NOT_MODIFIED => return Ok(response),
                status if status.is_redirection() && response.headers().contains_key(LOCATION) => {
                    url = self.redirected(&url, &response, request)?;
                }
                status => return Err(refused(request, status)),
            }
        }
        Err(request.about.transport(format!("more than {MAX_REDIRECTS} redirects")).into())
    }
}

fn said(response: &Response, name: HeaderName) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

fn refused(request: &Request, status: StatusCode) -> Failure {
    if status == StatusCode::NOT_FOUND {
        return Error::not_found(&request.about.what).into();
    }
    let error = request.about.transport(format!("the server answered {status}"));
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS { Failure::passing(error) } else { error.into() }
}

/// A URL without what may be a secret in it: the user, and a signature in the query.
fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    // An error only says that such a URL cannot have them.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    shown.to_string()
}
