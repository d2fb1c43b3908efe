//! What `nacre plugin inspect` shows: everything about a plugin, without running it.

use serde::Serialize;

use crate::check::Surface;
use crate::error::Error;
use crate::manifest::Manifest;
use crate::plugin::{Plugin, sha256};

/// All there is to know about a plugin before it is run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// Its `plugin.toml`, with the settings that are in force.
    #[serde(flatten)]
    pub manifest: Manifest,
    /// Where it was found: `bundled` or a folder.
    pub origin: String,
    /// Where others of the same name are, which are not used.
    pub shadows: Vec<String>,
    /// The digest of its component.
    pub digest: String,
    /// The bytes of its component.
    pub size: u64,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    /// The interfaces that it exports.
    pub exports: Vec<String>,
    /// Why it cannot be called, if that is known before running it.
    pub problem: Option<String>,
}

impl Plugin {
    /// Reads the component and lists what it imports and exports. Nothing is compiled or run.
    ///
    /// # Errors
    /// The component cannot be read. One that is refused is no error here: see
    /// [`Inspection::problem`].
    pub fn inspect(&self) -> Result<Inspection, Error> {
        let wasm = self.wasm().map_err(|fault| fault.of(self.name()))?;
        let (surface, problem) = match Surface::read(&wasm) {
            Ok(surface) => {
                let problem = surface.check(&self.manifest).err();
                (surface, problem)
            }
            Err(fault) => (Surface::default(), Some(fault)),
        };
        Ok(Inspection {
            manifest: Manifest { settings: self.settings.clone(), ..self.manifest.clone() },
            origin: self.origin.to_string(),
            shadows: self.shadows.iter().map(ToString::to_string).collect(),
            digest: format!("sha256:{}", sha256(&wasm)),
            size: wasm.len() as u64,
            imports: surface.imports,
            exports: surface.exports,
            problem: problem.map(|fault| fault.to_string()),
        })
    }
}
