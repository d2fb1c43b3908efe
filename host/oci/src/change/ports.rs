//! `EXPOSE`: ports as go-connections' `nat.ParsePortSpec` takes them.

/// The ports of `[[IP:]HOST:]PORT[-PORT][/PROTOCOL]`, as `80/tcp`; a host's side of it means nothing in an image.
pub(super) fn ports(spec: &str) -> Result<Vec<String>, String> {
    let (ports, protocol) = spec.split_once('/').unwrap_or((spec, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!("'{protocol}' in '{spec}' is no protocol: there are tcp, udp and sctp"));
    }
    let own = ports.rsplit(':').next().unwrap_or_default();
    let (first, last) = own.split_once('-').unwrap_or((own, own));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect()),
        _ => Err(format!("'{own}' in '{spec}' is no port or range of ports")),
    }
}

fn number(text: &str) -> Option<u16> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn ports_and_ranges_with_protocols() {
        assert_eq!(ports("80").unwrap(), ["80/tcp"]);
        assert_eq!(ports("81/UDP").unwrap(), ["81/udp"]);
        assert_eq!(ports("7000-7002").unwrap(), ["7000/tcp", "7001/tcp", "7002/tcp"]);
        assert_eq!(ports("127.0.0.1:8080:80/sctp").unwrap(), ["80/sctp"]);
        for wrong in ["", "x", "-1", "+1", "90-80", "80-", "65536", "80/", "80/icmp", "80:"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }
}
