//! Stages, what they are built on and what they use.

use nacre_sdk::Kv;
use nacre_sdk::frontend::{Context, ContextKind, Request, request};

use super::session::Memory;
use super::{build, built, graph, history, image, mistake, refused};

const BASE: &str = "0 image docker.io/library/base:latest@sha256:d linux/amd64";

fn target(text: &str, target: &str) -> Request {
    Request { target: Some(target.into()), ..request("Dockerfile", text.as_bytes()) }
}

fn with_context(text: &str, name: &str, kind: ContextKind) -> Request {
    Request { contexts: vec![Context { name: name.into(), kind }], ..request("Dockerfile", text.as_bytes()) }
}

fn shown(request: Request) -> String {
    super::show::definition(&build(request)[0].definition)
}

#[test]
fn only_what_the_target_needs_is_looked_up() {
    let text = "FROM missing AS unused\nRUN a\nFROM base AS B\nRUN b\nFROM scratch\nCOPY --from=1 /x /\nCOPY --from=b /y /";
    let env = "{PATH=/bin BASE=1}";
    assert_eq!(
        graph(text),
        format!(
            "{BASE}\n1 exec 0 [/bin/sh|-c|b] / {env}\n2 scratch\n3 file 2 copy 1:/x -> / * ? contents\n4 file 3 copy 1:/y -> / * ? contents"
        )
    );
    assert_eq!(shown(target(text, "b")), format!("{BASE}\n1 exec 0 [/bin/sh|-c|b] / {env}"));
    assert_eq!(super::labels(&built(text))[1..], ["[b 2/2] RUN b", "[stage-2 1/2] COPY --from=1 /x /", "[stage-2 2/2] COPY --from=b /y /"]);
}

#[test]
fn a_stage_on_a_stage_goes_on_from_it() {
    let text = "FROM base AS a\nENV A=1\nWORKDIR /w\nFROM a\nRUN x";
    assert_eq!(graph(text), format!("{BASE}\n1 file 0 mkdir /w 755\n2 exec 1 [/bin/sh|-c|x] /w {{PATH=/bin BASE=1 A=1}}"));
    assert_eq!(history(text), ["- ENV A=1", "WORKDIR /w", "RUN /bin/sh -c x # buildkit"]);
    assert_eq!(
        graph("FROM scratch AS a\nCOPY a /\nFROM base AS a\nFROM a\nCOPY b /").lines().next(),
        Some(BASE),
        "the last of that name counts"
    );
}

#[test]
fn an_image_without_instructions_is_itself() {
    assert_eq!(graph("FROM base"), BASE);
    assert_eq!(graph("FROM scratch"), "0 scratch");
    assert_eq!(
        image("FROM scratch").to_string(),
        r#"{"architecture":"amd64","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"WorkingDir":"/"},"os":"linux"}"#
    );
}

#[test]
fn copies_and_mounts_of_images() {
    let text = "FROM scratch\nCOPY --from=other /a /\nCOPY --from=other /b /\nCOPY --from=scratch / /";
    assert_eq!(graph(text).matches("image ").count(), 1, "{}", graph(text));
    assert_eq!(
        mistake("FROM scratch\nCOPY --from=Other a b"),
        "2: failed to parse stage name \"Other\": invalid reference format: repository name (library/Other) must be lowercase"
    );
    assert_eq!(
        mistake("FROM base AS build\nFROM scratch\nCOPY --from=bulid a b"),
        "3: bulid: failed to resolve source metadata for docker.io/library/bulid:latest: not found (did you mean build?)"
    );
}

#[test]
fn named_contexts_stand_for_images_and_stages() {
    let text = "FROM base AS make\nRUN x\nFROM other\nCOPY --from=make a b";
    assert!(shown(with_context(text, "make", ContextKind::Folder)).contains("folder make"));
    let mut session = Memory::default();
    session.images.insert(
        "other::linux/amd64".into(),
        r#"{"os":"linux","architecture":"amd64","config":{"Env":["C=1"]},"rootfs":{"diff_ids":["x"]}}"#.into(),
    );
    let request = with_context(text, "other::linux/amd64", ContextKind::Image);
    let image = crate::lower::lower(&request, &mut session).unwrap().remove(0);
    assert!(super::show::definition(&image.definition).contains("image-context other::linux/amd64 linux/amd64"));
    assert!(image.config.contains(r#""Env":["C=1","PATH=/usr/local/sbin:"#), "{}", image.config);
    assert_eq!(shown(with_context("FROM base AS x\nRUN x", "x", ContextKind::Folder)), "0 folder x");
    assert_eq!(shown(with_context("FROM docker.io/library/base:latest", "base", ContextKind::Folder)), "0 folder base");
}

#[test]
fn triggers_of_an_image_come_first() {
    let text = "FROM triggering\nRUN own";
    assert_eq!(history(text), ["COPY . . # buildkit", "RUN /bin/sh -c make # buildkit", "RUN /bin/sh -c own # buildkit"]);
    assert_eq!(super::labels(&built(text))[2..], ["[2/4] ONBUILD COPY . .", "[3/4] ONBUILD RUN make", "[4/4] RUN own"]);
    assert!(graph(text).contains("copy 1:/ -> /app/ "), "{}", graph(text));
    assert_eq!(image(text)["config"].get("OnBuild"), None);
}

#[test]
fn triggers_of_a_stage_are_for_those_built_on_it() {
    let text = "FROM scratch AS other\nCOPY o /\nFROM base AS a\nONBUILD COPY --from=other /o /\nONBUILD LABEL x=$B\nFROM a AS b\nFROM b";
    assert_eq!(history(text), ["COPY /o / # buildkit", "- LABEL x="]);
    assert_eq!(graph(text).lines().count(), 5, "{}", graph(text));
    assert_eq!(mistake("FROM base AS a\nONBUILD DANCE\n\nFROM a"), "4: unknown instruction: DANCE");
    assert_eq!(mistake("FROM base AS a\nONBUILD VOLUME $X\n\nFROM a"), "4: VOLUME specified can not be an empty string");
}

#[test]
fn the_user_s_labels_win() {
    let label = Kv { key: "a".into(), value: "user".into() };
    let request = Request { labels: vec![label], ..request("Dockerfile", b"FROM scratch\nLABEL a=file b=file") };
    assert!(build(request)[0].config.contains(r#""Labels":{"a":"user","b":"file"}"#));
}

#[test]
fn a_check_looks_at_every_stage_and_returns_nothing() {
    let text = "FROM base AS one\nVOLUME $X\nFROM scratch";
    let check = |target: Option<&str>| Request { check: true, target: target.map(Into::into), ..request("Dockerfile", text.as_bytes()) };
    assert_eq!(refused(check(None)), "2: VOLUME specified can not be an empty string");
    assert_eq!(build(Request { check: true, ..request("Dockerfile", b"FROM scratch") }), []);
    assert_eq!(build(request("Dockerfile", text.as_bytes())).len(), 1);
}

#[test]
fn mistakes() {
    assert_eq!(refused(target("FROM base AS one", "oen")), "target stage \"oen\" could not be found (did you mean one?)");
    assert_eq!(refused(target("FROM base", "0")), "target stage \"0\" could not be found");
    assert_eq!(mistake("FROM scratch\nCOPY --from=1 a b"), "2: invalid stage index 1");
    assert_eq!(
        mistake("FROM scratch\nCOPY --from=$A a b"),
        "2: variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround"
    );
    assert_eq!(
        mistake("FROM scratch AS a\nCOPY --from=b x y\nFROM scratch AS b\nRUN --mount=from=a,target=/a x"),
        "2: circular dependency detected on stage: a"
    );
    assert_eq!(
        mistake("FROM base AS a\nRUN --mount=from=b,target=/m x\nFROM a AS b"),
        "2: cannot mount from stage \"b\" to \"/m\", stage needs to be defined before current command"
    );
    assert_eq!(
        mistake("FROM scratch AS a\nCOPY --from=b x y\nFROM a AS b"),
        "2: cannot copy from stage \"b\", it needs to be defined before current stage \"a\""
    );
    assert_eq!(mistake("FROM base AS odd_-name1"), "1: invalid context name odd_-name1: invalid reference format");
    assert_eq!(mistake("FROM bas"), "1: bas: failed to resolve source metadata for docker.io/library/bas:latest: not found");
    assert_eq!(
        mistake("FROM alpin"),
        "1: alpin: failed to resolve source metadata for docker.io/library/alpin:latest: not found (did you mean alpine?)"
    );
}

#[test]
fn what_is_only_copied_from_triggers_nothing() {
    assert_eq!(history("FROM scratch\nCOPY --from=triggering /a /"), ["COPY /a / # buildkit"]);
}

#[test]
fn an_image_that_cannot_be_asked_for_is_told_where_it_is_named() {
    let why = "failed to resolve source metadata for docker.io/library/unreachable:latest: connection refused";
    assert_eq!(mistake("FROM scratch\nCOPY --from=unreachable a b"), format!("2: unreachable: {why}"));
}
