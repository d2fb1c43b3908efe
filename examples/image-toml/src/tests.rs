//! Graphs of texts.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use nacre_sdk::frontend::request;
use serde_json::{Value, json};

const BASE: &str = r#"{"rootfs":{},"history":[{"created_by":"base"}],"config":{"Env":["PATH=/bin","A=0"],"Cmd":["sh"]}}"#;

fn built(text: &str) -> Result<Image, Error> {
    build_with(&request("image.toml", text.as_bytes()), |_, _| Ok(BASE.into())).map(|mut images| images.remove(0))
}

fn config(text: &str) -> Value {
    serde_json::from_str(&built(text).unwrap().config).unwrap()
}

/// `LINE:COLUMN MESSAGE` of the mistake.
fn mistake(text: &str) -> String {
    let Err(Error::Invalid(found)) = built(text) else { panic!("no mistake in {text:?}") };
    let at = found[0].at.as_ref().unwrap();
    assert!(found[0].help.is_some() || found[0].code == "bad-toml", "no help: {}", found[0].message);
    format!("{}:{} {}", at.line, at.col, found[0].message)
}

#[test]
fn tables_are_layers_in_their_order() {
    let text = "base = \"debian\"\n[[link]]\npath = \"/b\"\ntarget = \"a\"\n[[file]]\npath = \"/x/c\"\ncontent = \"c\"\n[[link]]\npath = \"/d\"\ntarget = \"a\"";
    let image = built(text).unwrap();
    let steps: Vec<(u32, &str)> =
        image.definition.vertices.iter().filter_map(|vertex| Some((vertex.at.as_ref()?.line, vertex.label.as_str()))).collect();
    assert_eq!(steps, [(1, "base debian"), (2, "link /b to a"), (5, "file /x/c"), (8, "link /d to a")]);
    let config: Value = serde_json::from_str(&image.config).unwrap();
    let rows: Vec<&str> = config["history"].as_array().unwrap().iter().map(|row| row["created_by"].as_str().unwrap()).collect();
    assert_eq!(rows, ["base", "link /b to a", "file /x/c", "link /d to a"]);
    assert_eq!(config.get("rootfs"), None);
}

#[test]
fn only_a_folder_of_a_package_is_copied_out_of_what_was_unpacked() {
    let sum = "0".repeat(64);
    let text = format!("[[package]]\nurl = \"https://a.example/t-1.tar\"\nsha256 = \"{sum}\"\nfolder = \"t-1\"\nto = \"/opt\"");
    let vertices = built(&text).unwrap().definition.vertices;
    let Operation::Source(Source::Http(http)) = &vertices[1].operation else { panic!("{vertices:?}") };
    assert_eq!((http.name.as_str(), http.checksum.as_deref()), ("t-1.tar", Some(&*format!("sha256:{sum}"))));
    let copied: Vec<(&str, bool, &str)> = vertices
        .iter()
        .filter_map(|vertex| match &vertex.operation {
            Operation::File(file) => Some(&file.actions[0]),
            _ => None,
        })
        .map(|action| match action {
            Action::Copy(copy) => (copy.source.as_str(), copy.unpack, copy.dest.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(copied, [("/t-1.tar", true, "/"), ("/t-1", false, "/opt/")]);
}

#[test]
fn the_configuration_is_the_bases_with_the_files() {
    let text = "base = \"debian\"\n[config]\nentrypoint = [\"app\"]\nenv = { A = \"1\", B = \"2\" }\nports = [\"80\", \"53/udp\"]\nvolumes = [\"/v\"]";
    let expected = json!({
        "Env": ["PATH=/bin", "A=1", "B=2"], "Entrypoint": ["app"], "Cmd": null,
        "ExposedPorts": { "80/tcp": {}, "53/udp": {} }, "Volumes": { "/v": {} },
    });
    assert_eq!(config(text)["config"], expected);
    assert_eq!(
        config("[config]\nuser = \"me\"\nlabels = { a = \"b\" }")["config"],
        json!({ "Env": [], "User": "me", "Labels": { "a": "b" } })
    );
}

#[test]
fn programs_run_with_the_images_environment() {
    let vertices =
        built("base = \"debian\"\n[[run]]\ncommand = \"make\"\n[[run]]\ncommand = [\"id\"]\nuser = \"me\"").unwrap().definition.vertices;
    let runs: Vec<&Exec> = vertices
        .iter()
        .filter_map(|vertex| match &vertex.operation {
            Operation::Exec(exec) => Some(exec),
            _ => None,
        })
        .collect();
    assert_eq!((runs[0].args.join(" "), runs[0].env[0].key.as_str()), ("/bin/sh -c make".to_owned(), "PATH"));
    assert_eq!((&runs[1].args[..], runs[1].user.as_str()), (&["id".to_owned()][..], "me"));
}

#[test]
fn mistakes_have_their_places() {
    assert_eq!(
        mistake("bse = 1"),
        "1:1 unknown field `bse`, expected one of `base`, `ignore`, `package`, `file`, `folder`, `link`, `run`, `config`"
    );
    assert_eq!(mistake("[[file]]\npath = \"a\"\ncontent = \"\""), "2:8 \"a\" is not absolute");
    assert_eq!(mistake("\n[[file]]\npath = \"/a\""), "2:1 it is not clear what the file holds");
    assert_eq!(mistake("[[file]]\npath = \"/a\"\ncontent = \"\"\nmode = \"rw\""), "4:8 \"rw\" are no permissions");
    assert_eq!(mistake("[[file]]\npath = \"/a\"\nsource = \"../x\""), "3:10 \"../x\" leads out");
    assert_eq!(mistake("[[folder]]\npath = \"/a\"\nowner = \":\""), "3:9 nobody is named");
    assert_eq!(mistake("[[package]]\nurl = \"http://a\"\nto = \"/\""), "1:1 it is not clear where the package comes from");
    assert_eq!(mistake("[[package]]\nurl = \"http://a\"\nsha256 = \"1\"\nto = \"/\""), "3:10 no SHA-256 sum");
    assert_eq!(mistake("[config]\nports = [\"80\", \"http\"]"), "2:16 \"http\" is no port");
}
