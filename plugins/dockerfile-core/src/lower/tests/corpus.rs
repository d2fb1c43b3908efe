//! The conformance corpus, as far as no file is touched: configuration, history and mistakes of every case.
//!
//! It runs where `NACRE_CORPUS` names the corpus' folder.

use std::collections::BTreeMap;
use std::path::Path;

use nacre_sdk::frontend::{Context, ContextKind, Request, request};
use nacre_sdk::{Error, Kv};
use serde_json::{Value, json};

use super::session::Memory;
use crate::lower::{lower, platform};

/// What only shows when the graph is solved: when files are touched, programs run or the host's grants are asked.
const LATER: [&str; 10] = [
    "failed to load LLB: network.host",
    "failed to compute cache key",
    "failed to load cache key",
    "process \"",
    "invalid user index",
    "cannot copy to non-directory",
    "mkdir ",
    "secret ",
    "no SSH key",
    "unable to find user",
];

#[test]
fn every_case_comes_out() {
    let Some(folder) = std::env::var_os("NACRE_CORPUS") else {
        eprintln!("skipped: NACRE_CORPUS names no corpus");
        return;
    };
    let folder = Path::new(&folder);
    let bases =
        Bases { busybox: read_layout(&folder.join("base/busybox.oci.tar")), multi: read_layout(&folder.join("base/multi.oci.tar")) };
    let entries = folder.join("dockerfile").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    cases.sort();
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let name = case.file_name().unwrap().to_string_lossy().into_owned();
            check(case, &bases).err().map(|error| format!("{name}: {error}"))
        })
        .collect();
    assert!(failures.is_empty(), "{} of {} cases\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// Configurations by platform.
struct Bases {
    busybox: BTreeMap<String, String>,
    multi: BTreeMap<String, String>,
}

fn check(case: &Path, bases: &Bases) -> Result<(), String> {
    let expected: Value = serde_json::from_slice(&served(std::fs::read(case.join("expected.json")).unwrap())).unwrap();
    let settings = settings(&std::fs::read_to_string(case.join("case.toml")).unwrap());
    let (request, mut session) = case_request(case, &settings, bases);
    let answer = lower(&request, &mut session);
    match (expected["expect"].as_str(), answer) {
        (Some("ok"), Ok(images)) => compare(&expected, &serde_json::from_str(&images[0].config).unwrap()),
        (Some("ok"), Err(error)) => Err(format!("{error:?}")),
        (_, Ok(_)) => {
            let message = expected["message"].as_str().unwrap();
            LATER.iter().any(|later| message.starts_with(later)).then_some(()).ok_or_else(|| format!("not refused: {message}"))
        }
        (_, Err(Error::Invalid(diagnostics))) => compare_mistake(&expected, &diagnostics[0]),
        (_, Err(error)) => Err(format!("{error:?}")),
    }
}

fn compare_mistake(expected: &Value, diagnostic: &nacre_sdk::Diagnostic) -> Result<(), String> {
    let line = diagnostic.at.as_ref().map(|at| u64::from(at.line));
    if !expected["line"].is_null() && expected["line"].as_u64() != line {
        return Err(format!("line {line:?} for {}", expected["line"]));
    }
    let message = expected["message"].as_str().unwrap();
    let message = match message.strip_prefix("dockerfile parse error on line ") {
        Some(rest) => rest.split_once(": ").unwrap().1,
        None => message,
    };
    let same = diagnostic.message == message || diagnostic.message.starts_with(message);
    same.then_some(()).ok_or_else(|| format!("{:?} for {message:?}", diagnostic.message))
}

fn compare(expected: &Value, image: &Value) -> Result<(), String> {
    let platform = ["os", "architecture", "variant", "author"].into_iter().filter_map(|key| Some((key.into(), image.get(key)?.clone())));
    same("platform", &expected["platform"], &Value::Object(platform.collect()))?;
    same("config", &expected["config"], &image["config"])?;
    let rows = image["history"].as_array().cloned().unwrap_or_default();
    let dated = expected.get("created").is_some();
    let rows: Vec<Value> = rows.iter().map(|row| row_of(row, dated)).collect();
    // BuildKit adds rows of its own for layers that no instruction made.
    let wanted = expected["history"].as_array().unwrap().iter().filter(|row| row["comment"] != "buildkit.exporter.image.v0");
    same("history", &wanted.cloned().collect(), &rows.into())?;
    if dated { same("created", &expected["created"], &image["created"]) } else { Ok(()) }
}

fn row_of(row: &Value, dated: bool) -> Value {
    let mut shown = json!({
        "created_by": row.get("created_by").cloned().unwrap_or("".into()),
        "empty_layer": row.get("empty_layer") == Some(&true.into()),
        "comment": row.get("comment").cloned().unwrap_or("".into()),
    });
    if let Some(created) = row.get("created").filter(|_| dated) {
        shown["created"] = created.clone();
    }
    shown
}

fn same(what: &str, expected: &Value, is: &Value) -> Result<(), String> {
    (expected == is).then_some(()).ok_or_else(|| format!("{what}\n  {is}\n  {expected}"))
}

type Settings = BTreeMap<String, String>;

/// The few forms of TOML that the cases use, tables as `table.key`.
fn settings(text: &str) -> Settings {
    let mut table = String::new();
    let mut settings = Settings::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = format!("{name}.");
        } else if let Some((key, value)) = line.split_once(" = ") {
            let value = serde_json::from_str(value).unwrap_or_else(|_| value.trim_matches('"').to_string());
            settings.insert(format!("{table}{}", key.trim_matches('"')), value);
        }
    }
    settings
}

fn table<'a>(settings: &'a Settings, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    settings.iter().filter_map(move |(key, value)| Some((key.strip_prefix(name)?.strip_prefix('.')?, value.as_str())))
}

fn case_request(case: &Path, settings: &Settings, bases: &Bases) -> (Request, Memory) {
    let file = settings.get("dockerfile").cloned().unwrap_or_else(|| "Dockerfile".into());
    let mut request = case_file(case, &file);
    let mut session = Memory { images: BTreeMap::new(), ..Memory::default() };
    let host = request.build_platform.clone();
    request.target = settings.get("target").cloned();
    request.platforms = settings.get("platform").map(|text| platform::parse(text, &host).unwrap()).into_iter().collect();
    request.args = table(settings, "build_args").map(|(key, value)| Kv { key: key.into(), value: value.into() }).collect();
    for (context, folder) in [("context", "context"), ("dockerfile", ".")] {
        add_ignore_files(&mut session, context, &case.join(folder));
    }
    for (name, source) in table(settings, "contexts") {
        let kind = if source.starts_with('@') { ContextKind::Image } else { ContextKind::Folder };
        request.contexts.push(Context { name: name.into(), kind });
        match source {
            "@busybox" => add_image(&mut session, name, &bases.busybox),
            "@multi" => add_image(&mut session, name, &bases.multi),
            folder => add_ignore_files(&mut session, name, &case.join(folder)),
        }
    }
    for (name, file) in table(settings, "images") {
        let parent = Request { contexts: request.contexts.clone(), ..case_file(case, file) };
        let config = lower(&parent, &mut session).unwrap().remove(0).config;
        let layers = config.replacen('{', r#"{"rootfs":{"diff_ids":["x"]},"#, 1);
        session.images.insert(name.into(), layers);
        request.contexts.push(Context { name: name.into(), kind: ContextKind::Image });
    }
    (request, session)
}

fn case_file(case: &Path, file: &str) -> Request {
    request(file, &served(std::fs::read(case.join(file)).unwrap()))
}

/// With the addresses that the cases leave open.
fn served(text: Vec<u8>) -> Vec<u8> {
    match String::from_utf8(text) {
        Ok(text) => text.replace("@HTTP@", "http://127.0.0.1:1").replace("@GIT@", "git://127.0.0.1:1").into_bytes(),
        Err(error) => error.into_bytes(),
    }
}

fn add_image(session: &mut Memory, name: &str, configs: &BTreeMap<String, String>) {
    session.images.extend(configs.iter().map(|(platform, config)| (format!("{name} {platform}"), config.clone())));
    session.images.extend(configs.values().next().filter(|_| configs.len() == 1).map(|config| (name.to_string(), config.clone())));
}

fn add_ignore_files(session: &mut Memory, context: &str, folder: &Path) {
    for file in folder.read_dir().into_iter().flatten().flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        if name.ends_with(".dockerignore") {
            session.files.insert(format!("{context}:{name}"), std::fs::read(file.path()).unwrap());
        }
    }
}

/// The configurations in an OCI layout in a tar archive, by platform.
fn read_layout(path: &Path) -> BTreeMap<String, String> {
    let archive = std::fs::read(path).unwrap();
    let files = members(&archive);
    let blob = |digest: &Value| files[&format!("blobs/{}", digest.as_str().unwrap().replace(':', "/"))];
    let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    let mut waiting: Vec<Value> = vec![parse(files["index.json"])];
    let mut configs = BTreeMap::new();
    while let Some(document) = waiting.pop() {
        waiting.extend(document["manifests"].as_array().into_iter().flatten().map(|descriptor| parse(blob(&descriptor["digest"]))));
        if let Some(digest) = document["config"].get("digest") {
            let config = parse(blob(digest));
            let parts = ["os", "architecture", "variant"].into_iter().filter_map(|key| config.get(key)?.as_str());
            configs.insert(parts.collect::<Vec<_>>().join("/"), config.to_string());
        }
    }
    configs
}

/// The files of a tar archive with short names.
fn members(mut archive: &[u8]) -> BTreeMap<String, &[u8]> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches(['\0', ' ']).to_string();
    let mut members = BTreeMap::new();
    while archive.len() >= 512 && archive[0] != 0 {
        let size = usize::from_str_radix(&text(&archive[124..136]), 8).unwrap();
        let name = text(&archive[..100]);
        members.insert(name.trim_start_matches("./").to_string(), &archive[512..512 + size]);
        archive = &archive[512 + size.div_ceil(512) * 512..];
    }
    members
}
