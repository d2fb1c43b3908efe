//! `/etc/hosts` and `/etc/resolv.conf` as a program sees them.

use std::{fmt::Write, fs, path::Path};

use nacre_oci::{Error, Result};

use crate::request::{Network, Run};

/// What Docker writes into the hosts file of a container without a network.
const LONELY: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n\
    ff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

/// The files that a container has of its host, as Docker writes them at every start: the host's own, or where there is no
/// network the standard ones.
pub(crate) fn of_container(folder: &Path, run: &Run) -> Result<()> {
    let put = |name: &str, text: &[u8]| fs::write(folder.join(name), text).map_err(Error::io(format!("write {name}")));
    let mut hosts = match run.network {
        Network::Host => fs::read_to_string("/etc/hosts").unwrap_or_default(),
        Network::None => LONELY.into(),
    };
    for (name, address) in &run.hosts {
        let _ = writeln!(hosts, "{address}\t{name}");
    }
    put("hosts", hosts.as_bytes())?;
    put("hostname", format!("{}\n", run.hostname).as_bytes())?;
    put("resolv.conf", &fs::read("/etc/resolv.conf").unwrap_or_default())
}

/// Writes both into a folder. Names are found as on the host, whose network it is.
pub(crate) fn write(folder: &Path, hostname: &str, more: &[(String, String)]) -> Result<()> {
    let put = |name: &str, text: &[u8]| fs::write(folder.join(name), text).map_err(Error::io(format!("write {name}")));
    put("hosts", hosts(hostname, more).as_bytes())?;
    put("resolv.conf", &fs::read("/etc/resolv.conf").unwrap_or_default())
}

/// As BuildKit writes it, with an entry for the program's own host name.
fn hosts(hostname: &str, more: &[(String, String)]) -> String {
    let mut text = format!("127.0.0.1\tlocalhost {hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    for (name, address) in more {
        let _ = writeln!(text, "{address}\t{name}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_come_last() {
        let text = hosts("sandbox", &[("db".into(), "10.0.0.7".into())]);
        assert_eq!(text, "127.0.0.1\tlocalhost sandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.7\tdb\n");
    }
}
