//! Capabilities: what a plugin may do beyond its arguments, and the one place that decides it.
//!
//! A plugin asks in its `plugin.toml`, the user grants at install, and the organisation's ceiling bounds
//! both. Whatever a host function does for a plugin it asks here first, each time: see
//! [`Capabilities::allows`]. Everything is plain data and no function touches the outside.

mod ask;

use std::net::IpAddr;

pub use ask::Ask;
use serde::{Deserialize, Serialize};

use crate::address::is_public;
use crate::error::one_line;
use crate::glob;
use ask::default_port;
pub(crate) use ask::source_port;

/// Entries that one list may have: people read them before they grant them.
const MAX_ENTRIES: usize = 100;
/// Bytes of one entry: a host name has at most 253 (RFC 1035, section 2.3.4) and a port.
const MAX_ENTRY: usize = 260;

/// The entry that stands for all hosts.
const ALL: &str = "*";

/// Access to the local store; each includes the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// None.
    #[default]
    None,
    /// List and read images.
    Read,
    /// Make, name and remove images as well.
    Write,
}

/// `[capabilities]`: asked for, granted or allowed at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Written")]
pub struct Capabilities {
    /// The local store.
    pub store: Access,
    /// Registries by host, with a port if they have one; `*` stands for all.
    pub registries: Vec<String>,
    /// Hosts for HTTP, exact, with a port if it is not the scheme's own. `*` stands for all hosts that a frontend's
    /// graph fetches from, and allows no HTTP of the plugin's own.
    pub net: Vec<String>,
    /// Globs below the folder that the command runs in.
    pub context: Vec<String>,
}

/// As it is written, before its entries are checked.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    store: Access,
    registries: Vec<String>,
    net: Vec<String>,
    context: Vec<String>,
}

impl TryFrom<Written> for Capabilities {
    type Error = String;

    fn try_from(written: Written) -> Result<Capabilities, String> {
        let Written { store, registries, net, context } = written;
        Kind::Registries.check(&registries)?;
        Kind::Net.check(&net)?;
        Kind::Context.check(&context)?;
        Ok(Capabilities { store, registries, net, context })
    }
}

/// The three lists, which differ in what an entry is and when one covers another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Registries,
    Net,
    Context,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Registries => "registries",
            Kind::Net => "net",
            Kind::Context => "context",
        }
    }

    /// Whether every entry is one that can be granted.
    pub(crate) fn check(self, entries: &[String]) -> Result<(), String> {
        if entries.len() > MAX_ENTRIES {
            return Err(format!("{} has more than {MAX_ENTRIES} entries", self.name()));
        }
        let valid = |entry: &str| match self {
            Kind::Registries => entry == ALL || is_host(entry),
            Kind::Net => entry == ALL || is_host(entry),
            Kind::Context => glob::is_valid(entry),
        };
        let want = match self {
            Kind::Registries => "a registry's host in lower case, such as \"ghcr.io\" or \"localhost:5000\", or \"*\"",
            Kind::Net => "one exact host in lower case, such as \"api.example.com\" or \"127.0.0.1:8080\"",
            Kind::Context => "a glob below the working folder, such as \"src/**\", without \"..\"",
        };
        match entries.iter().find(|entry| entry.len() > MAX_ENTRY || !valid(entry)) {
            Some(bad) => Err(format!("{} = {bad:?}: want {want}", self.name())),
            None => Ok(()),
        }
    }

    /// Whether `wide` allows all that `narrow` does.
    fn covers(self, wide: &str, narrow: &str) -> bool {
        match self {
            Kind::Registries | Kind::Net => wide == ALL || wide == narrow,
            Kind::Context => glob::matches(wide, narrow),
        }
    }

    fn covered(self, wide: &[String], narrow: &str) -> bool {
        wide.iter().any(|wide| self.covers(wide, narrow))
    }

    /// What is in `left` and not in `right`.
    fn difference(self, left: &[String], right: &[String]) -> Vec<String> {
        left.iter().filter(|entry| !self.covered(right, entry)).cloned().collect()
    }

    /// What both allow. Two globs that only overlap allow nothing together.
    pub(crate) fn intersect(self, left: &[String], right: &[String]) -> Vec<String> {
        let mut both: Vec<String> = left.iter().filter(|entry| self.covered(right, entry)).cloned().collect();
        both.extend(right.iter().filter(|entry| self.covered(left, entry)).cloned());
        both.sort();
        both.dedup();
        both
    }
}

/// A plugin was not granted what it asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not allowed {0}")]
pub struct Denied(String);

/// More is asked for than may be granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.lines().join(", "))]
pub struct Excess(pub Capabilities);

impl Capabilities {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        *self == Capabilities::default()
    }

    /// Whether a plugin with these capabilities may do what it asks for. The only place where this is decided.
    ///
    /// # Errors
    /// It may not. The text goes behind the plugin's name and says which capability is missing.
    pub fn allows(&self, ask: &Ask<'_>) -> Result<(), Denied> {
        let allowed = match *ask {
            Ask::StoreRead => self.store >= Access::Read,
            Ask::StoreWrite => self.store >= Access::Write,
            Ask::Registry(host) => Kind::Registries.covered(&self.registries, host),
            Ask::Net { host, port, scheme } => default_port(scheme).is_some_and(|default| self.names(host, port, default)),
            Ask::Source { host, port, scheme } => source_port(scheme).is_some_and(|default| {
                let all = self.all_hosts() && !host.is_empty() && !host.starts_with('-');
                all || self.names(host, port, default)
            }),
            Ask::Address(ip) => is_public(ip) || self.net.iter().any(|granted| literal(granted) == Some(ip)),
            Ask::Context(path) => glob::is_path(path) && Kind::Context.covered(&self.context, path),
        };
        if allowed { Ok(()) } else { Err(Denied(one_line(&ask.to_string()))) }
    }

    /// Whether `net` names this host with this port, which may be left out if it is the `default`.
    fn names(&self, host: &str, port: u16, default: u16) -> bool {
        let bare = port == default && host != ALL && self.net.iter().any(|granted| granted == host);
        bare || self.net.contains(&format!("{host}:{port}"))
    }

    /// Whether `net` stands for all hosts.
    pub(crate) fn all_hosts(&self) -> bool {
        self.net.iter().any(|granted| granted == ALL)
    }

    /// Whether `ceiling` covers all of it.
    ///
    /// # Errors
    /// What is too much.
    pub fn within(&self, ceiling: &Capabilities) -> Result<(), Excess> {
        let excess = self.difference(ceiling);
        if excess.is_empty() { Ok(()) } else { Err(Excess(excess)) }
    }

    /// What it allows and `other` does not: an update's new demands are `new.difference(&old)`.
    #[must_use]
    pub fn difference(&self, other: &Capabilities) -> Capabilities {
        Capabilities {
            store: if self.store > other.store { self.store } else { Access::None },
            registries: Kind::Registries.difference(&self.registries, &other.registries),
            net: Kind::Net.difference(&self.net, &other.net),
            context: Kind::Context.difference(&self.context, &other.context),
        }
    }

    /// What both allow; never more than either.
    #[must_use]
    pub fn intersect(&self, other: &Capabilities) -> Capabilities {
        Capabilities {
            store: self.store.min(other.store),
            registries: Kind::Registries.intersect(&self.registries, &other.registries),
            net: Kind::Net.intersect(&self.net, &other.net),
            context: Kind::Context.intersect(&self.context, &other.context),
        }
    }

    /// One line for each thing that it allows, as `plugin.toml` writes it: `net = "api.example.com"`.
    pub fn lines(&self) -> Vec<String> {
        let store = match self.store {
            Access::None => None,
            Access::Read => Some("store = \"read\"".to_owned()),
            Access::Write => Some("store = \"write\"".to_owned()),
        };
        let lists = [(Kind::Registries, &self.registries), (Kind::Net, &self.net), (Kind::Context, &self.context)];
        let entries = lists.into_iter().flat_map(|(kind, list)| list.iter().map(move |entry| format!("{} = {entry:?}", kind.name())));
        store.into_iter().chain(entries).collect()
    }
}

/// Whether a component with these capabilities may import this interface of nacre's. `import` is its name,
/// with or without a version. The interfaces of WASI are no matter of capabilities.
pub fn imports_allowed(import: &str, granted: &Capabilities) -> bool {
    let name = import.split_once('@').map_or(import, |(name, _)| name);
    let Some(interface) = name.strip_prefix("nacre:plugin/") else { return false };
    match interface {
        "types" | "host" | "bytes" | "files" | "images" | "terminal" | "graph" | "build" => true,
        "store" => granted.store >= Access::Read,
        "store-write" => granted.store >= Access::Write,
        "registry" => !granted.registries.is_empty(),
        "fetch" => granted.net.iter().any(|host| host != ALL),
        "context" => !granted.context.is_empty(),
        _ => false,
    }
}

/// Whether this is `HOST` or `HOST:PORT`: a name or an address, without wildcards.
fn is_host(text: &str) -> bool {
    let (host, port) = split_port(text);
    let port_is_good = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|n| n > 0 && n.to_string() == port));
    let label = |label: &str| {
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        label.len() <= 63 && label.bytes().all(allowed) && edge(label.as_bytes().first()) && edge(label.as_bytes().last())
    };
    // What ends in a number is an address and nothing else, as in the URL standard.
    let numeric = host.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    port_is_good && (literal(text).is_some_and(|ip| shown(ip) == host) || (!numeric && host.len() <= 253 && host.split('.').all(label)))
}

/// The address that an entry names literally.
fn literal(entry: &str) -> Option<IpAddr> {
    let (host, _) = split_port(entry);
    match host.strip_prefix('[') {
        Some(v6) => v6.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    }
}

/// An address as it stands in a URL.
fn shown(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn caps(text: &str) -> Capabilities {
        toml::from_str(text).unwrap()
    }

    fn refusal(text: &str) -> String {
        toml::from_str::<Capabilities>(text).unwrap_err().message().to_owned()
    }

    fn net<'a>(scheme: &'a str, host: &'a str, port: u16) -> Ask<'a> {
        Ask::Net { host, port, scheme }
    }

    #[test]
    fn entries_are_checked_as_they_are_read() {
        let all =
            caps("store='write'\nregistries=['*','ghcr.io','localhost:5000']\nnet=['a.example','[::1]:80','10.0.0.1']\ncontext=['src/**']");
        assert_eq!(all.store, Access::Write);
        assert!(caps("").is_empty());
        for bad in [
            "*.example",
            "https://a.example",
            "a.example/x",
            "A.example",
            "a.example.",
            "a b",
            "",
            "a:0",
            "a:x",
            "a:080",
            "::1",
            "1.2.3",
            "a..b",
            "-a.example",
        ] {
            assert!(refusal(&format!("net=[{bad:?}]")).starts_with(&format!("net = {bad:?}: want one exact host")), "{bad}");
        }
        assert!(refusal("registries=['*.io']").starts_with("registries ="));
        for bad in ["/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/**b", ""] {
            assert!(refusal(&format!("context=[{bad:?}]")).starts_with("context ="), "{bad}");
        }
        assert!(refusal("store='all'").contains("unknown variant"));
        assert!(refusal("env=['HOME']").contains("unknown field `env`"));
        let many: Vec<String> = (0..=MAX_ENTRIES).map(|n| format!("'h{n}'")).collect();
        assert_eq!(refusal(&format!("net=[{}]", many.join(","))), "net has more than 100 entries");
    }

    #[test]
    fn nothing_is_allowed_that_was_not_granted() {
        let none = Capabilities::default();
        let asks = [Ask::StoreRead, Ask::StoreWrite, Ask::Registry("ghcr.io"), net("https", "a.example", 443), Ask::Context("a")];
        assert!(asks.iter().all(|ask| none.allows(ask).is_err()));
        let said = none.allows(&Ask::StoreWrite).unwrap_err().to_string();
        assert_eq!(said, "is not allowed to change the store: it needs the capability store = \"write\"");
    }

    #[test]
    fn the_store_is_granted_in_steps() {
        let read = caps("store='read'");
        assert!(read.allows(&Ask::StoreRead).is_ok() && read.allows(&Ask::StoreWrite).is_err());
        assert!(caps("store='write'").allows(&Ask::StoreRead).is_ok());
    }

    #[test]
    fn a_registry_is_granted_by_its_host() {
        let some = caps("registries=['ghcr.io','localhost:5000']");
        assert!(some.allows(&Ask::Registry("ghcr.io")).is_ok() && some.allows(&Ask::Registry("localhost:5000")).is_ok());
        for other in ["docker.io", "localhost", "localhost:5001", "evil.ghcr.io", "*"] {
            assert!(some.allows(&Ask::Registry(other)).is_err(), "{other}");
        }
        assert!(caps("registries=['*']").allows(&Ask::Registry("docker.io")).is_ok());
    }

    #[test]
    fn a_host_is_granted_with_its_port() {
        let some = caps("net=['a.example','b.example:8443','[2606:4700::1]']");
        for good in [
            net("https", "a.example", 443),
            net("http", "a.example", 80),
            net("https", "b.example", 8443),
            net("https", "[2606:4700::1]", 443),
        ] {
            assert!(some.allows(&good).is_ok(), "{good:?}");
        }
        for bad in [
            net("https", "a.example", 8443),
            net("http", "a.example", 443),
            net("https", "b.example", 443),
            net("ftp", "a.example", 21),
            net("https", "x.a.example", 443),
            net("https", "a.example.", 443),
        ] {
            assert!(some.allows(&bad).is_err(), "{bad:?}");
        }
        let said = some.allows(&net("https", "a.example", 8443)).unwrap_err().to_string();
        assert_eq!(said, "is not allowed to fetch from a.example:8443: it needs the capability net = [\"a.example:8443\"]");
    }

    #[test]
    fn a_graphs_sources_have_hosts_too() {
        let source = |scheme, host, port| Ask::Source { host, port, scheme };
        let (some, all) = (caps("net=['a.example']"), caps("net=['*']"));
        for good in [source("https", "a.example", 443), source("ssh", "a.example", 22), source("git", "a.example", 9418)] {
            assert!(some.allows(&good).is_ok() && all.allows(&good).is_ok(), "{good:?}");
        }
        assert!(all.allows(&source("http", "127.0.0.1", 8080)).is_ok());
        for bad in [source("file", "a.example", 0), source("https", "", 443), source("ssh", "-oProxyCommand=x", 22)] {
            assert!(some.allows(&bad).is_err() && all.allows(&bad).is_err(), "{bad:?}");
        }
        assert!(some.allows(&source("https", "b.example", 443)).is_err());
        for own in [net("https", "a.example", 443), net("https", "*", 443)] {
            assert!(all.allows(&own).is_err(), "{own:?}");
        }
    }

    #[test]
    fn a_private_address_is_granted_by_itself_alone() {
        let by_name = caps("net=['intranet.example','localhost:8080']");
        let literally = caps("net=['127.0.0.1:8080','[fd00::1]']");
        for address in ["127.0.0.1", "fd00::1"] {
            let ask = Ask::Address(address.parse().unwrap());
            assert!(by_name.allows(&ask).is_err() && literally.allows(&ask).is_ok(), "{address}");
        }
        assert!(literally.allows(&Ask::Address("::ffff:127.0.0.1".parse().unwrap())).is_err());
        assert!(by_name.allows(&Ask::Address("93.184.216.34".parse().unwrap())).is_ok());
    }

    #[test]
    fn files_are_granted_by_globs() {
        let some = caps("context=['src/**','*.toml']");
        for good in ["src/a/b.rs", "src/a", "Cargo.toml"] {
            assert!(some.allows(&Ask::Context(good)).is_ok(), "{good}");
        }
        for bad in ["a/Cargo.toml", "src/../secret", "/src/a", "srcs/a", "", "src/./a", "src//a"] {
            assert!(some.allows(&Ask::Context(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_exceeds_the_ceiling_is_named() {
        let ceiling = caps("store='read'\nregistries=['*']\nnet=['a.example']\ncontext=['src/**']");
        assert!(
            caps("store='read'\nregistries=['x.example','*']\nnet=['a.example']\ncontext=['src/*.rs','src/a/**']").within(&ceiling).is_ok()
        );
        let excess = caps("store='write'\nnet=['a.example','b.example']\ncontext=['**']").within(&ceiling).unwrap_err();
        assert_eq!(excess.to_string(), "store = \"write\", net = \"b.example\", context = \"**\"");
        assert!(caps("registries=['*']").within(&caps("registries=['a']")).is_err());
    }

    #[test]
    fn an_intersection_is_within_both() {
        let left = caps("store='write'\nregistries=['*']\nnet=['a','b']\ncontext=['**','docs/*']");
        let right = caps("store='read'\nregistries=['r','s']\nnet=['b','c']\ncontext=['src/*']");
        let both = left.intersect(&right);
        assert_eq!(both, caps("store='read'\nregistries=['r','s']\nnet=['b']\ncontext=['src/*']"));
        assert_eq!(both, right.intersect(&left));
        assert!(both.within(&left).is_ok() && both.within(&right).is_ok());
    }

    #[test]
    fn an_update_tells_what_is_new_and_what_is_gone() {
        let (old, new) = (caps("store='read'\nnet=['a','b']"), caps("store='write'\nnet=['b','c']"));
        assert_eq!(new.difference(&old).lines(), ["store = \"write\"", "net = \"c\""]);
        assert_eq!(old.difference(&new).lines(), ["net = \"a\""]);
        assert!(old.difference(&old).is_empty());
    }

    #[test]
    fn an_import_needs_its_capability() {
        let none = Capabilities::default();
        for free in ["types", "host", "bytes", "files", "images", "terminal", "graph", "build"] {
            assert!(imports_allowed(&format!("nacre:plugin/{free}@0.1.0"), &none), "{free}");
        }
        let needs = [
            ("store", "store='read'"),
            ("store-write", "store='write'"),
            ("registry", "registries=['a']"),
            ("fetch", "net=['a']"),
            ("context", "context=['a']"),
        ];
        for (interface, grant) in needs {
            let import = format!("nacre:plugin/{interface}@0.1.0");
            assert!(!imports_allowed(&import, &none) && imports_allowed(&import, &caps(grant)), "{interface}");
        }
        assert!(!imports_allowed("nacre:plugin/store-write@0.1.0", &caps("store='read'")));
        assert!(!imports_allowed("nacre:plugin/fetch@0.1.0", &caps("net=['*']")), "all hosts are for graphs alone");
        for never in ["nacre:plugin/hosts", "wasi:io/streams@0.2.0", "acme:plugin/host@0.1.0"] {
            assert!(!imports_allowed(never, &caps("store='write'")), "{never}");
        }
    }
}
