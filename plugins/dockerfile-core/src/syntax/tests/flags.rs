//! Flags.

use super::super::{Command, CommandLine, Network, Security};
use super::{command, wrong};

fn exclude(text: &str) -> Vec<String> {
    match command(text) {
        Command::Copy(copy) => copy.files.exclude,
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_are_written_in_several_ways() {
    let Command::Copy(copy) = command(r#"COPY --from=x --chown="a b" --chmod=7'5'5 --link --parents=FALSE --exclude=a\ b a /"#) else {
        panic!("no COPY")
    };
    assert_eq!(copy.from.as_deref(), Some("x"));
    let files = copy.files;
    assert_eq!((files.chown.as_deref(), files.chmod.as_deref(), files.link, copy.parents), (Some("a b"), Some("755"), true, false));
    assert_eq!((files.exclude, files.sources), (vec!["a b".into()], vec!["a".into()]));
    let Command::Copy(copy) = command("COPY --from= --chown= a /") else { panic!("no COPY") };
    assert_eq!((copy.from, copy.files.chown), (None, None));
}

#[test]
fn some_flags_can_be_repeated() {
    assert_eq!(exclude("COPY --exclude=a --exclude=été --exclude=a a /"), ["a", "été", "a"]);
    assert_eq!(wrong("COPY --chown=a --chown=b a /"), "duplicate flag specified: --chown");
    assert_eq!(wrong("COPY --link --link a /"), "duplicate flag specified: --link");
}

#[test]
fn flags_end() {
    let Command::Run(run) = command("RUN --network=none -- --mount=type=x") else { panic!("no RUN") };
    assert_eq!((run.line, run.network), (CommandLine::Shell("--mount=type=x".into()), Network::None));
    let Command::Run(run) = command("RUN --security=insecure -x --network=none") else { panic!("no RUN") };
    assert_eq!((run.line, run.security), (CommandLine::Shell("-x --network=none".into()), Security::Insecure));
    assert_eq!(run.flags, ["security"]);
}

#[test]
fn flags_that_there_are_not() {
    assert_eq!(wrong("COPY --chowm=1 a /"), "unknown flag: --chowm (did you mean chown?)");
    assert_eq!(wrong("COPY --checksum=1 a /"), "unknown flag: --checksum");
    assert_eq!(wrong("ADD --from=x a /"), "unknown flag: --from");
    assert_eq!(wrong("CMD --flag x"), "unknown flag: --flag");
    assert_eq!(wrong("ENV --flag a=b"), "unknown flag: --flag");
    assert_eq!(wrong("FROM --platfrom=x scratch"), "unknown flag: --platfrom (did you mean platform?)");
    assert_eq!(wrong("HEALTHCHECK --often=1 CMD x"), "unknown flag: --often");
    assert_eq!(command("STOPSIGNAL --flag 9"), Command::StopSignal("9".into()), "nobody looks at them");
}

#[test]
fn values_that_do_not_fit() {
    assert_eq!(wrong("COPY --chown a /"), "missing a value on flag: --chown");
    assert_eq!(wrong("COPY --exclude a /"), "missing a value on flag: --exclude");
    assert_eq!(wrong("COPY --link= a /"), "missing a value on flag: --link");
    assert_eq!(wrong("COPY --link=maybe a /"), "expecting boolean value for flag --link, not: maybe");
    assert_eq!(wrong("RUN --network=x true"), "invalid network mode \"x\"");
    assert_eq!(wrong("RUN --security= true"), "security \"\" is not valid");
}

#[test]
fn add_says_whether_it_was_told() {
    let Command::Add(add) = command("ADD --unpack=false --keep-git-dir --checksum=sha256:1 a /") else { panic!("no ADD") };
    assert_eq!((add.unpack, add.keep_git_dir, add.checksum.as_deref()), (Some(false), Some(true), Some("sha256:1")));
    let Command::Add(add) = command("ADD a /") else { panic!("no ADD") };
    assert_eq!((add.unpack, add.keep_git_dir, add.checksum), (None, None, None));
}
