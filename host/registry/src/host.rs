//! Hosts: Docker Hub's three names, and which hosts are near.

use std::net::IpAddr;

use nacre_oci::DEFAULT_REGISTRY;
use url::{Host, Url};

/// Where Docker Hub's registry API is.
const HUB_API: &str = "registry-1.docker.io";
/// Where Docker Hub's search is.
const HUB_INDEX: &str = "index.docker.io";
/// Docker's name for the Hub in its auth file and towards credential helpers.
pub(crate) const HUB_CREDENTIAL: &str = "https://index.docker.io/v1/";

/// The host that speaks the distribution API for a registry.
pub(crate) fn api_host(registry: &str) -> &str {
    if registry == DEFAULT_REGISTRY { HUB_API } else { registry }
}

/// The host that answers `/v1/search` for a registry.
pub(crate) fn search_host(registry: &str) -> &str {
    if registry == DEFAULT_REGISTRY { HUB_INDEX } else { registry }
}

/// Whether a URL leads to this machine: `localhost`, 127.0.0.0/8, `::1`.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(v4)) => v4.is_loopback(),
        Some(Host::Ipv6(v6)) => v6.to_canonical().is_loopback(),
        None => false,
    }
}

/// Whether a URL leads to this machine or, by a literal address, into a network that the Internet has no business in.
pub(crate) fn is_internal(url: &Url) -> bool {
    let internal = |address: IpAddr| match address {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xC0 == 64;
            v4.is_private() || v4.is_link_local() || v4.is_loopback() || v4.is_unspecified() || shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local() || v6.is_unique_local(),
    };
    match url.host() {
        Some(Host::Ipv4(v4)) => internal(v4.into()),
        Some(Host::Ipv6(v6)) => internal(v6.to_canonical()),
        _ => is_loopback(url),
    }
}

/// `host` or `host:port`, as references and auth files write it; the scheme's own port is left out.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether two URLs have the same scheme, host and port: the border that credentials do not cross.
pub(crate) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port_or_known_default() == b.port_or_known_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn knows_near_from_far() {
        let url = |host: &str| Url::parse(&format!("http://{host}/v2/")).unwrap();
        for host in ["localhost:5000", "127.9.9.9", "[::1]:5000", "[::ffff:127.0.0.1]"] {
            assert!(is_loopback(&url(host)) && is_internal(&url(host)), "{host}");
        }
        for host in ["10.0.0.1", "192.168.1.1:80", "172.16.0.1", "169.254.169.254", "[fe80::1]", "[fd00::1]", "0.0.0.0", "0x7f.1"] {
            assert!(is_internal(&url(host)), "{host}");
        }
        for host in ["example.com", "8.8.8.8", "localhost.example.com", "127.0.0.1.example.com", "[2606:4700::1]"] {
            assert!(!is_internal(&url(host)) && !is_loopback(&url(host)), "{host}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let same = |a: &str, b: &str| same_origin(&Url::parse(a).unwrap(), &Url::parse(b).unwrap());
        assert!(same("https://a.example/x", "https://A.example:443/y"));
        assert!(!same("https://a.example/", "http://a.example:443/"));
        assert!(!same("https://a.example/", "https://a.example:444/"));
        assert!(!same("https://a.example/", "https://a.example.evil/"));
    }
}
