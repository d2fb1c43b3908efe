//! What a frontend can ask while it works.

use std::sync::Arc;

use nacre_plugin::{
    BuildSession, BuiltFiles, Diagnostic, GuestError, Platform, Resolved,
    graph::{Definition, FolderSource, ImageName},
    reach,
};

use crate::{
    Context, Error, Event,
    files::{self, FileTree},
    graph,
    solve::Solver,
};

/// The most bytes of a file that a frontend reads (`wit/build-frontend.wit`).
const MAX_FILE: u64 = 4 << 20;

/// A build, as its frontend sees it.
pub(crate) struct FrontendSession {
    solver: Arc<Solver>,
}

impl FrontendSession {
    pub(crate) fn new(solver: &Arc<Solver>) -> Self {
        Self { solver: Arc::clone(solver) }
    }
}

impl BuildSession for FrontendSession {
    fn read_file(&mut self, context: &str, path: &str) -> reach::Result<Option<Vec<u8>>> {
        if !matches!(self.solver.contexts.get(context), Some(Context::Folder(_))) {
            return Err(GuestError::NotFound(format!("the folder '{context}': the user gave no such context")));
        }
        let folder = FolderSource { context: context.to_owned(), exclude: Vec::new() };
        let folder = self.solver.folder(&folder).map_err(told)?;
        Ok(files::read_small(&*folder, path, MAX_FILE)?)
    }

    fn resolve(&mut self, name: &ImageName, platform: &Platform) -> reach::Result<Resolved> {
        let image = self.solver.image(name, &graph::platform(platform)).map_err(unresolved)?;
        let config = String::from_utf8(image.config.clone());
        let config = config.map_err(|_| GuestError::Io(format!("the config of image {} is no UTF-8", image.manifest.digest)))?;
        Ok(Resolved { digest: image.manifest.digest.to_string(), platform: (&image.platform).into(), config })
    }

    fn solve(&mut self, definition: Definition) -> reach::Result<Box<dyn BuiltFiles>> {
        let mut solved = self.solver.solve(&[&definition]).map_err(told)?;
        let snapshot = solved.pop().unwrap_or_default();
        let tree = self.solver.told("[internal] read what was built", |id| Ok(self.solver.tree(id, &snapshot)?)).map_err(told)?;
        Ok(Box::new(Files(tree)))
    }

    fn warn(&mut self, diagnostic: Diagnostic) {
        self.solver.watcher.event(Event::Warning(&diagnostic));
    }
}

/// A root filesystem for a frontend.
struct Files(Arc<dyn FileTree>);

impl BuiltFiles for Files {
    fn read_file(&mut self, path: &str) -> reach::Result<Option<Vec<u8>>> {
        Ok(files::read_small(&*self.0, path, MAX_FILE)?)
    }

    fn list(&mut self, path: &str) -> reach::Result<Vec<String>> {
        let folder = files::resolve(&*self.0, path.as_bytes())?;
        match self.0.get(&folder)? {
            Some(item) if item.is_folder() => {}
            _ => return Err(GuestError::NotFound(format!("the folder {path}"))),
        }
        let names = self.0.list(&folder)?;
        Ok(names.iter().map(|item| item.entry.name().rsplit('/').next().unwrap_or_default().to_owned()).collect())
    }
}

/// As [`told`]. An image that is missing is told in BuildKit's words, which frontends hand on behind its name.
fn unresolved(error: Error) -> GuestError {
    match error {
        Error::Data(nacre_oci::Error::NotFound { what }) if !what.contains("not found") => {
            GuestError::NotFound(format!("{}: not found", what.trim_start_matches("manifest ")))
        }
        error => told(error),
    }
}

/// What went wrong, in a plugin's terms. A mistake keeps its place, so that the frontend may hand it on as its own.
fn told(error: Error) -> GuestError {
    match error {
        error if error.is_cancelled() => GuestError::Cancelled,
        Error::Data(error) => error.into(),
        error => GuestError::Invalid(vec![error.diagnostic()]),
    }
}
