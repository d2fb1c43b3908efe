//! What a frontend was told while it worked, for the case that is made of its call.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::{BuildRequest, BuildSession, BuiltFiles, Resolved};
use crate::graph::{Definition, ImageName};
use crate::reach::Result;
use crate::types::{Diagnostic, Platform};

/// Files by their paths.
type Files = BTreeMap<String, String>;

/// All answers of one session.
#[derive(Clone, Default)]
pub(super) struct Told(Arc<Mutex<Answers>>);

#[derive(Default)]
struct Answers {
    files: Files,
    images: Vec<Value>,
    /// What was read of each part of the graph that was built.
    solved: Vec<Files>,
    warnings: Vec<Diagnostic>,
}

impl Told {
    fn with<T>(&self, work: impl FnOnce(&mut Answers) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The case's input.
    pub(super) fn input(&self, frontend: &str, request: &BuildRequest) -> Value {
        self.with(
            |told| json!({ "frontend": frontend, "request": request, "files": told.files, "images": told.images, "solved": told.solved }),
        )
    }

    /// What the frontend warned of.
    pub(super) fn warnings(&self) -> Vec<Diagnostic> {
        self.with(|told| told.warnings.clone())
    }
}

/// A session that writes down what it says.
pub(super) struct Recording {
    pub(super) inner: Box<dyn BuildSession>,
    pub(super) told: Told,
}

impl BuildSession for Recording {
    fn read_file(&mut self, context: &str, path: &str) -> Result<Option<Vec<u8>>> {
        let file = self.inner.read_file(context, path)?;
        if let Some(content) = &file {
            let path = path.trim_start_matches('/');
            let path = match context {
                "dockerfile" => path.to_owned(),
                "context" => format!("context/{path}"),
                name => format!("contexts/{name}/{path}"),
            };
            self.told.with(|told| told.files.insert(path, String::from_utf8_lossy(content).into_owned()));
        }
        Ok(file)
    }

    fn resolve(&mut self, name: &ImageName, platform: &Platform) -> Result<Resolved> {
        let found = self.inner.resolve(name, platform)?;
        let (ImageName::Reference(text) | ImageName::Context(text)) = name;
        let config: Value = serde_json::from_str(&found.config).unwrap_or_default();
        self.told.with(|told| told.images.push(json!({ "name": text, "digest": found.digest, "platform": platform, "config": config })));
        Ok(found)
    }

    fn solve(&mut self, definition: Definition) -> Result<Box<dyn BuiltFiles>> {
        let inner = self.inner.solve(definition)?;
        let index = self.told.with(|told| {
            told.solved.push(Files::new());
            told.solved.len() - 1
        });
        Ok(Box::new(Reading { inner, index, told: self.told.clone() }))
    }

    fn warn(&mut self, diagnostic: Diagnostic) {
        self.told.with(|told| told.warnings.push(diagnostic.clone()));
        self.inner.warn(diagnostic);
    }
}

struct Reading {
    inner: Box<dyn BuiltFiles>,
    index: usize,
    told: Told,
}

impl Reading {
    fn add(&self, path: &str, text: String) {
        let path = format!("/{}", path.trim_start_matches('/'));
        self.told.with(|told| _ = told.solved[self.index].entry(path).or_insert(text));
    }
}

impl BuiltFiles for Reading {
    fn read_file(&mut self, path: &str) -> Result<Option<Vec<u8>>> {
        let file = self.inner.read_file(path)?;
        if let Some(content) = &file {
            self.add(path, String::from_utf8_lossy(content).into_owned());
        }
        Ok(file)
    }

    fn list(&mut self, path: &str) -> Result<Vec<String>> {
        let names = self.inner.list(path)?;
        names.iter().for_each(|name| self.add(&format!("{}/{name}", path.trim_end_matches('/')), String::new()));
        Ok(names)
    }
}
