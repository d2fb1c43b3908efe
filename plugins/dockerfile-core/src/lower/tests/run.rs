//! `RUN`.

use nacre_sdk::frontend::{Fresh, Request, request};
use nacre_sdk::graph::Network;

use super::{build, built, graph, history, mistake, with_args};

/// The last vertex of a stage on `base` with these lines.
fn ran(lines: &str) -> String {
    graph(&format!("FROM base\n{lines}")).lines().last().unwrap().to_string()
}

#[test]
fn forms() {
    let env = "{PATH=/bin BASE=1}";
    assert_eq!(ran("RUN a  b"), format!("1 exec 0 [/bin/sh|-c|a  b] / {env}"));
    assert_eq!(ran("RUN [\"a\", \"b c\"]"), format!("1 exec 0 [a|b c] / {env}"));
    assert_eq!(ran("SHELL [\"ash\"]\nWORKDIR /w\nUSER me\nRUN a"), format!("2 exec 1 [ash|a] /w {env} as me"));
    assert_eq!(ran("RUN <<EOF\na\nb\nEOF"), format!("1 exec 0 [/bin/sh|-c|a\nb\n] / {env}").lines().last().unwrap());
}

#[test]
fn documents() {
    assert_eq!(history("FROM base\nRUN cat <<A <<-B\n1\nA\n\t2\nB"), ["RUN /bin/sh -c cat <<A <<-B\n1\nA\n\t2\nB # buildkit"]);
    let text = "FROM base\nRUN <<-EOF\n\t#!/bin/awk\n\tx\nEOF";
    assert_eq!(history(text), ["RUN /bin/sh -c /dev/pipes/EOF # buildkit"]);
    assert!(graph(text).contains("mkfile /EOF 755 \"#!/bin/awk\\nx\\n\""));
    assert!(graph(text).ends_with(" (bind 2:/ at /dev/pipes/)"), "{}", graph(text));
    assert_eq!(super::labels(&built(text)).last().unwrap(), "[2/2] RUN <<-EOF (#!/bin/awk...)");
}

#[test]
fn mounts_and_their_defaults() {
    let mounts = |flags: &str| ran(&format!("WORKDIR /w\nRUN {flags} x")).split_once('}').unwrap().1.trim_start().to_string();
    assert_eq!(mounts("--mount=target=m,source=../s"), "(bind 2:/s at /w/m)");
    assert_eq!(mounts("--mount=from=other,target=/m,rw"), "(bind 1:/ at /m rw)");
    assert_eq!(mounts("--mount=type=cache,target=/c/"), "(cache /c shared 755 0:0 at /c rw)");
    assert_eq!(
        mounts("--mount=type=cache,target=/c,id=i,sharing=locked,from=other,source=d,uid=1,mode=0700"),
        "(cache i locked 1:/d 700 1:0 at /c rw)"
    );
    assert_eq!(mounts("--mount=type=tmpfs,target=/t,size=1k"), "(tmpfs 1024 at /t rw)");
    assert_eq!(mounts("--mount=type=secret,id=a/s,required"), "(secret a/s! 400 0:0 at /run/secrets/s)");
    assert_eq!(mounts("--mount=type=secret,id=s,env=S"), "$S=s");
    assert_eq!(mounts("--mount=type=secret,id=s,env=S,target=/s,uid=3"), "$S=s (secret s 400 3:0 at /s)");
    assert_eq!(mounts("--mount=type=ssh"), "(ssh  600 0:0 at /run/buildkit/ssh_agent.0)");
}

#[test]
fn an_agent_s_socket_is_told() {
    let shown = ran("RUN --mount=type=ssh --mount=type=ssh,id=b,target=/s x");
    assert!(shown.contains("SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0}"), "{shown}");
    assert!(ran("ENV SSH_AUTH_SOCK=/own\nRUN --mount=type=ssh x").contains("SSH_AUTH_SOCK=/own}"));
}

#[test]
fn labels_show_values_and_no_secrets() {
    let label = |text: &str| super::labels(&built(text)).last().unwrap().clone();
    assert_eq!(
        label("FROM base\nENV A=1\nrun --mount=type=secret,id=s,env=S x $A \"$S\" $N"),
        "[2/2] RUN --mount=type=secret,id=s,env=S x 1 \"****\" $N"
    );
}

#[test]
fn networks() {
    assert!(ran("RUN --network=none x").contains("other network"));
    assert!(ran("RUN --network=host x").contains("other network"), "the host decides whether that is allowed");
    let asked = Request { network: Network::Host, ..request("Dockerfile", b"FROM base\nRUN --network=host x\nRUN y") };
    assert_eq!(super::show::definition(&build(asked)[0].definition).matches("other network").count(), 2);
}

#[test]
fn what_the_user_wants_anew() {
    let text = "FROM base AS a\nWORKDIR /w\nRUN x\nFROM a AS b\nCOPY y /\nFROM b\nRUN z";
    let fresh = |fresh: Fresh| {
        let shown = super::show::definition(&build(Request { fresh, ..request("Dockerfile", text.as_bytes()) })[0].definition);
        shown.lines().filter(|line| line.ends_with(" fresh")).map(|line| line[..1].to_string()).collect::<String>()
    };
    assert_eq!([fresh(Fresh::None), fresh(Fresh::All), fresh(Fresh::Stages(vec!["B".into()]))], ["", "245", "4"]);
}

#[test]
fn settings_of_the_build() {
    let shown = super::show::definition(
        &build(with_args(
            "FROM base\nRUN --mount=type=cache,target=/c x",
            &[("BUILDKIT_SANDBOX_HOSTNAME", "h"), ("BUILDKIT_CACHE_MOUNT_NS", "n")],
        ))[0]
            .definition,
    );
    assert!(shown.ends_with(" on h (cache n//c shared 755 0:0 at /c rw)"), "{shown}");
}

#[test]
fn mistakes() {
    let wrong = |line: &str| mistake(&format!("FROM base\n{line}"));
    assert_eq!(wrong("RUN --security=insecure x"), "2: failed to load LLB: security.insecure is not allowed");
    assert_eq!(wrong("RUN []"), "2: failed to marshal LLB definition: arguments are required");
    assert_eq!(wrong("RUN --mount=type=tmpfs x"), "2: invalid mount target \"/\"");
    assert_eq!(wrong("RUN --mount=type=ssh,source=/x x"), "2: ssh does not support source");
}
