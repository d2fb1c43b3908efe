//! Golden cases: a call's input and the answer that is expected, as JSON, in a folder `cases/NAME`.
//!
//! The names are those of `wit/`. What `input.json` leaves out is empty; `settings` stands in the place of the
//! plugin's own for this case. The answer is `{"ok": …}` or, where the plugin is right to refuse, `{"err": …}`.

use std::fs;
use std::path::{Path, PathBuf};

use nacre_plugin::Settings;
use serde_json::Value;

use crate::Error;

/// One case.
#[derive(Debug)]
pub struct Case {
    /// The folder's name.
    pub name: String,
    /// Where the files lie that the input names.
    pub folder: PathBuf,
    /// What the plugin is called with.
    pub(crate) input: Value,
    /// Settings for this case.
    pub(crate) settings: Settings,
}

/// All cases of the project in `folder`, which is built, sorted by name.
///
/// # Errors
/// It is not built, there is none, or one cannot be read.
pub fn all(folder: &Path) -> Result<Vec<Case>, Error> {
    if !folder.join("plugin.wasm").is_file() {
        let shown = folder.display();
        return Err(Error::Project(format!("{shown} has no plugin.wasm yet: make it with nacre plugin build {shown}")));
    }
    let cases = folder.join("cases");
    let entries = fs::read_dir(&cases).map_err(Error::reading(&cases))?;
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    match folders.is_empty() {
        true => Err(Error::Project(format!("{}: no cases: make a folder with an input.json", cases.display()))),
        false => folders.iter().map(|folder| Case::read(&folder.join("input.json"))).collect(),
    }
}

impl Case {
    /// Reads an `input.json`; the files that it names lie beside it.
    ///
    /// # Errors
    /// It cannot be read, or is no JSON object.
    pub fn read(input: &Path) -> Result<Case, Error> {
        let folder = input.parent().unwrap_or(input).to_owned();
        let name = folder.file_name().unwrap_or(input.as_os_str()).to_string_lossy().into_owned();
        let mut case = Case { name, input: read_json(input)?, folder, settings: Settings::new() };
        let wrong = |what: &str| Error::Project(format!("{}: want {what}", input.display()));
        let object = case.input.as_object_mut().ok_or_else(|| wrong("a JSON object"))?;
        match object.remove("settings") {
            None => {}
            Some(Value::Object(settings)) => case.settings = settings,
            Some(_) => return Err(wrong("an object in `settings`")),
        }
        Ok(case)
    }

    /// The expected answer; none if there is no `output.json` yet.
    ///
    /// # Errors
    /// It cannot be read, or is no JSON.
    pub fn expected(&self) -> Result<Option<Value>, Error> {
        let path = self.folder.join("output.json");
        if path.exists() { read_json(&path).map(Some) } else { Ok(None) }
    }

    /// Makes `answer` the expected one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn expect(&self, answer: &Value) -> Result<(), Error> {
        let path = self.folder.join("output.json");
        fs::write(&path, format!("{answer:#}\n")).map_err(Error::writing(&path))
    }

    /// A file of the case.
    pub(crate) fn file(&self, name: &str) -> Result<Vec<u8>, Error> {
        let path = self.folder.join(name);
        fs::read(&path).map_err(Error::reading(&path))
    }

    /// The input as what a call takes.
    pub(crate) fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(&self.input).map_err(|error| self.wrong(error))
    }

    pub(crate) fn wrong(&self, what: impl std::fmt::Display) -> Error {
        Error::Project(format!("case {}: {what}", self.name))
    }
}

fn read_json(path: &Path) -> Result<Value, Error> {
    let text = fs::read_to_string(path).map_err(Error::reading(path))?;
    serde_json::from_str(&text).map_err(|error| Error::Project(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn settings_are_no_part_of_the_call() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("input.json");
        fs::write(&input, r#"{"term": "x", "settings": {"a": 1}}"#).unwrap();
        let case = Case::read(&input).unwrap();
        assert_eq!((case.input.to_string(), case.settings["a"].as_u64()), (r#"{"term":"x"}"#.to_owned(), Some(1)));
        assert_eq!(case.expected().unwrap(), None);
        case.expect(&serde_json::json!({"ok": []})).unwrap();
        assert_eq!(case.expected().unwrap().unwrap()["ok"], serde_json::json!([]));
        fs::write(&input, "[]").unwrap();
        assert!(Case::read(&input).unwrap_err().to_string().ends_with("input.json: want a JSON object"));
    }
}
