//! The texts of flags, read by Docker's rules (docker/cli's `opts`, moby's `volume/mounts`). What only the caller can know is
//! handed in: nothing here looks at the environment or at files.

mod csv;
mod env;
mod mount;
mod volume;

pub use env::{env, env_file, label};
pub use mount::mount;
pub use volume::volume;

use nacre_runtime::Network;

use crate::{Error, Result};

/// Reads `--network`.
///
/// # Errors
/// For anything but `host` and `none`.
pub fn network(text: &str) -> Result<Network> {
    match text {
        "host" => Ok(Network::Host),
        "none" => Ok(Network::None),
        _ => Err(Error::invalid(format!("network '{text}' is not supported: write --network host or --network none"))),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_two_networks_are_there() {
        assert_eq!((network("host").ok(), network("none").ok()), (Some(Network::Host), Some(Network::None)));
        for other in ["bridge", "", "container:x", "Host"] {
            let why = network(other).map_err(|error| error.to_string());
            assert_eq!(why, Err(format!("network '{other}' is not supported: write --network host or --network none")));
        }
    }

    proptest! {
        /// Whatever is typed, nothing panics, and what is mounted is mounted at an absolute path below the root.
        #[test]
        fn any_text_is_read_or_refused(text in "[-a-z0-9:,=./\"\\ \t\nZé]{0,40}", kind in "(|type=bind,|type=tmpfs,)(src=/a,)?dst=") {
            let here = Path::new("/here");
            let mounts = [volume(&text, here), mount(&text, here), mount(&format!("{kind}{text}"), here)];
            for mounting in mounts.into_iter().flatten() {
                let parts: Vec<&str> = mounting.target.split('/').skip(1).collect();
                prop_assert!(mounting.target.starts_with('/') && parts.iter().all(|part| !["", ".", ".."].contains(part)), "{mounting:?}");
            }
            let _ = (env(&text, &|_| None), label(&text), network(&text));
            for variable in env_file("f", text.as_bytes(), &|_| None).into_iter().flatten() {
                prop_assert!(variable.find('=').is_some_and(|at| at > 0), "{variable}");
            }
        }
    }
}
