//! Files in memory, and what is built of them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use super::*;
use nacre_sdk::frontend::request;

/// Files by `CONTEXT:PATH`, and the places of the warnings.
#[derive(Default)]
struct Memory {
    files: BTreeMap<String, String>,
    warned: Vec<String>,
}

impl Session for Memory {
    fn read_file(&mut self, context: &str, path: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.files.get(&format!("{context}:{path}")).map(|text| text.clone().into_bytes()))
    }

    fn resolve(&mut self, name: &ImageName, _platform: &Platform) -> Result<Resolved, Error> {
        Err(Error::NotFound(format!("{name:?}")))
    }

    fn warn(&mut self, diagnostic: Diagnostic) {
        self.warned.push(place(diagnostic.at.as_ref()));
    }
}

fn place(at: Option<&nacre_sdk::Span>) -> String {
    at.map(|at| format!("{}:{}", at.file, at.line)).unwrap_or_default()
}

fn memory(files: &[(&str, &str)]) -> Memory {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    Memory { files, ..Memory::default() }
}

fn with(text: &str, args: &[(&str, &str)]) -> Request {
    let args = args.iter().map(|(key, value)| Kv { key: (*key).into(), value: (*value).into() }).collect();
    Request { args, ..request("app/Dockerfile", text.as_bytes()) }
}

/// The labels of a build's steps and their places.
fn steps(request: &Request, files: &[(&str, &str)]) -> Vec<String> {
    let images = build_with(request, &mut memory(files)).unwrap();
    let vertices = images.iter().flat_map(|image| &image.definition.vertices).filter(|vertex| vertex.at.is_some());
    vertices.map(|vertex| format!("{} {}", place(vertex.at.as_ref()), vertex.label)).collect()
}

/// The first mistake, with its place.
fn mistake(text: &str, files: &[(&str, &str)]) -> String {
    let Err(Error::Invalid(found)) = build_with(&with(text, &[]), &mut memory(files)) else { panic!("no mistake in {text:?}") };
    format!("{} {}", place(found[0].at.as_ref()), found[0].message)
}

/// Whether a condition holds with `A=1` given and `B=two` by default.
fn holds(condition: &str) -> bool {
    let text = format!("ARG A\nARG B=two\nFROM scratch\nIF {condition}\nCOPY yes /\nELSE\nCOPY no /\nENDIF");
    steps(&with(&text, &[("A", "1")]), &[])[0].contains("COPY yes")
}

#[test]
fn an_included_file_stands_in_place_of_the_instruction() {
    let files = [
        ("dockerfile:lib/a.docker", "# first\nCOPY a /\nINCLUDE b.docker\nCOPY c /\n"),
        ("dockerfile:lib/b.docker", "INCLUDE /common/d.docker\nCOPY b /"),
        ("context:common/d.docker", "\u{feff}COPY d /"),
    ];
    let built = steps(&with("FROM scratch\nINCLUDE lib/a.docker\nCOPY z /", &[]), &files);
    let expected = [
        "app/lib/a.docker:2 [1/5] COPY a /",
        "common/d.docker:1 [2/5] COPY d /",
        "app/lib/b.docker:2 [3/5] COPY b /",
        "app/lib/a.docker:4 [4/5] COPY c /",
        "app/Dockerfile:3 [5/5] COPY z /",
    ];
    assert_eq!(built, expected);
}

#[test]
fn the_graph_is_that_of_the_flat_file() {
    let plain = |text: &str| {
        let mut images = build_with(&with(text, &[]), &mut memory(&[("dockerfile:a", "COPY a /a\n")])).unwrap();
        images[0].definition.vertices.iter_mut().for_each(|vertex| vertex.at = None);
        images
    };
    assert_eq!(plain("FROM scratch\nINCLUDE a\nIF 0\nCOPY b /\nENDIF\nENV A=1"), plain("FROM scratch\nCOPY a /a\nENV A=1"));
}

#[test]
fn conditions_are_about_arguments_and_platforms() {
    for yes in ["$A == 1", "$A", "$B == two", "${A}-$B == 1-two", "$B != 2", "$NONE == \"\"", "${NONE:-x} == x", "$TARGETARCH == amd64"] {
        assert!(holds(yes), "{yes}");
    }
    for no in ["$A != 1", "$NONE", "0", "false", "\"\"", "$TARGETPLATFORM == linux/arm64"] {
        assert!(!holds(no), "{no}");
    }
}

#[test]
fn arguments_of_a_stage_end_with_it_and_what_does_not_count_declares_none() {
    let text = "FROM scratch AS a\nARG X=1\nIF 0\nARG Y=1\nENDIF\nIF $X == 1\nCOPY x /\nENDIF\nFROM a\nIF \"$X$Y\"\nCOPY y /\nENDIF";
    assert_eq!(steps(&with(text, &[]), &[]), ["app/Dockerfile:7 [a 1/1] COPY x /"]);
}

#[test]
fn conditions_nest() {
    let text = "FROM scratch\nIF 0\nIF 1\nINCLUDE no\nELSE\nCOPY a /\nENDIF\nELSE\nif 1\nCOPY b /\nendif\nENDIF";
    assert_eq!(steps(&with(text, &[]), &[]), ["app/Dockerfile:10 [1/1] COPY b /"]);
}

#[test]
fn each_platform_has_its_own_conditions_and_all_warn_once() {
    let text = "FROM scratch\nIF $TARGETARCH == arm64\nCOPY a /\nENDIF\nMAINTAINER me";
    let mut request = with(text, &[]);
    request.platforms.push(Platform { arch: "arm64".into(), ..request.build_platform.clone() });
    let mut memory = memory(&[]);
    let images = build_with(&request, &mut memory).unwrap();
    assert_eq!(images.iter().map(|image| image.definition.vertices.len()).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(images[1].definition.vertices[2].label, "[linux/arm64 1/1] COPY a /");
    assert_eq!(memory.warned, ["app/Dockerfile:5"]);
}

#[test]
fn words_of_documents_and_comments_are_no_instructions() {
    let text = "FROM scratch\n# INCLUDE x\nCOPY <<E /a\nINCLUDE x\nIF\nE\n";
    assert_eq!(steps(&with(text, &[]), &[]).len(), 1);
}

#[test]
fn mistakes_are_shown_where_they_are() {
    let in_a = |content: &str| mistake("FROM scratch\nINCLUDE a", &[("dockerfile:a", content)]);
    assert_eq!(in_a("\nCOPY --froom=x a b"), "app/a:2 unknown flag: --froom (did you mean from?)");
    assert_eq!(in_a("ENV A=1\n\nRUNN make"), "app/a:3 unknown instruction: RUNN (did you mean RUN?)");
    assert_eq!(in_a("IF 1\nENV A=1"), "app/a:1 this IF has no ENDIF in its file");
    assert_eq!(in_a("ENV A=1\nENDIF"), "app/a:2 there is no IF in this file for this ENDIF");
    assert_eq!(in_a("IF 1\nELSE\nELSE\nENDIF"), "app/a:3 this IF has an ELSE already");
    assert_eq!(in_a("IF 1\nELSE IF 0\nENDIF"), "app/a:2 ELSE stands alone: \"IF 0\" is too much");
    assert_eq!(in_a("IF $A = 1\nENDIF"), "app/a:1 IF takes one condition");
    assert_eq!(in_a("ENV A=1\nINCLUDE a"), "app/a:2 files include each other: app/Dockerfile → app/a → app/a");
    assert_eq!(in_a("INCLUDE ../Dockerfile"), "app/a:1 no file can be \"../Dockerfile\"");
    assert_eq!(in_a("INCLUDE b"), "app/a:1 there is no file app/b to include");
    assert_eq!(in_a("ENV A=1 \\\n"), "app/a:1 the file's last line goes on: there is a \\ at its end");
    assert_eq!(in_a("# escape=`\nENV A=1"), "app/a:1 an included file must have the escape character of the first");
}

#[test]
fn an_empty_file_is_nothing_to_include_but_nothing_to_build_either() {
    assert_eq!(steps(&with("FROM scratch\nINCLUDE a\nCOPY b /", &[]), &[("dockerfile:a", "")]), ["app/Dockerfile:3 [1/1] COPY b /"]);
    assert_eq!(mistake("", &[]), " the Dockerfile cannot be empty");
}

#[test]
fn lines_may_end_as_on_windows() {
    let built = steps(&with("FROM scratch\r\nIF 1\r\nINCLUDE a\r\nENDIF\r\n", &[]), &[("dockerfile:a", "COPY a /\r\nCOPY \\\r\nb /\r\n")]);
    assert_eq!(built, ["app/a:1 [1/2] COPY a /", "app/a:2 [2/2] COPY b /"]);
}

#[test]
fn files_nest_only_so_deep() {
    let files: Vec<(String, String)> = (0..20).map(|n| (format!("dockerfile:{n}"), format!("INCLUDE {}", n + 1))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert_eq!(mistake("FROM scratch\nINCLUDE 0", &files), "app/14:1 files include each other more than 16 deep");
}
