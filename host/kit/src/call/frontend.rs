//! `frontend.build`: a file and its contexts in, graphs out. Nothing is built: what the frontend asks for, the case
//! answers.
//!
//! `request.file` is a file of the case unless `request.content` says what it has. The case's folder `context` is the
//! build's own, `contexts/NAME` a named one. `images` are what can be resolved, and `solved` the files of each part of
//! the graph that is built on the way, one after the other.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, io};

use nacre_oci::{Digest, Reference};
use nacre_plugin::frontend::answer_json;
use nacre_plugin::graph::{Definition, ImageName};
use nacre_plugin::reach::Result;
use nacre_plugin::{BuildRequest, BuildSession, BuiltFiles, Diagnostic, GuestError, Platform, Plugin, Resolved};
use serde::Deserialize;
use serde_json::Value;

use crate::Error;
use crate::case::Case;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    frontend: String,
    request: BuildRequest,
    #[serde(default)]
    images: Vec<Image>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    solved: Vec<BTreeMap<String, String>>,
}

/// An image that can be resolved.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    name: String,
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    config: serde_json::Map<String, Value>,
}

pub(super) fn call(plugin: &Plugin, case: &Case) -> std::result::Result<Value, Error> {
    let Build { frontend, mut request, images, files, mut solved } = case.parse()?;
    if request.content.is_empty() && !request.file.is_empty() {
        request.content = case.file(&request.file)?;
    }
    solved.reverse();
    let warnings = Arc::default();
    let session = Answers { folder: case.folder.clone(), images, files, solved, warnings: Arc::clone(&warnings) };
    let images = plugin.build(&frontend, &request, Box::new(session))?;
    let warnings = std::mem::take(&mut *warnings.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(answer_json(&images, &warnings))
}

/// The case as the frontend's session.
struct Answers {
    folder: PathBuf,
    images: Vec<Image>,
    files: BTreeMap<String, String>,
    /// The last comes first.
    solved: Vec<BTreeMap<String, String>>,
    warnings: Arc<Mutex<Vec<Diagnostic>>>,
}

impl BuildSession for Answers {
    fn read_file(&mut self, context: &str, path: &str) -> Result<Option<Vec<u8>>> {
        let folder = match context {
            "dockerfile" => String::new(),
            "context" => "context/".into(),
            name => format!("contexts/{name}/"),
        };
        let path = format!("{folder}{}", path.trim_start_matches('/'));
        if let Some(text) = self.files.get(&path) {
            return Ok(Some(text.clone().into_bytes()));
        }
        if Path::new(&path).components().any(|part| part == Component::ParentDir) {
            return Ok(None);
        }
        match fs::read(self.folder.join(&path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(|error| GuestError::Io(format!("{path}: {error}"))),
        }
    }

    fn resolve(&mut self, name: &ImageName, platform: &Platform) -> Result<Resolved> {
        let found = self.images.iter().find(|image| is_named(image, name, platform)).ok_or_else(|| {
            let (ImageName::Reference(name) | ImageName::Context(name)) = name;
            GuestError::NotFound(format!("image {name}"))
        })?;
        let config = Value::Object(found.config.clone()).to_string();
        let digest = found.digest.clone().unwrap_or_else(|| Digest::of(config.as_bytes()).to_string());
        Ok(Resolved { digest, platform: platform.clone(), config })
    }

    fn solve(&mut self, _definition: Definition) -> Result<Box<dyn BuiltFiles>> {
        let files = self.solved.pop().ok_or_else(|| GuestError::Unsupported("the case's `solved` has no more".into()))?;
        Ok(Box::new(Solved(files)))
    }

    fn warn(&mut self, diagnostic: Diagnostic) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(diagnostic);
    }
}

fn is_named(image: &Image, name: &ImageName, platform: &Platform) -> bool {
    let parse = |text: &str| text.parse::<Reference>().ok();
    let named = match name {
        ImageName::Context(name) => image.name == *name,
        ImageName::Reference(name) => image.name == *name || parse(&image.name).is_some_and(|known| Some(known) == parse(name)),
    };
    named && image.platform.as_ref().is_none_or(|own| own == platform)
}

/// Files by their paths.
struct Solved(BTreeMap<String, String>);

impl BuiltFiles for Solved {
    fn read_file(&mut self, path: &str) -> Result<Option<Vec<u8>>> {
        let absolute = format!("/{}", path.trim_start_matches('/'));
        Ok(self.0.get(&absolute).map(|text| text.clone().into_bytes()))
    }

    fn list(&mut self, path: &str) -> Result<Vec<String>> {
        let folder = format!("{}/", path.trim_end_matches('/'));
        let below = self.0.keys().filter_map(|path| path.strip_prefix(&folder));
        let mut names: Vec<String> = below.filter_map(|rest| rest.split('/').next()).map(str::to_owned).collect();
        names.dedup();
        Ok(names)
    }
}
