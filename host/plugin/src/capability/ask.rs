//! What a host function is about to do, and how a refusal says it.

use std::fmt;
use std::net::IpAddr;

/// What a host function is about to do for a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask<'a> {
    /// List or read images of the local store.
    StoreRead,
    /// Make, name or remove images of the local store.
    StoreWrite,
    /// Speak to the registry of this host, as `Reference::registry` names it.
    Registry(&'a str),
    /// Ask this host over HTTP, at first and after each redirect.
    Net {
        /// The URL's host, an IPv6 address in brackets.
        host: &'a str,
        /// The URL's port, or else its scheme's.
        port: u16,
        /// The URL's scheme.
        scheme: &'a str,
    },
    /// Have a build fetch from this host, by HTTP or git.
    Source {
        /// The host, an IPv6 address in brackets.
        host: &'a str,
        /// The port, or else the scheme's.
        port: u16,
        /// `http`, `https`, `git` or `ssh`.
        scheme: &'a str,
    },
    /// Connect to this address, which a granted host's name stands for.
    Address(IpAddr),
    /// Read this file below the working folder, with `/` between its parts.
    Context(&'a str),
}

impl fmt::Display for Ask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ask::StoreRead => f.write_str("to read the store: it needs the capability store = \"read\""),
            Ask::StoreWrite => f.write_str("to change the store: it needs the capability store = \"write\""),
            Ask::Registry(host) => write!(f, "to speak to the registry {host}: it needs the capability registries = [\"{host}\"]"),
            Ask::Net { host, port, scheme } => match default_port(scheme) {
                None => write!(f, "to fetch from {scheme}: only http and https can be granted"),
                Some(default) => fetch(f, host, *port, default),
            },
            Ask::Source { host, port, scheme } => match source_port(scheme) {
                None => write!(f, "to build from {scheme}: only http, https, git and ssh can be granted"),
                Some(default) => fetch(f, host, *port, default),
            },
            Ask::Address(ip) => {
                write!(f, "to connect to {ip}, which is no public address: it needs that very address in the capability net")
            }
            Ask::Context(path) => write!(f, "to read the file {path}: it needs the capability context with a glob that matches it"),
        }
    }
}

fn fetch(f: &mut fmt::Formatter<'_>, host: &str, port: u16, default: u16) -> fmt::Result {
    let at = if port == default { host.to_owned() } else { format!("{host}:{port}") };
    write!(f, "to fetch from {at}: it needs the capability net = [\"{at}\"]")
}

/// The port of a scheme that a plugin can speak itself.
pub(super) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    }
}

/// The port of a scheme that a build can fetch from.
pub(crate) fn source_port(scheme: &str) -> Option<u16> {
    match scheme {
        "git" => Some(9418),
        "ssh" => Some(22),
        _ => default_port(scheme),
    }
}
