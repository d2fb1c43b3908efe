#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};

use super::*;

/// The config that `changes` make of `before`.
fn changed(before: &Value, changes: &[&str]) -> Result<Value> {
    let mut config: RunConfig = serde_json::from_value(before.clone()).unwrap();
    change(&mut config, &changes.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())?;
    Ok(serde_json::to_value(config).unwrap())
}

/// What Docker 20.10 makes of each line (`docker import -c LINE`, then `docker inspect`), and of STOPSIGNAL Docker 25.
#[test]
fn each_instruction_does_what_dockers_does() {
    for (line, expected) in [
        ("CMD", json!({"Cmd": ["/bin/sh", "-c"]})),
        ("CMD []", json!({})),
        ("CMD echo  hi   there", json!({"Cmd": ["/bin/sh", "-c", "echo  hi   there"]})),
        (r#"CMD ["a","b c"]"#, json!({"Cmd": ["a", "b c"]})),
        ("CMD ['a']", json!({"Cmd": ["/bin/sh", "-c", "['a']"]})),
        ("CMD -- x", json!({"Cmd": ["/bin/sh", "-c", "x"]})),
        ("  cmd\ttab\tx  ", json!({"Cmd": ["/bin/sh", "-c", "tab\tx"]})),
        ("ENTRYPOINT", json!({})),
        ("ENTRYPOINT []", json!({})),
        (r#"ENTRYPOINT ["/init"]"#, json!({"Entrypoint": ["/init"]})),
        (r#"ENV a=b c="d e" f=g\ h"#, json!({"Env": ["a=b", "c=d e", "f=g h"]})),
        ("ENV k v w", json!({"Env": ["k=v w"]})),
        (r#"ENV k "v  w" \x 'y $z'"#, json!({"Env": ["k=v  w x y $z"]})),
        (r#"ENV "a b"=c"#, json!({"Env": ["a b=c"]})),
        ("ENV a=b=c d==", json!({"Env": ["a=b=c", "d=="]})),
        ("ENV a=b a=c", json!({"Env": ["a=c"]})),
        (r#"LABEL a=b "c d"=e a=f"#, json!({"Labels": {"a": "f", "c d": "e"}})),
        ("LABEL k v w", json!({"Labels": {"k": "v w"}})),
        ("EXPOSE 80 81/udp 7-8", json!({"ExposedPorts": {"80/tcp": {}, "81/udp": {}, "7/tcp": {}, "8/tcp": {}}})),
        ("EXPOSE 8080:80", json!({"ExposedPorts": {"80/tcp": {}}})),
        ("HEALTHCHECK none", json!({"Healthcheck": {"Test": ["NONE"]}})),
        ("HEALTHCHECK CMD curl  x", json!({"Healthcheck": {"Test": ["CMD-SHELL", "curl  x"]}})),
        (
            r#"HEALTHCHECK --interval=5s --timeout=1m --start-period=2s --retries=3 CMD ["a","b"]"#,
            json!({"Healthcheck": {"Test": ["CMD", "a", "b"], "Interval": 5_000_000_000_u64, "Timeout": 60_000_000_000_u64,
                "StartPeriod": 2_000_000_000_u64, "Retries": 3}}),
        ),
        ("onbuild   copy a  b", json!({"OnBuild": ["copy a  b"]})),
        ("ONBUILD blah x", json!({"OnBuild": ["blah x"]})),
        ("STOPSIGNAL SIGQUIT", json!({"StopSignal": "SIGQUIT"})),
        ("USER a b", json!({"User": "a b"})),
        ("USER 'a b'", json!({"User": "a b"})),
        ("USER $x", json!({})),
        ("VOLUME /a /b", json!({"Volumes": {"/a": {}, "/b": {}}})),
        (r#"VOLUME ["/a","/b c"]"#, json!({"Volumes": {"/a": {}, "/b c": {}}})),
        (r#"VOLUME ["/a""#, json!({"Volumes": {"[/a": {}}})),
        ("WORKDIR /a/../b/", json!({"WorkingDir": "/a/../b/"})),
        ("WORKDIR a/../b", json!({"WorkingDir": "/b"})),
        ("WORKDIR a b", json!({"WorkingDir": "/a b"})),
    ] {
        assert_eq!(changed(&json!({}), &[line]).unwrap(), expected, "{line}");
    }
}

#[test]
fn what_docker_refuses_is_refused() {
    for line in [
        r#"CMD ["a",1]"#,
        "CMD --foo x",
        "ENV",
        "ENV k",
        "ENV =x",
        "ENV a=1 b",
        "ENV a=${b",
        "ENV a='x",
        "ENV --x a=b",
        "LABEL",
        "EXPOSE",
        "EXPOSE x",
        "EXPOSE 80/foo",
        "EXPOSE 99999",
        "EXPOSE \"80 81\"",
        "HEALTHCHECK",
        "HEALTHCHECK CMD",
        "HEALTHCHECK CMD []",
        "HEALTHCHECK foo",
        "HEALTHCHECK NONE x",
        "HEALTHCHECK --retries=0 CMD x",
        "HEALTHCHECK --interval=1us CMD x",
        "HEALTHCHECK --interval 5s CMD x",
        "HEALTHCHECK --often=5s CMD x",
        "ONBUILD",
        "ONBUILD ONBUILD RUN x",
        "ONBUILD from x",
        "STOPSIGNAL",
        "STOPSIGNAL FOO",
        "USER",
        "VOLUME",
        r#"VOLUME [""]"#,
        "WORKDIR",
        "WORKDIR \"\"",
    ] {
        let error = changed(&json!({}), &[line]).unwrap_err();
        assert!(matches!(&error, Error::Malformed { what, .. } if what.contains(line)), "{line}: {error}");
    }
    for line in ["RUN x", "FROM x", "COPY a b", "SHELL [\"a\"]", "ARG x=1", "BLAH"] {
        let error = changed(&json!({}), &[line]).unwrap_err().to_string();
        assert!(error.contains(line) && error.contains("CMD, ENTRYPOINT, ENV, EXPOSE"), "{error}");
    }
}

#[test]
fn later_changes_see_earlier_ones() {
    let after = |changes: &[&str]| changed(&json!({}), changes).unwrap();
    assert_eq!(after(&["ENV a=1", "ENV b=$a a=2 c=$a"])["Env"], json!(["a=2", "b=1", "c=1"]));
    assert_eq!(after(&["WORKDIR /a", "WORKDIR b", "WORKDIR ../c"])["WorkingDir"], "/a/c");
    assert_eq!(
        after(&["ENV p=\"80 90\" d=/v", "EXPOSE $p", "VOLUME $d/x", "LABEL $p=$d"])["ExposedPorts"],
        json!({"80/tcp": {}, "90/tcp": {}})
    );
    assert_eq!(after(&["ONBUILD RUN a", "ONBUILD RUN b"])["OnBuild"], json!(["RUN a", "RUN b"]));
    assert_eq!(after(&["CMD a", "ENTRYPOINT b"])["Cmd"], json!(["/bin/sh", "-c", "a"]));
    assert_eq!(after(&[]), json!({}));
}

#[test]
fn what_the_image_had_is_merged() {
    let before = json!({"Cmd": ["old"], "Env": ["PATH=/bin", "a=1"], "Shell": ["/bin/ash", "-c"], "OnBuild": null, "Labels": {"x": "1"}});
    let after = changed(&before, &["ENTRYPOINT run", "ENV PATH=$PATH:/x", "LABEL y=2", "ONBUILD RUN z"]).unwrap();
    assert_eq!(after["Entrypoint"], json!(["/bin/ash", "-c", "run"]));
    assert_eq!(after.get("Cmd"), None, "a new entrypoint drops the command that was inherited");
    assert_eq!(after["Env"], json!(["PATH=/bin:/x", "a=1"]));
    assert_eq!((&after["Labels"], &after["OnBuild"]), (&json!({"x": "1", "y": "2"}), &json!(["RUN z"])));
    assert_eq!(changed(&before, &["CMD [\"new\"]"]).unwrap()["Cmd"], json!(["new"]));
}
