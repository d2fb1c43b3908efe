//! Which IP addresses lie in the public Internet.
//!
//! After the registries of special-purpose addresses of RFC 6890 and IANA. An address that carries an IPv4 address
//! inside counts as that one, or not at all: otherwise `::ffff:127.0.0.1` would be a way round.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether it is neither private, local, reserved nor a group's.
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && b & 0xc0 == 64;
    let protocols = (a, b, c) == (192, 0, 0);
    let relays = (a, b, c) == (192, 88, 99);
    let benchmarks = a == 198 && b & 0xfe == 18;
    let special = a == 0 || a >= 224 || shared || protocols || relays || benchmarks;
    !(special || ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_documentation())
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    // NAT64 (RFC 6052): what an IPv6-only network's name server answers for an IPv4 host.
    if [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0] {
        let [[w, x], [y, z]] = [g, h].map(u16::to_be_bytes);
        return is_public_v4(Ipv4Addr::new(w, x, y, z));
    }
    // Global unicast is 2000::/3; what else is public comes through NAT64.
    let teredo_and_protocols = a == 0x2001 && b < 0x200;
    let documentation = (a == 0x2001 && b == 0xdb8) || (a == 0x3fff && b < 0x1000);
    let six_to_four = a == 0x2002;
    a & 0xe000 == 0x2000 && !(teredo_and_protocols || documentation || six_to_four)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        for public in
            ["8.8.8.8", "93.184.216.34", "100.63.0.1", "172.32.0.1", "198.20.0.1", "2606:4700::1111", "2a00::1", "64:ff9b::808:808"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        let local = [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.19.0.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "fe80::1",
            "fec0::1",
            "fd00::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "100::1",
        ];
        for local in local {
            assert!(!is_public(local.parse().unwrap()), "{local}");
        }
    }
}
