//! `ARG`, `ENV`, platforms and `SOURCE_DATE_EPOCH`.

use nacre_sdk::Platform;
use nacre_sdk::frontend::{Request, request};
use serde_json::Value;

use super::{build, graph, history, image, mistake, refused, warnings, with_args};

fn labels(request: Request) -> Value {
    serde_json::from_str::<Value>(&build(request)[0].config).unwrap()["config"]["Labels"].clone()
}

#[test]
fn a_global_argument_is_seen_by_from_and_by_stages_that_declare_it() {
    let text = "ARG V=1\nARG BASE=ba$W\nFROM scratch\nLABEL hidden=[$V]\nARG V\nLABEL seen=[$V]";
    assert_eq!(image(text)["config"]["Labels"], serde_json::json!({"hidden": "[]", "seen": "[1]"}));
    assert_eq!(history(text), ["- LABEL hidden=[]", "- ARG V=1", "- LABEL seen=[1]"]);
    assert!(
        graph("ARG NAME=ba\nARG NAME=${NAME}se\nFROM $NAME\nRUN x")
            .starts_with("0 image docker.io/library/base:latest@sha256:d linux/amd64")
    );
}

#[test]
fn given_values_win_over_defaults_and_only_where_they_are_declared() {
    let text = "ARG G=1\nFROM scratch\nARG G\nARG A=2 B=$A\nENV A=3\nLABEL a=$A b=$B g=$G n=[$N]";
    let said = labels(with_args(text, &[("G", "eins"), ("B", "zwei"), ("N", "x")]));
    assert_eq!(said, serde_json::json!({"a": "3", "b": "zwei", "g": "eins", "n": "[]"}));
}

#[test]
fn stages_inherit_arguments_and_env_wins_again_in_them() {
    let text = "FROM base AS a\nENV E=env\nARG E=arg\nARG P=1\nRUN one\nFROM a\nRUN two";
    assert_eq!(history(text)[3..], ["RUN |2 E=arg P=1 /bin/sh -c one # buildkit", "RUN |2 E=env P=1 /bin/sh -c two # buildkit"]);
}

#[test]
fn platform_arguments() {
    let arm = Platform { os: "linux".into(), arch: "arm".into(), variant: Some("v7".into()) };
    let text = "FROM scratch\nARG TARGETPLATFORM BUILDPLATFORM TARGETVARIANT TARGETSTAGE\nLABEL all=\"$TARGETPLATFORM $BUILDPLATFORM $TARGETVARIANT $TARGETSTAGE [$TARGETARCH]\"";
    let asked = Request { platforms: vec![arm], ..request("Dockerfile", text.as_bytes()) };
    assert_eq!(labels(asked)["all"], "linux/arm/v7 linux/amd64 v7 default []");
    let own = "FROM scratch\nARG TARGETOS=own\nARG TARGETARCH\nLABEL os=$TARGETOS arch=$TARGETARCH";
    assert_eq!(labels(with_args(own, &[("TARGETARCH", "given")])), serde_json::json!({"os": "own", "arch": "given"}));
}

#[test]
fn an_image_for_each_platform() {
    let platforms = ["amd64", "arm64"].map(|arch| Platform { os: "linux".into(), arch: arch.into(), variant: None });
    let request = Request {
        platforms: platforms.to_vec(),
        ..request("Dockerfile", b"FROM --platform=$BUILDPLATFORM base AS make\nRUN make\nFROM base\nCOPY --from=make /a /")
    };
    let images = build(request);
    assert_eq!(images.iter().map(|image| image.platform.arch.as_str()).collect::<Vec<_>>(), ["amd64", "arm64"]);
    assert!(images[1].config.contains("\"architecture\":\"arm64\""));
    let labels = super::labels(&images[1]);
    assert_eq!(labels[2], "[linux/amd64 make 2/2] RUN make");
    assert!(labels[1].starts_with("[linux/arm64 stage-1 1/2] FROM docker.io/library/base:latest@sha256:"), "{}", labels[1]);
    assert_eq!(labels[3], "[linux/arm64 stage-1 2/2] COPY --from=make /a /");
}

#[test]
fn without_a_platform_the_base_says_what_the_image_is_for() {
    let mut session = super::session::Memory::default();
    session
        .images
        .insert("docker.io/library/foreign:latest".into(), r#"{"architecture":"s390x","os":"linux","rootfs":{"diff_ids":["x"]}}"#.into());
    let request = Request { platforms: Vec::new(), ..request("Dockerfile", b"FROM foreign") };
    let image = crate::lower::lower(&request, &mut session).unwrap().remove(0);
    assert_eq!(image.platform.arch, "s390x");
    assert_eq!(
        session.warnings,
        [
            "1 InvalidBaseImagePlatform Base image foreign was pulled with platform \"linux/s390x\", expected \"linux/amd64\" for current build"
        ]
    );
}

#[test]
fn proxies_reach_programs_and_nothing_else() {
    let image = build(with_args("FROM base\nRUN x", &[("HTTP_PROXY", "p"), ("no_proxy", "n")])).remove(0);
    let shown = super::show::definition(&image.definition);
    assert!(shown.ends_with("{PATH=/bin BASE=1} uncached {HTTP_PROXY=p http_proxy=p NO_PROXY=n no_proxy=n}"), "{shown}");
    assert!(!image.config.contains("PROXY"), "{}", image.config);
}

#[test]
fn an_epoch_dates_what_is_new() {
    let image = build(with_args("FROM base\nLABEL a=$SOURCE_DATE_EPOCH", &[("SOURCE_DATE_EPOCH", "1000000000")])).remove(0);
    let config: Value = serde_json::from_str(&image.config).unwrap();
    assert_eq!(config["created"], "2001-09-09T01:46:40Z");
    assert_eq!(config["history"][0]["created"], "2020-01-01T00:00:00Z");
    assert_eq!(
        config["history"][1],
        serde_json::json!({"created": "2001-09-09T01:46:40Z", "created_by": "LABEL a=", "comment": "buildkit.dockerfile.v0", "empty_layer": true})
    );
    assert_eq!(refused(with_args("FROM base", &[("SOURCE_DATE_EPOCH", "soon")])), "invalid SOURCE_DATE_EPOCH: soon");
}

#[test]
fn mistakes() {
    assert_eq!(mistake("FROM $X"), "1: base name ($X) should not be blank");
    assert_eq!(
        mistake("ARG WHER=1\nFROM --platform=$WHERE scratch"),
        "2: empty platform value from expression $WHERE (did you mean WHER?)"
    );
    assert_eq!(
        refused(with_args("FROM scratch", &[("BUILDKIT_MULTI_PLATFORM", "perhaps")])),
        "invalid boolean value for multi-platform: perhaps"
    );
}

#[test]
fn complaints() {
    let text = "ARG TAG\nFROM base:${TAG}\nFROM --platform=$TARGETPLATFORM base\nFROM --platform=linux/amd64 base${GONE}\nENV A_TOKEN=1\nLABEL a=$PAHT b=$TAG";
    assert_eq!(
        warnings(with_args(text, &[("TAG", "1")])),
        [
            "2 InvalidDefaultArgInFrom Default value for ARG base:${TAG} results in empty or invalid base image name",
            "3 RedundantTargetPlatform Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
            "4 UndefinedArgInFrom FROM argument 'GONE' is not declared",
            "4 FromPlatformFlagConstDisallowed FROM --platform flag should not use constant value \"linux/amd64\"",
            "5 SecretsUsedInArgOrEnv Do not use ARG or ENV instructions for sensitive data (ENV \"A_TOKEN\")",
            "6 UndefinedVar Usage of undefined variable '$PAHT' (did you mean $PATH?)",
            "6 UndefinedVar Usage of undefined variable '$TAG'",
        ]
    );
}
