//! `EXPOSE`: ports, ranges of ports, and what people take from `docker run -p`.

use std::net::IpAddr;

/// What one word of `EXPOSE` says.
pub(super) struct Ports {
    /// Each as `80/tcp`.
    pub ports: Vec<String>,
    /// The protocol is not in lower case.
    pub odd_case: bool,
    /// It has an address or a port of the host's, which mean nothing here.
    pub mapping: bool,
}

/// Reads `[[ip:]public:]private[/protocol]`.
pub(super) fn parse(word: &str) -> Result<Ports, String> {
    let (address, host, container) = split(word);
    let (port, protocol) = protocol(container).map_err(|error| format!("invalid port: {word:?}: {error}"))?;
    check_address(address)?;
    let (start, end) = range(port).ok_or_else(|| format!("invalid containerPort: {port}"))?;
    if !host.is_empty() {
        let (first, last) = range(host).ok_or_else(|| format!("invalid hostPort: {host}"))?;
        if end - start != last - first && end != start {
            return Err(format!("invalid ranges specified for container and host Ports: {port} and {host}"));
        }
    }
    let lower = protocol.to_lowercase();
    let ports = (start..=end).map(|port| format!("{port}/{lower}")).collect();
    Ok(Ports { ports, odd_case: lower != protocol, mapping: !address.is_empty() || !host.is_empty() })
}

fn split(word: &str) -> (&str, &str, &str) {
    let Some((front, container)) = word.rsplit_once(':') else { return ("", "", word) };
    match front.rsplit_once(':') {
        Some((address, host)) => (address, host, container),
        None => ("", front, container),
    }
}

fn protocol(container: &str) -> Result<(&str, &str), String> {
    let (port, protocol) = container.split_once('/').unwrap_or((container, ""));
    match protocol.to_lowercase().as_str() {
        _ if port.is_empty() => Err("no port specified".into()),
        "" => Ok((port, "tcp")),
        "tcp" | "udp" | "sctp" => Ok((port, protocol)),
        _ => Err(format!("invalid proto: {protocol}")),
    }
}

fn check_address(address: &str) -> Result<(), String> {
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    match bare.is_empty() || bare.parse::<IpAddr>().is_ok() {
        true => Ok(()),
        false => Err(format!("invalid IP address: {bare}")),
    }
}

fn range(ports: &str) -> Option<(u16, u16)> {
    let (start, end) = ports.split_once('-').unwrap_or((ports, ports));
    let (start, end) = (number(start)?, number(end)?);
    (start <= end).then_some((start, end))
}

/// Go takes a sign too, but no port is below zero.
fn number(port: &str) -> Option<u16> {
    port.strip_prefix('+').unwrap_or(port).parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn words() {
        let ports = |word: &str| parse(word).unwrap().ports.join(" ");
        assert_eq!(ports("80"), "80/tcp");
        assert_eq!(ports("8080:80/UDP"), "80/udp");
        assert_eq!(ports("1-3/sctp"), "1/sctp 2/sctp 3/sctp");
        assert_eq!(ports("[::1]:90:80"), "80/tcp");
        assert!(parse("127.0.0.1::80").unwrap().mapping && parse("80/Tcp").unwrap().odd_case);
    }

    #[test]
    fn mistakes() {
        let wrong = |word: &str| parse(word).err().unwrap();
        assert_eq!(wrong("80/xyz"), "invalid port: \"80/xyz\": invalid proto: xyz");
        assert_eq!(wrong("/tcp"), "invalid port: \"/tcp\": no port specified");
        assert_eq!(wrong("65536"), "invalid containerPort: 65536");
        assert_eq!(wrong("3-1"), "invalid containerPort: 3-1");
        assert_eq!(wrong("x:80"), "invalid hostPort: x");
        assert_eq!(wrong("nine:1:80"), "invalid IP address: nine");
        assert_eq!(wrong("1-5:1-2"), "invalid ranges specified for container and host Ports: 1-2 and 1-5");
    }
}
