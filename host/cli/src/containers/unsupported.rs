//! Options of `docker run` that nacre does not have, so that the error says more than that.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Ports need a network of the container's own.
const PORTS: [&str; 5] = ["-p", "--publish", "-P", "--publish-all", "--expose"];

/// Docker's others.
const OTHERS: &str = "
    --annotation --attach -a --blkio-weight --blkio-weight-device --cap-add --cap-drop --cgroup-parent --cgroupns --cpu-period --cpu-quota
    --cpu-rt-period --cpu-rt-runtime --cpu-shares -c --cpus --cpuset-cpus --cpuset-mems --device --device-cgroup-rule --device-read-bps
    --device-read-iops --device-write-bps --device-write-iops --dns --dns-option --dns-search --domainname --gpus --group-add --health-cmd
    --health-interval --health-retries --health-start-period --health-timeout --init --ip --ip6 --ipc --isolation --kernel-memory --link
    --link-local-ip --log-driver --log-opt --mac-address --memory -m --memory-reservation --memory-swap --memory-swappiness --network-alias
    --no-healthcheck --oom-kill-disable --oom-score-adj --pid --pids-limit --privileged --restart --runtime --security-opt --storage-opt
    --sysctl --use-api-socket --userns --uts --volume-driver --volumes-from";

/// What to say about an unknown option that is one of Docker's.
pub(crate) fn unsupported(error: &clap::Error) -> Option<String> {
    let (ErrorKind::UnknownArgument, Some(ContextValue::String(option))) = (error.kind(), error.get(ContextKind::InvalidArg)) else {
        return None;
    };
    if PORTS.contains(&option.as_str()) {
        return Some(format!("{option} is not supported: programs see the host's network, so their ports are open there as they are"));
    }
    let known = OTHERS.split_whitespace().any(|one| one == option);
    known.then(|| format!("{option} is not supported: nacre runs containers to try and commit images; for this use docker or podman"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn dockers_options_are_named_and_no_option_is_both() {
        let said = |line: &str| Cli::try_parse_from(line.split(' ')).err().and_then(|error| unsupported(&error));
        assert!(said("nacre run -p 80:80 x").is_some_and(|text| text.starts_with("-p is not supported: programs see the host's")));
        assert!(said("nacre run --restart=always x").is_some_and(|text| text.starts_with("--restart is not supported: nacre runs")));
        assert_eq!((said("nacre run --foo x"), said("nacre run x -p 80")), (None, None));
        for option in OTHERS.split_whitespace().chain(PORTS) {
            assert!(said(&format!("nacre run {option}=1 x")).is_some(), "{option} is supported");
        }
    }
}
