//! Options of `docker build` that nacre does not have, so that the error says more than that.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Docker's options, and what to do instead.
const OTHERS: [(&str, &str); 5] = [
    ("--squash", "write a file of several stages, and COPY what the image needs from one to the next"),
    ("--attest --sbom", "--provenance says how an image was made; nacre lists no packages"),
    ("--builder", "there is no builder to choose: nacre builds without a daemon"),
    (
        "--memory -m --memory-swap --cpu-period --cpu-quota --cpu-shares -c --cpuset-cpus --cpuset-mems --cgroup-parent",
        "BuildKit does not limit programs by it either: --ulimit and --shm-size do",
    ),
    ("--isolation --security-opt", "leave it out: programs of a build always run in namespaces and without privileges"),
];

/// What to say about an unknown option that is one of Docker's.
pub(crate) fn unsupported(error: &clap::Error) -> Option<String> {
    let (ErrorKind::UnknownArgument, Some(ContextValue::String(option))) = (error.kind(), error.get(ContextKind::InvalidArg)) else {
        return None;
    };
    let (_, instead) = OTHERS.iter().find(|(options, _)| options.split(' ').any(|one| one == option))?;
    Some(format!("{option} is not supported: {instead}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn dockers_options_are_named_and_no_option_is_both() {
        let said = |line: &str| Cli::try_parse_from(line.split(' ')).err().and_then(|error| unsupported(&error));
        assert!(said("nacre buildx build --squash .").is_some_and(|text| text.starts_with("--squash is not supported: write")));
        assert_eq!((said("nacre build --foo ."), said("nacre build --rm=false --force-rm --compress .")), (None, None));
        for option in OTHERS.iter().flat_map(|(options, _)| options.split(' ')) {
            assert!(said(&format!("nacre build {option}=1 .")).is_some(), "{option} is supported");
        }
    }
}
