//! What instructions say of containers, in the configuration and in the history.

use nacre_sdk::frontend::request;

use super::{graph, history, image, mistake, warnings};

#[test]
fn every_instruction_has_its_place_and_its_row() {
    let text = "FROM base\nENV A=1 B=\"two words\"\nLABEL l=$A\nUSER me\nEXPOSE 81/udp 80-81\nVOLUME /v /w\nSTOPSIGNAL SIGTERM\nSHELL [\"/bin/ash\", \"-c\"]\nMAINTAINER me\nCMD [\"a\", \"b c\"]\nONBUILD RUN x";
    let image = image(text);
    assert_eq!(image["author"], "me");
    assert_eq!(
        image["config"].to_string(),
        r#"{"ArgsEscaped":true,"Cmd":["a","b c"],"Env":["PATH=/bin","BASE=1","A=1","B=two words"],"ExposedPorts":{"80/tcp":{},"81/tcp":{},"81/udp":{}},"Labels":{"l":"1"},"OnBuild":["RUN x"],"Shell":["/bin/ash","-c"],"StopSignal":"SIGTERM","User":"me","Volumes":{"/v":{},"/w":{}},"WorkingDir":"/"}"#
    );
    assert_eq!(
        history(text),
        [
            "- ENV A=1 B=two words",
            "- LABEL l=1",
            "- USER me",
            "- EXPOSE [80/tcp 81/tcp 81/udp]",
            "- VOLUME [/v /w]",
            "- STOPSIGNAL SIGTERM",
            "- SHELL [/bin/ash -c]",
            "- MAINTAINER me",
            "- CMD [\"a\" \"b c\"]"
        ]
    );
}

#[test]
fn entrypoint_clears_the_base_s_cmd_and_not_the_stage_s() {
    assert_eq!(image("FROM base\nENTRYPOINT x")["config"]["Cmd"], serde_json::Value::Null);
    assert_eq!(image("FROM base\nCMD y\nENTRYPOINT x")["config"]["Cmd"], serde_json::json!(["/bin/sh", "-c", "y"]));
    assert_eq!(history("FROM base\nENTRYPOINT x"), ["- ENTRYPOINT [\"/bin/sh\" \"-c\" \"x\"]"]);
}

#[test]
fn folders_are_made_for_the_user_and_seen_from_the_one_before() {
    let text = "FROM scratch\nWORKDIR /a/\nUSER 12:34\nWORKDIR b/../c\nWORKDIR /";
    assert_eq!(graph(text), "0 scratch\n1 file 0 mkdir /a 755\n2 file 1 mkdir /a/c 755 12:34");
    assert_eq!(history(text), ["WORKDIR /a/", "- USER 12:34", "WORKDIR /a/c", "- WORKDIR /"]);
    assert_eq!(image(text)["config"]["WorkingDir"], "/");
}

#[test]
fn health_is_checked() {
    let text = "FROM base\nHEALTHCHECK --interval=90s --retries=2 CMD [\"up\"]";
    assert_eq!(image(text)["config"]["Healthcheck"].to_string(), r#"{"Interval":90000000000,"Retries":2,"Test":["CMD","up"]}"#);
    assert_eq!(history(text), ["- HEALTHCHECK {Test:[CMD up] Interval:1m30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:2}"]);
    assert_eq!(image("FROM base\nHEALTHCHECK NONE")["config"]["Healthcheck"].to_string(), r#"{"Test":["NONE"]}"#);
}

#[test]
fn mistakes() {
    assert_eq!(mistake("FROM base\nVOLUME $X"), "2: VOLUME specified can not be an empty string");
    assert_eq!(mistake("FROM base\nSTOPSIGNAL 0"), "2: invalid signal: 0");
    assert_eq!(mistake("FROM base\n\nEXPOSE 80/x"), "3: invalid port: \"80/x\": invalid proto: x");
    assert_eq!(mistake("FROM base\nENV A=\"${B:?no B}\""), "2: failed to process \"\\\"${B:?no B}\\\"\": B: no B");
}

#[test]
fn complaints() {
    let text = "FROM base\nWORKDIR here\nENV A 1\nCMD a\nCMD [\"b\"]\nEXPOSE 1:80/TCP";
    assert_eq!(
        warnings(request("Dockerfile", text.as_bytes())),
        [
            "2 WorkdirRelativePath Relative workdir \"here\" can have unexpected results if the base image changes",
            "3 LegacyKeyValueFormat \"ENV key=value\" should be used instead of legacy \"ENV key value\" format",
            "4 JSONArgsRecommended JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
            "4 MultipleInstructionsDisallowed Multiple CMD instructions should not be used in the same stage because only the last one will be used",
            "6 ExposeProtoCasing Defined protocol '1:80/TCP' in EXPOSE instruction should be lowercase",
            "6 ExposeInvalidFormat EXPOSE instruction should not define an IP address or host-port mapping, found '1:80/TCP'",
        ]
    );
}
