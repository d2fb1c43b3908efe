//! `nacre plugin new`: a project that works before its author has written a line.

use std::fs;
use std::path::Path;

use crate::embedded::{GUESTS, SDK, TEMPLATES, WIT};
use crate::{Error, Lang, World};

/// What no project keeps in its history.
const IGNORED: &str = "/build\n/target\n/plugin.wasm\n";

/// Writes a project into `folder`, which is made and must be empty. `name` is the plugin's, with or without its
/// publisher: `acme/stars`.
///
/// # Errors
/// The language cannot do it, the name is no plugin's name, the folder is not empty, or a file cannot be written.
pub fn create(folder: &Path, name: &str, world: World, lang: Lang) -> Result<(), Error> {
    if lang == Lang::Js && matches!(world, World::ImportFormat | World::ExportFormat) {
        let why = "its tool, jco 1.35, does not give back the handles that such a plugin is lent";
        return Err(Error::Project(format!("JavaScript cannot be an {} yet, as {why}: use rust, python or c", world.name())));
    }
    let short = name.rsplit('/').next().unwrap_or(name);
    let fill = |text: &str| text.replace("{{plugin}}", name).replace("{{name}}", short);
    let manifest = fill(template(world, "plugin.toml"));
    nacre_plugin::Manifest::parse(&manifest).map_err(|fault| Error::Project(fault.to_string()))?;
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::Project(format!("{} is not empty: name another folder", folder.display())));
    }
    let mut files = vec![
        ("plugin.toml".to_owned(), manifest),
        ("README.md".to_owned(), fill(shared("README.md"))),
        (".gitignore".to_owned(), IGNORED.to_owned()),
    ];
    files.extend(source(world, lang).into_iter().map(|(path, text)| (path, fill(&text))));
    let start = format!("{}/case/", world.name());
    let case = TEMPLATES.iter().filter_map(|(path, text)| Some((path.strip_prefix(&start)?, text)));
    files.extend(case.map(|(path, text)| (format!("cases/first/{path}"), fill(text))));
    files.extend(WIT.iter().map(|(path, text)| (format!("wit/{path}"), (*text).to_owned())));
    files.iter().try_for_each(|(path, text)| write(&folder.join(path), text))
}

/// The source in one language, and what that language needs around it.
fn source(world: World, lang: Lang) -> Vec<(String, String)> {
    match lang {
        Lang::Rust => rust(world),
        Lang::Python => vec![("app.py".into(), template(world, "app.py").into())],
        Lang::Js => vec![("plugin.js".into(), template(world, "plugin.js").into())],
        Lang::C => vec![("plugin.c".into(), template(world, "plugin.c").into())],
    }
}

/// A crate with the SDK beside it, as the SDK is in no registry.
fn rust(world: World) -> Vec<(String, String)> {
    let mut files = vec![
        ("Cargo.toml".to_owned(), shared("Cargo.toml.in").to_owned()),
        ("src/lib.rs".to_owned(), template(world, "plugin.rs").to_owned()),
        ("sdk/Cargo.toml".to_owned(), sdk_manifest()),
    ];
    let sources = SDK.iter().filter(|(path, _)| path.starts_with("src/"));
    files.extend(sources.map(|(path, text)| (format!("sdk/{path}"), text.replace("\"../../wit\"", "\"../wit\""))));
    files
}

/// The SDK's manifest without its workspace: what it inherits stands in its place.
fn sdk_manifest() -> String {
    let manifest = SDK.iter().find(|(path, _)| *path == "Cargo.toml").map_or("", |(_, text)| text);
    let inherited = |key: &str| GUESTS.lines().find(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(" = ")));
    let lines = manifest.lines().filter(|line| !matches!(*line, "[lints]" | "workspace = true"));
    let own = lines.map(|line| line.strip_suffix(".workspace = true").map_or(Some(line), inherited).unwrap_or_default());
    own.map(|line| format!("{line}\n")).collect()
}

fn template(world: World, file: &str) -> &'static str {
    shared(&format!("{}/{file}", world.name()))
}

/// A template; that there is one for each world and language is under test.
fn shared(path: &str) -> &'static str {
    TEMPLATES.iter().find(|(found, _)| *found == path).map_or("", |(_, text)| text)
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(Error::writing(folder))?;
    fs::write(path, text).map_err(Error::writing(path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_world_has_a_project_in_every_language() {
        for world in World::ALL {
            for lang in Lang::ALL {
                let folder = tempfile::tempdir().unwrap();
                let lent = matches!(world, World::ImportFormat | World::ExportFormat);
                if lang == Lang::Js && lent {
                    assert!(create(folder.path(), "x", world, lang).unwrap_err().to_string().contains("jco"));
                    continue;
                }
                create(folder.path(), "acme/first-try", world, lang).unwrap();
                assert_eq!(Lang::detect(folder.path()).unwrap(), lang);
                for file in ["plugin.toml", "README.md", "cases/first/input.json", "cases/first/output.json", "wit/types.wit", lang.mark()]
                {
                    let text = fs::read_to_string(folder.path().join(file)).unwrap();
                    assert!(!text.is_empty() && !text.contains("{{"), "{world:?} {lang:?} {file}: {text}");
                }
            }
        }
    }

    #[test]
    fn the_sdk_stands_alone() {
        let manifest = sdk_manifest();
        assert!(!manifest.contains("workspace"), "{manifest}");
        assert!(manifest.contains("edition = \"2024\"\n") && manifest.contains("\nwit-bindgen = {"), "{manifest}");
        let files = rust(World::Command);
        assert!(files.iter().all(|(_, text)| !text.contains("../../wit")));
    }

    #[test]
    fn nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine"), "").unwrap();
        let said = create(folder.path(), "x", World::Command, Lang::C).unwrap_err().to_string();
        assert!(said.ends_with("is not empty: name another folder"), "{said}");
        assert!(create(&folder.path().join("new"), "Not A Name", World::Command, Lang::C).is_err());
    }
}
