//! `RUN --mount`.

use super::super::{Command, Mistake, Mount, MountFlag, MountKind, Sharing};
use super::{command, wrong};

fn flag(text: &str) -> MountFlag {
    match command(&format!("RUN --mount={text} true")) {
        Command::Run(mut run) => run.mounts.remove(0),
        other => panic!("{other:?}"),
    }
}

/// The mount, with `$X` standing for `x`.
fn mount(text: &str) -> Mount {
    flag(text).expand(&mut |value| Ok(value.replace("$X", "x"))).unwrap()
}

fn error(text: &str) -> String {
    flag(text).expand(&mut |value| Ok(value.into())).unwrap_err().message
}

#[test]
fn values_are_expanded() {
    let bind = mount("from=stage,src=$X/a,target=/$X");
    assert_eq!((bind.kind, &bind.from[..], &bind.source[..], &bind.target[..]), (MountKind::Bind, "stage", "x/a", "/x"));
    let unset = flag("target=$X").expand(&mut |_| Err(Mistake::new("x", "unset"))).unwrap_err();
    assert_eq!(unset.message, "unset");
}

#[test]
fn every_key_counts() {
    let cache = mount("'TYPE=Cache,ID=a,sharing=LOCKED,dst=/c,mode=0750,uid=7,gid=8,\"source=a,b\"'");
    assert_eq!((cache.kind, &cache.id[..], cache.sharing, &cache.source[..]), (MountKind::Cache, "a", Some(Sharing::Locked), "a,b"));
    assert_eq!((cache.mode, cache.uid, cache.gid, cache.readonly), (Some(0o750), Some(7), Some(8), false));
    let secret = mount("type=secret,id=a,required,env=TOKEN");
    assert_eq!((secret.kind, secret.required, secret.env.as_deref()), (MountKind::Secret, true, Some("TOKEN")));
    assert_eq!(mount("type=tmpfs,size=64m,destination=/t").size, 64 << 20);
    assert!(!mount("type=ssh,required=false").required);
}

#[test]
fn types_differ_in_what_can_be_written() {
    let readonly = |text: &str| mount(text).readonly;
    assert_eq!(["type=bind", "type=cache", "type=tmpfs", "type=ssh"].map(readonly), [true, false, false, true]);
    assert_eq!(["rw", "readwrite=false", "ro=0", "type=cache,readonly"].map(readonly), [false, true, false, true]);
}

#[test]
fn the_source_is_known_at_once() {
    assert_eq!(flag("type=$X,from=a").from.as_deref(), Some("a"));
    assert_eq!(flag("from=,target=/x").from, None);
    assert_eq!(wrong("RUN --mount=from=$X x"), "'from' doesn't support variable expansion, define alias stage instead");
    assert_eq!(flag("from=a$").from.as_deref(), Some("a$"));
}

#[test]
fn fields_are_checked_at_once() {
    assert_eq!(wrong("RUN --mount= x"), "failed to parse csv mounts: EOF");
    assert_eq!(
        wrong(r#"RUN --mount='a="b' x"#),
        "failed to parse csv mounts: parse error on line 1, column 3: bare \" in non-quoted-field"
    );
}

#[test]
fn values_that_cannot_be() {
    for (text, reason) in [
        ("type=magic", "unsupported mount type \"magic\""),
        ("type=binds", "unsupported mount type \"binds\" (did you mean bind?)"),
        ("type=cache,sharing=lock", "unsupported sharing value \"lock\" (did you mean locked?)"),
        ("type=cache,mode=9z", "invalid value 9z for mode"),
        ("type=cache,uid=-1", "invalid value -1 for uid"),
        ("ro=yes", "invalid value for ro: yes"),
        ("type=tmpfs,size=big", "invalid value for size: big"),
        ("target", "invalid field 'target' must be a key=value pair"),
        ("tagret=/x", "unexpected key 'tagret' in 'tagret=/x' (did you mean target?)"),
        ("Colour=red", "unexpected key 'colour' in 'Colour=red'"),
    ] {
        assert_eq!(error(text), reason, "{text}");
    }
}

#[test]
fn keys_that_do_not_fit_the_type() {
    for (text, reason) in [
        ("size=1", "unexpected key 'size' for mount type 'bind'"),
        ("required,type=secret", "unexpected key 'required' for mount type 'bind'"),
        ("type=tmpfs,uid=1,mode=1", "mode not allowed for \"tmpfs\" type mounts"),
        ("type=secret,from=a,id=b", "secret mount should not have a from"),
        ("type=secret,id=b,sharing=shared", "secret mount should not define sharing"),
        ("type=secret,required", "invalid secret mount. one of source, target required"),
        ("type=secret,id=a,source=b", "both source and id can't be set"),
        ("type=ssh,sharing=shared", "invalid cache sharing set for ssh mount"),
    ] {
        assert_eq!(error(text), reason, "{text}");
    }
}
